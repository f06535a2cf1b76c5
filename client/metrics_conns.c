// SPDX-License-Identifier: GPL-2.0-only
// Connections by what was last said of each; who is not heard of any more is gone.
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "metrics.h"
#include "metrics_conns.h"

#define REPORTS_MISSED 3    /* intervals without one, after which a connection is gone */
#define REPORTS_LATE   5000 /* and so many milliseconds */

static struct conns conns;
static int64_t interval; /* of reports, or 0 */
static bool live;

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The name of an enum's value in small letters, in a static buffer; or "other". */
const char *metrics_name(const ProtobufCEnumDescriptor *names, int value)
{
	const ProtobufCEnumValue *name = protobuf_c_enum_descriptor_get_value(names, value);
	static char text[METRICS_VALUE_MAX];
	size_t i = 0;

	if (!name)
		return METRICS_OTHER;
	for (; name->name[i] && i < sizeof(text) - 1; i++)
		text[i] = (char)tolower((unsigned char)name->name[i]);
	text[i] = '\0';
	return text;
}

const char *metrics_role(Netwatch__Role role)
{
	if (role == NETWATCH__ROLE__CLIENT)
		return metrics_roles[0];
	return role == NETWATCH__ROLE__SERVER ? metrics_roles[1] : "unknown";
}

struct metrics_conn *metrics_conns_find(const Netwatch__Event *event)
{
	const Netwatch__Connection *who = event->connection;

	return who && who->has_id ? conns_find(&conns, who->id) : NULL;
}

struct metrics_conn *metrics_conns_get(const Netwatch__Event *event)
{
	const Netwatch__Connection *who = event->connection;
	struct metrics_conn *c;

	if (!who || !who->has_id)
		return NULL;
	c = conns_get(&conns, who->id);
	if (!c) {
		metrics_add(METRICS_UNTRACKED, NULL, 1);
		return NULL;
	}
	c->entry.generation = conns.generation;
	c->told = now_ms();
	c->lport = who->lport;
	if (who->has_role)
		c->role = who->role;
	return c;
}

void metrics_conns_remove(struct metrics_conn *c)
{
	conns_remove(&conns, c);
}

/* Counters of a connection grow; what was lost on the way is in the next report. */
void metrics_conns_advance(struct metrics_conn *c, bool has, uint64_t received, uint64_t acked)
{
	if (!has)
		return;
	if (c->based && received >= c->received)
		metrics_add(METRICS_BYTES, METRICS_VALUES("receive"), received - c->received);
	if (c->based && acked >= c->acked)
		metrics_add(METRICS_BYTES, METRICS_VALUES("transmit"), acked - c->acked);
	c->based = true;
	c->received = received;
	c->acked = acked;
}

static const char *port_of(const struct metrics_conn *c)
{
	static char port[16];

	snprintf(port, sizeof(port), "%u", c->lport);
	return port;
}

void metrics_conns_drop(struct metrics_conn *c, uint32_t drops)
{
	metrics_add(METRICS_LISTEN_DROPS, METRICS_VALUES(port_of(c)),
		    c->based ? drops - c->drops : 0);
	c->based = true;
	c->drops = drops;
}

void metrics_conns_init(void)
{
	conns_init(&conns, sizeof(struct metrics_conn), CONNS_MAX);
}

void metrics_conns_deinit(void)
{
	conns_deinit(&conns);
}

void metrics_conns_begin(void)
{
	conns_renew(&conns);
}

void metrics_conns_live(void)
{
	conns_remove_old(&conns);
	live = true;
}

void metrics_conns_down(void)
{
	live = false;
}

void metrics_conns_expect_reports(uint64_t interval_ms)
{
	interval = (int64_t)interval_ms;
}

static void remove_silent(void)
{
	int64_t since = now_ms() - REPORTS_MISSED * interval - REPORTS_LATE;
	struct conns_entry *entry, *next;

	if (!interval || !live)
		return;
	for (entry = TAILQ_FIRST(&conns.list); entry; entry = next) {
		next = TAILQ_NEXT(entry, link);
		if (((struct metrics_conn *)entry)->told < since)
			conns_remove(&conns, entry);
	}
}

void metrics_conns_count(void)
{
	const struct conns_entry *entry;

	remove_silent();
	metrics_clear(METRICS_CONNECTIONS);
	metrics_clear(METRICS_BACKLOG);
	metrics_clear(METRICS_BACKLOG_LIMIT);
	TAILQ_FOREACH (entry, &conns.list, link) {
		const struct metrics_conn *c = (const struct metrics_conn *)entry;

		metrics_add(METRICS_CONNECTIONS,
			    METRICS_VALUES(metrics_name(&netwatch__tcp__state__descriptor,
							(int)c->state),
					   metrics_role(c->role)),
			    1);
		if (!c->listens)
			continue;
		metrics_add(METRICS_BACKLOG, METRICS_VALUES(port_of(c)), c->backlog);
		metrics_add(METRICS_BACKLOG_LIMIT, METRICS_VALUES(port_of(c)), c->limit);
		metrics_add(METRICS_LISTEN_DROPS, METRICS_VALUES(port_of(c)), 0);
	}
	metrics_sweep(METRICS_LISTEN_DROPS); /* of ports where nobody listens any more */
}
