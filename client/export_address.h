/* SPDX-License-Identifier: GPL-2.0-only */
/* Where `export` serves: an address of IPv4 or IPv6 with a port. */
#ifndef NETWATCH_EXPORT_ADDRESS_H
#define NETWATCH_EXPORT_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

struct export_address {
	struct sockaddr_storage address;
	socklen_t length;
};

/* "127.0.0.1:9477", "[::1]:9477"; port 0: any. 0 or -EINVAL. */
int export_address_parse(const char *text, struct export_address *address);

/* Where that socket is bound. */
void export_address_of(int fd, struct export_address *address);

bool export_address_is_loopback(const struct export_address *address);

/* As export_address_parse takes it, in a static buffer. */
const char *export_address_text(const struct export_address *address);

#endif
