// SPDX-License-Identifier: GPL-2.0-only
/* What a filter means: the judge, and what the tables take from it. Parsing: filter_parse.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "filter.h"

static bool ports_have(const struct filter_range *item, uint32_t n, uint16_t port)
{
	for (uint32_t i = 0; i < n; i++) {
		if (port >= item[i].first && port <= item[i].last)
			return true;
	}
	return false;
}

static bool ports_accept(const struct filter_ports *ports, uint16_t port)
{
	return (!ports->any || ports_have(ports->item, ports->any, port)) &&
	       !ports_have(ports->item + ports->any, ports->none, port);
}

/* `either` accepts if one end is in any; its none refuses both ends. */
static bool ports_accept_either(const struct filter_ports *ports, uint16_t local, uint16_t remote)
{
	return (!ports->any || ports_have(ports->item, ports->any, local) ||
		ports_have(ports->item, ports->any, remote)) &&
	       !ports_have(ports->item + ports->any, ports->none, local) &&
	       !ports_have(ports->item + ports->any, ports->none, remote);
}

bool filter_prefix_covers(const struct filter_prefix *prefix, uint8_t family, uint8_t length,
			  const uint8_t *address)
{
	unsigned bytes = prefix->length / 8, bits = prefix->length % 8;

	if (prefix->family != family || prefix->length > length ||
	    memcmp(prefix->address, address, bytes))
		return false;
	return !bits || !((prefix->address[bytes] ^ address[bytes]) >> (8 - bits));
}

bool filter_prefixes_cover(const struct filter_prefixes *prefixes, bool none, uint8_t family,
			   uint8_t length, const uint8_t *address)
{
	uint32_t begin = none ? prefixes->any : 0;
	uint32_t end = none ? prefixes->any + prefixes->none : prefixes->any;

	for (uint32_t i = begin; i < end; i++) {
		if (filter_prefix_covers(&prefixes->item[i], family, length, address))
			return true;
	}
	return false;
}

static bool prefixes_accept(const struct filter *filter, const struct nw_connection *c)
{
	const struct filter_prefixes *p = filter->prefixes;
	uint8_t full = c->family == 4 ? 32 : 128;
	const struct filter_prefixes *either = &p[FILTER_EITHER];
	bool l = filter_prefixes_cover(either, false, c->family, full, c->laddr);
	bool r = filter_prefixes_cover(either, false, c->family, full, c->raddr);

	if ((either->any && !l && !r) ||
	    filter_prefixes_cover(either, true, c->family, full, c->laddr) ||
	    filter_prefixes_cover(either, true, c->family, full, c->raddr))
		return false;
	l = filter_prefixes_cover(&p[FILTER_LOCAL], false, c->family, full, c->laddr);
	r = filter_prefixes_cover(&p[FILTER_REMOTE], false, c->family, full, c->raddr);
	return (!p[FILTER_LOCAL].any || l) && (!p[FILTER_REMOTE].any || r) &&
	       !filter_prefixes_cover(&p[FILTER_LOCAL], true, c->family, full, c->laddr) &&
	       !filter_prefixes_cover(&p[FILTER_REMOTE], true, c->family, full, c->raddr);
}

static bool values_have(const uint8_t (*item)[FILTER_VALUE_SIZE], uint32_t n, const uint8_t *value)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!memcmp(item[i], value, FILTER_VALUE_SIZE))
			return true;
	}
	return false;
}

bool filter_values_accept(const struct filter_values *values, const uint8_t *value)
{
	return (!values->any || values_have(values->item, values->any, value)) &&
	       !values_have(values->item + values->any, values->none, value);
}

static bool number_accepted(const struct filter_values *values, uint64_t number)
{
	uint8_t value[FILTER_VALUE_SIZE] = {0};

	memcpy(value, &number, sizeof(number));
	return filter_values_accept(values, value);
}

/* The owner is unknown: only a filter that does not ask for it accepts. */
static bool owner_accepted(const struct filter *filter, const struct nw_connection *c)
{
	const struct filter_values *pid = &filter->values[NW_PID], *comm = &filter->values[NW_COMM];

	if (c->owner == NW_OWNER_UNKNOWN)
		return !pid->any && !pid->none && !comm->any && !comm->none;
	return number_accepted(pid, c->pid) && filter_values_accept(comm, (const uint8_t *)c->comm);
}

static bool cgroup_accepted(const struct filter_values *cgroups, const __u64 *ancestors)
{
	bool any = !cgroups->any, none = false;

	for (unsigned i = 0; i < NW_ANCESTORS && ancestors[i]; i++) {
		uint8_t value[FILTER_VALUE_SIZE] = {0};

		memcpy(value, &ancestors[i], sizeof(ancestors[i]));
		any |= values_have(cgroups->item, cgroups->any, value);
		none |= values_have(cgroups->item + cgroups->any, cgroups->none, value);
	}
	return any && !none;
}

static bool scope_accepts(const struct filter *filter, uint32_t uid)
{
	switch ((Netwatch__Scope)filter->scope) {
	case NETWATCH__SCOPE__OWN:
		return uid == filter->owner;
	case NETWATCH__SCOPE__ALL:
	case NETWATCH__SCOPE__ALL_WITH_HTTP:
		return true;
	case NETWATCH__SCOPE__NOTHING:
	case _NETWATCH__SCOPE_IS_INT_SIZE:
		break;
	}
	return false;
}

bool filter_accepts(const struct filter *filter, const struct nw_row *row)
{
	const struct nw_connection *c = &row->connection;

	return scope_accepts(filter, c->uid) && filter->families & (c->family == 6 ? 2 : 1) &&
	       filter->roles & 1U << c->role && number_accepted(&filter->values[NW_UID], c->uid) &&
	       number_accepted(&filter->values[NW_NETNS], c->netns) && owner_accepted(filter, c) &&
	       ports_accept(&filter->ports[FILTER_LOCAL], c->lport) &&
	       ports_accept(&filter->ports[FILTER_REMOTE], c->rport) &&
	       ports_accept_either(&filter->ports[FILTER_EITHER], c->lport, c->rport) &&
	       prefixes_accept(filter, c) &&
	       cgroup_accepted(&filter->values[NW_CGROUP], row->ancestors);
}

bool filter_shows_content(const struct filter *filter, uint32_t uid, bool *redacted)
{
	*redacted = filter->viewer != uid;
	return !*redacted || filter->scope == NETWATCH__SCOPE__ALL_WITH_HTTP;
}

int filter_check_scope(const struct filter *filter, struct filter_error *error)
{
	const struct filter_values *uids = &filter->values[NW_UID];

	for (uint32_t i = 0; i < uids->any; i++) {
		uint32_t uid;

		memcpy(&uid, uids->item[i], sizeof(uid));
		if (scope_accepts(filter, uid))
			continue;
		error->code = NETWATCH__ERROR__CODE__PERMISSION;
		snprintf(error->message, sizeof(error->message),
			 "uid %u: you may see sockets of your own uid only", uid);
		return -EPERM;
	}
	return 0;
}
