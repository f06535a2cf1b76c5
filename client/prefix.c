// SPDX-License-Identifier: GPL-2.0-only
// Networks in CIDR notation; bits behind the length do not matter and are cleared.
#include <arpa/inet.h>
#include <string.h>

#include "number.h"
#include "prefix.h"

#define MAPPED_BITS 96 /* of ::ffff:0:0/96, where IPv6 holds IPv4 */

static int parse_address(const char *text, size_t length, struct prefix *prefix)
{
	char address[INET6_ADDRSTRLEN];

	if (length >= 2 && text[0] == '[' && text[length - 1] == ']' && memchr(text, ':', length)) {
		text++;
		length -= 2;
	}
	if (length >= sizeof(address))
		return -1;
	memcpy(address, text, length);
	address[length] = '\0';
	if (inet_pton(AF_INET, address, prefix->address) == 1)
		prefix->size = 4;
	else if (inet_pton(AF_INET6, address, prefix->address) == 1)
		prefix->size = 16;
	else
		return -1;
	return 0;
}

static void clear_host_bits(struct prefix *prefix)
{
	for (unsigned i = 0; i < prefix->size; i++) {
		if (8 * i >= prefix->length)
			prefix->address[i] = 0;
		else if (8 * i + 8 > prefix->length)
			prefix->address[i] &= (uint8_t)(0xff00 >> (prefix->length - 8 * i));
	}
}

static void unmap(struct prefix *prefix)
{
	struct in6_addr address;

	memcpy(&address, prefix->address, sizeof(address));
	if (prefix->size != 16 || prefix->length < MAPPED_BITS || !IN6_IS_ADDR_V4MAPPED(&address))
		return;
	memcpy(prefix->address, address.s6_addr + 12, 4);
	prefix->size = 4;
	prefix->length -= MAPPED_BITS;
}

const char *prefix_parse(const char *text, struct prefix *prefix)
{
	const char *slash = strchr(text, '/');
	struct prefix result = {.size = 0};
	uint64_t length;

	if (parse_address(text, slash ? (size_t)(slash - text) : strlen(text), &result))
		return "not an IPv4 or IPv6 address";
	length = 8 * result.size;
	if (slash && number_parse(slash + 1, strlen(slash + 1), 0, length, &length))
		return result.size == 4 ? "the length is 0 to 32" : "the length is 0 to 128";
	result.length = (unsigned)length;
	unmap(&result);
	clear_host_bits(&result);
	*prefix = result;
	return NULL;
}
