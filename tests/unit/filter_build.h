/* SPDX-License-Identifier: GPL-2.0-only */
/* Builds a netwatch.Filter piece by piece, as a client would, and parses it from its bytes. */
#ifndef NETWATCH_TESTS_FILTER_BUILD_H
#define NETWATCH_TESTS_FILTER_BUILD_H

#include <arpa/inet.h>
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/filter.h"
#include "netwatch.pb-c.h"

#define BUILD_ITEMS_MAX 80 /* of one list: more than any limit of the collector */

struct build {
	Netwatch__Filter filter;
	size_t used;
	_Alignas(16) char memory[96 * 1024];
};

enum build_list { ANY, NONE };

static inline void build_init(struct build *b)
{
	netwatch__filter__init(&b->filter);
	b->used = 0;
}

/* Zeroed; lives as long as b. */
static inline void *build_take(struct build *b, size_t size)
{
	void *p = b->memory + b->used;

	b->used += (size + 15) & ~(size_t)15;
	assert(b->used <= sizeof(b->memory));
	return memset(p, 0, size);
}

/* Space behind the last item of one list of a set. */
#define BUILD_ITEM(b, list, n)                                                       \
	({                                                                           \
		if (!(list))                                                         \
			(list) = build_take((b), BUILD_ITEMS_MAX * sizeof(*(list))); \
		assert((n) < BUILD_ITEMS_MAX);                                       \
		&(list)[(n)++];                                                      \
	})

#define BUILD_SET_ITEM(b, set, init, list)                                       \
	({                                                                       \
		if (!*(set)) {                                                   \
			*(set) = build_take((b), sizeof(**(set)));               \
			init(*(set));                                            \
		}                                                                \
		(list) == ANY ? BUILD_ITEM(b, (*(set))->any, (*(set))->n_any)    \
			      : BUILD_ITEM(b, (*(set))->none, (*(set))->n_none); \
	})

static inline Netwatch__PortRange *build_range(struct build *b, Netwatch__PortSet **set,
					       enum build_list list, uint32_t first, uint32_t last)
{
	Netwatch__PortRange *range = build_take(b, sizeof(*range));

	netwatch__port_range__init(range);
	range->has_first = range->has_last = 1;
	range->first = first;
	range->last = last;
	*BUILD_SET_ITEM(b, set, netwatch__port_set__init, list) = range;
	return range;
}

static inline Netwatch__Prefix *build_prefix_bytes(struct build *b, Netwatch__PrefixSet **set,
						   enum build_list list, const uint8_t *address,
						   size_t bytes)
{
	Netwatch__Prefix *prefix = build_take(b, sizeof(*prefix));

	netwatch__prefix__init(prefix);
	prefix->has_address = 1;
	prefix->address.data = build_take(b, bytes);
	prefix->address.len = bytes;
	memcpy(prefix->address.data, address, bytes);
	*BUILD_SET_ITEM(b, set, netwatch__prefix_set__init, list) = prefix;
	return prefix;
}

/* text: "10.0.0.0/8", "::1" */
static inline Netwatch__Prefix *build_prefix(struct build *b, Netwatch__PrefixSet **set,
					     enum build_list list, const char *text)
{
	const char *slash = strchrnul(text, '/');
	char *address = strndup(text, (size_t)(slash - text));
	uint8_t bytes[16];
	Netwatch__Prefix *prefix;
	bool is_v6 = strchr(text, ':');

	assert(address && inet_pton(is_v6 ? AF_INET6 : AF_INET, address, bytes) == 1);
	free(address);
	prefix = build_prefix_bytes(b, set, list, bytes, is_v6 ? 16 : 4);
	prefix->has_length = *slash;
	prefix->length = *slash ? (uint32_t)atoi(slash + 1) : 0;
	return prefix;
}

static inline void build_number(struct build *b, Netwatch__NumberSet **set, enum build_list list,
				uint64_t number)
{
	*BUILD_SET_ITEM(b, set, netwatch__number_set__init, list) = number;
}

static inline void build_name(struct build *b, Netwatch__StringSet **set, enum build_list list,
			      const char *name)
{
	char *copy = build_take(b, strlen(name) + 1);

	strcpy(copy, name);
	*BUILD_SET_ITEM(b, set, netwatch__string_set__init, list) = copy;
}

static inline void build_family(struct build *b, int family)
{
	*BUILD_ITEM(b, b->filter.family, b->filter.n_family) = (Netwatch__Family)family;
}

static inline void build_role(struct build *b, int role)
{
	*BUILD_ITEM(b, b->filter.role, b->filter.n_role) = (Netwatch__Role)role;
}

/* Adds a field that this version does not know. */
static inline void build_unknown(struct build *b, ProtobufCMessage *message)
{
	ProtobufCMessageUnknownField *field = build_take(b, sizeof(*field));

	field->tag = 99;
	field->wire_type = PROTOBUF_C_WIRE_TYPE_VARINT;
	field->len = 1;
	field->data = build_take(b, 1);
	field->data[0] = 1;
	message->n_unknown_fields = 1;
	message->unknown_fields = field;
}

/* filter_parse of what the collector would unpack. */
static inline int build_parse(const struct build *b, struct filter *filter,
			      struct filter_error *error)
{
	size_t size = netwatch__filter__get_packed_size(&b->filter);
	uint8_t *packed = malloc(size + 1);
	Netwatch__Filter *message;
	int err;

	assert(packed);
	netwatch__filter__pack(&b->filter, packed);
	message = netwatch__filter__unpack(NULL, size, packed);
	assert(message);
	err = filter_parse(filter, message, error);
	netwatch__filter__free_unpacked(message, NULL);
	free(packed);
	return err;
}

#endif
