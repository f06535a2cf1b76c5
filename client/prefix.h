/* SPDX-License-Identifier: GPL-2.0-only */
/* An address or a network in CIDR notation, as typed. */
#ifndef NETWATCH_PREFIX_H
#define NETWATCH_PREFIX_H

#include <stdint.h>

struct prefix {
	uint8_t address[16]; /* network order; zero behind the length */
	unsigned size;	     /* bytes of address: 4 or 16 */
	unsigned length;     /* bits */
};

/*
 * "10.0.0.0/8", "::1", "[fe80::1]/64"; without a length all bits count. A v4-mapped
 * network becomes IPv4. NULL, or the reason for which text is none.
 */
const char *prefix_parse(const char *text, struct prefix *prefix);

#endif
