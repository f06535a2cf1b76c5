// SPDX-License-Identifier: GPL-2.0-only
// Addresses as numbers only: no name is looked up.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "export_address.h"
#include "number.h"

int export_address_parse(const char *text, struct export_address *to)
{
	const char *colon = strrchr(text, ':');
	struct sockaddr_in *v4 = (struct sockaddr_in *)&to->address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&to->address;
	char host[INET6_ADDRSTRLEN + 2];
	uint64_t port;
	size_t length;

	memset(to, 0, sizeof(*to));
	if (!colon || number_parse(colon + 1, strlen(colon + 1), 0, UINT16_MAX, &port))
		return -EINVAL;
	length = (size_t)(colon - text);
	if (!length || length >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = '\0';
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		to->length = sizeof(*v4);
		return 0;
	}
	if (host[0] != '[' || host[length - 1] != ']')
		return -EINVAL;
	host[length - 1] = '\0';
	if (inet_pton(AF_INET6, host + 1, &v6->sin6_addr) != 1)
		return -EINVAL;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)port);
	to->length = sizeof(*v6);
	return 0;
}

void export_address_of(int fd, struct export_address *address)
{
	*address = (struct export_address){.length = sizeof(address->address)};
	getsockname(fd, (struct sockaddr *)&address->address, &address->length);
}

bool export_address_is_loopback(const struct export_address *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->address;

	if (address->address.ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

const char *export_address_text(const struct export_address *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->address;
	static char text[INET6_ADDRSTRLEN + 16];
	char host[INET6_ADDRSTRLEN];

	if (address->address.ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(text, sizeof(text), "%s:%u", host, ntohs(v4->sin_port));
	} else {
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(text, sizeof(text), "[%s]:%u", host, ntohs(v6->sin6_port));
	}
	return text;
}
