// SPDX-License-Identifier: GPL-2.0-only
/* netwatch.Filter, which a client sent, to the normal form. Everything in it is checked here. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"

const char *const filter_dimension_names[NW_DIMENSIONS] = {
	[NW_UID] = "uid",     [NW_PID] = "pid",	      [NW_COMM] = "comm",
	[NW_NETNS] = "netns", [NW_CGROUP] = "cgroup",
};

static const char *const end_names[FILTER_ENDS] = {
	[FILTER_LOCAL] = "l",
	[FILTER_REMOTE] = "r",
	[FILTER_EITHER] = "",
};

__attribute__((format(printf, 3, 4))) static int
refuse(struct filter_error *error, Netwatch__Error__Code code, const char *format, ...)
{
	va_list args;

	error->code = code;
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return -EINVAL;
}

#define INVALID NETWATCH__ERROR__CODE__INVALID
#define LIMIT	NETWATCH__ERROR__CODE__LIMIT

/* A field that this version does not know must not be ignored: it would show too much. */
static int check_known(const ProtobufCMessage *message, const char *where,
		       struct filter_error *error)
{
	if (!message->n_unknown_fields)
		return 0;
	return refuse(error, INVALID, "%s: field %u is not known to this collector", where,
		      message->unknown_fields[0].tag);
}

static int compare_ranges(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct filter_range));
}

static int add_range(struct filter_ports *out, const Netwatch__PortRange *range, const char *end,
		     struct filter_error *error)
{
	uint32_t last = range->has_last ? range->last : range->first;
	int err = check_known(&range->base, "port range", error);

	if (err)
		return err;
	if (!range->first || range->first > last || last > UINT16_MAX)
		return refuse(error, INVALID, "%sport: %u-%u is no range of ports (1 to 65535)",
			      end, range->first, last);
	out->item[out->any + out->none] =
		(struct filter_range){.first = (uint16_t)range->first, .last = (uint16_t)last};
	return 0;
}

static int parse_ports(struct filter_ports *out, const Netwatch__PortSet *set, const char *end,
		       size_t *total, struct filter_error *error)
{
	int err;

	if (!set)
		return 0;
	err = check_known(&set->base, "port set", error);
	*total += set->n_any + set->n_none;
	if (!err && *total > FILTER_PORTS_MAX)
		err = refuse(error, LIMIT, "%sport: more than %d ports and ranges in one filter",
			     end, FILTER_PORTS_MAX);
	for (size_t i = 0; !err && i < set->n_any; i++, out->any++)
		err = add_range(out, set->any[i], end, error);
	for (size_t i = 0; !err && i < set->n_none; i++, out->none++)
		err = add_range(out, set->none[i], end, error);
	if (err)
		return err;
	qsort(out->item, out->any, sizeof(out->item[0]), compare_ranges);
	qsort(out->item + out->any, out->none, sizeof(out->item[0]), compare_ranges);
	return 0;
}

static int compare_prefixes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct filter_prefix));
}

