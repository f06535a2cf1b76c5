/* SPDX-License-Identifier: GPL-2.0-only */
/* A port or a range of ports, as typed. */
#ifndef NETWATCH_PORTS_H
#define NETWATCH_PORTS_H

#include <stdint.h>

/* "80" or "8000-8100". NULL, or the reason for which text is neither. */
const char *ports_parse(const char *text, uint16_t *first, uint16_t *last);

#endif