/* v4-mapped is IPv4, here as in the kernel; host bits do not count. */
static void normalize(struct filter_prefix *p)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (p->family == 6 && p->length >= 96 && !memcmp(p->address, mapped, sizeof(mapped))) {
		p->family = 4;
		p->length -= 96;
		memmove(p->address, p->address + 12, 4);
		memset(p->address + 4, 0, 12);
	}
	for (unsigned bit = p->length; bit < 128; bit++)
		p->address[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

static int add_prefix(struct filter_prefixes *out, const Netwatch__Prefix *prefix, const char *end,
		      struct filter_error *error)
{
	struct filter_prefix *p = &out->item[out->any + out->none];
	size_t bytes = prefix->address.len;
	uint32_t length = prefix->has_length ? prefix->length : (uint32_t)bytes * 8;
	int err = check_known(&prefix->base, "prefix", error);

	if (err)
		return err;
	if (bytes != 4 && bytes != 16)
		return refuse(error, INVALID, "%saddr: an address of %zu bytes", end, bytes);
	if (length > bytes * 8)
		return refuse(error, INVALID, "%saddr: a prefix of %u bits, of %zu", end, length,
			      bytes * 8);
	memset(p, 0, sizeof(*p));
	memcpy(p->address, prefix->address.data, bytes);
	p->family = bytes == 4 ? 4 : 6;
	p->length = (uint8_t)length;
	normalize(p);
	return 0;
}

static int parse_prefixes(struct filter_prefixes *out, const Netwatch__PrefixSet *set,
			  const char *end, size_t *total, struct filter_error *error)
{
	int err;

	if (!set)
		return 0;
	err = check_known(&set->base, "prefix set", error);
	*total += set->n_any + set->n_none;
	if (!err && *total > FILTER_PREFIXES_MAX)
		err = refuse(error, LIMIT, "%saddr: more than %d CIDRs in one filter", end,
			     FILTER_PREFIXES_MAX);
	for (size_t i = 0; !err && i < set->n_any; i++, out->any++)
		err = add_prefix(out, set->any[i], end, error);
	for (size_t i = 0; !err && i < set->n_none; i++, out->none++)
		err = add_prefix(out, set->none[i], end, error);
	if (err)
		return err;
	qsort(out->item, out->any, sizeof(out->item[0]), compare_prefixes);
	qsort(out->item + out->any, out->none, sizeof(out->item[0]), compare_prefixes);
	return 0;
}

static int compare_values(const void *a, const void *b)
{
	return memcmp(a, b, FILTER_VALUE_SIZE);
}

static void sort_values(struct filter_values *out)
{
	qsort(out->item, out->any, FILTER_VALUE_SIZE, compare_values);
	qsort(out->item + out->any, out->none, FILTER_VALUE_SIZE, compare_values);
}

/* Reserves room for n_any + n_none values. */
static int begin_values(struct filter_values *out, enum nw_dimension dimension,
			const ProtobufCMessage *set, size_t n_any, size_t n_none,
			struct filter_error *error)
{
	const char *name = filter_dimension_names[dimension];
	int err = check_known(set, name, error);

	if (err)
		return err;
	if (n_any + n_none > FILTER_VALUES_MAX)
		return refuse(error, LIMIT, "%s: more than %d values in one filter", name,
			      FILTER_VALUES_MAX);
	out->any = (uint32_t)n_any;
	out->none = (uint32_t)n_none;
	return 0;
}

static void set_number(struct filter_values *out, size_t i, uint64_t number)
{
	memcpy(out->item[i], &number, sizeof(number));
}

static int parse_numbers(struct filter *filter, enum nw_dimension dimension,
			 const Netwatch__NumberSet *set, struct filter_error *error)
{
	struct filter_values *out = &filter->values[dimension];
	int err;

	if (!set)
		return 0;
	err = begin_values(out, dimension, &set->base, set->n_any, set->n_none, error);
	if (err)
		return err;
	for (size_t i = 0; i < set->n_any; i++)
		set_number(out, i, set->any[i]);
	for (size_t i = 0; i < set->n_none; i++)
		set_number(out, set->n_any + i, set->none[i]);
	sort_values(out);
	return 0;
}

static int set_name(struct filter_values *out, size_t i, const char *name,
		    struct filter_error *error)
{
	size_t length = strlen(name);

	if (length > FILTER_STRING_MAX)
		return refuse(error, LIMIT, "comm: a name of more than %d bytes",
			      FILTER_STRING_MAX);
	if (!length)
		return refuse(error, INVALID, "comm: an empty name");
	/* As the kernel cuts names of tasks. */
	memcpy(out->item[i], name, length < NW_COMM_SIZE ? length : NW_COMM_SIZE - 1);
	return 0;
}

static int parse_names(struct filter *filter, const Netwatch__StringSet *set,
		       struct filter_error *error)
{
	struct filter_values *out = &filter->values[NW_COMM];
	int err;

	if (!set)
		return 0;
	err = begin_values(out, NW_COMM, &set->base, set->n_any, set->n_none, error);
	for (size_t i = 0; !err && i < set->n_any; i++)
		err = set_name(out, i, set->any[i], error);
	for (size_t i = 0; !err && i < set->n_none; i++)
		err = set_name(out, set->n_any + i, set->none[i], error);
	if (!err)
		sort_values(out);
	return err;
}

static int parse_kinds(struct filter *filter, const Netwatch__Filter *message,
		       struct filter_error *error)
{
	filter->families = message->n_family ? 0 : 3;
	for (size_t i = 0; i < message->n_family; i++) {
		if (message->family[i] != NETWATCH__FAMILY__IPV4 &&
		    message->family[i] != NETWATCH__FAMILY__IPV6)
			return refuse(error, INVALID, "family: %d", (int)message->family[i]);
		filter->families |= message->family[i] == NETWATCH__FAMILY__IPV6 ? 2 : 1;
	}
	filter->roles = message->n_role ? 0 : (1 << NW_ROLES) - 1;
	for (size_t i = 0; i < message->n_role; i++) {
		if (message->role[i] != NETWATCH__ROLE__CLIENT &&
		    message->role[i] != NETWATCH__ROLE__SERVER)
			return refuse(error, INVALID, "role: %d", (int)message->role[i]);
		filter->roles |= 1U << message->role[i];
	}
	return 0;
}

int filter_parse(struct filter *filter, const Netwatch__Filter *message, struct filter_error *error)
{
	Netwatch__Filter everything = NETWATCH__FILTER__INIT;
	size_t ports = 0, prefixes = 0;
	int err;

	memset(filter, 0, sizeof(*filter));
	if (!message)
		message = &everything;
	const Netwatch__PortSet *port_sets[] = {message->lport, message->rport, message->port};
	const Netwatch__PrefixSet *prefix_sets[] = {message->laddr, message->raddr, message->addr};

	err = check_known(&message->base, "filter", error);
	if (!err)
		err = parse_kinds(filter, message, error);
	for (int end = 0; !err && end < FILTER_ENDS; end++)
		err = parse_ports(&filter->ports[end], port_sets[end], end_names[end], &ports,
				  error);
	for (int end = 0; !err && end < FILTER_ENDS; end++)
		err = parse_prefixes(&filter->prefixes[end], prefix_sets[end], end_names[end],
				     &prefixes, error);
	if (!err)
		err = parse_numbers(filter, NW_UID, message->uid, error);
	if (!err)
		err = parse_numbers(filter, NW_PID, message->pid, error);
	if (!err)
		err = parse_numbers(filter, NW_NETNS, message->netns, error);
	if (!err)
		err = parse_names(filter, message->comm, error);
	if (!err)
		err = parse_numbers(filter, NW_CGROUP, message->cgroup, error);
	if (!err && message->http)
		err = filter_http_parse(&filter->http, message->http, error);
	return err;
}
