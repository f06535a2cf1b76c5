/* SPDX-License-Identifier: GPL-2.0-only */
/* The connections that exist, behind the gauges of `export` and its bytes. */
#ifndef NETWATCH_METRICS_CONNS_H
#define NETWATCH_METRICS_CONNS_H

#include <stdbool.h>
#include <stdint.h>

#include "netwatch.pb-c.h"
#include "conns.h"

struct metrics_conn {
	struct conns_entry entry;
	Netwatch__Tcp__State state;
	Netwatch__Role role; /* or 0 */
	uint32_t lport, backlog, limit, drops;
	bool listens; /* and said so in a report */
	bool based;   /* the two below, or drops, are known */
	uint64_t received, acked;
	int64_t told; /* monotonic ms of the last word */
};

void metrics_conns_init(void);
void metrics_conns_deinit(void);

/* That of the event, or NULL; get makes one, unless there are too many, and keeps who it is. */
struct metrics_conn *metrics_conns_find(const Netwatch__Event *event);
struct metrics_conn *metrics_conns_get(const Netwatch__Event *event);
void metrics_conns_remove(struct metrics_conn *c);

/* Its counters now: what they grew by goes to the bytes. has: they are known. */
void metrics_conns_advance(struct metrics_conn *c, bool has, uint64_t received, uint64_t acked);

/* The same of what a listening socket dropped. */
void metrics_conns_drop(struct metrics_conn *c, uint32_t drops);

/* See metrics_events.h. */
void metrics_conns_begin(void);
void metrics_conns_live(void);
void metrics_conns_down(void);
void metrics_conns_expect_reports(uint64_t interval_ms);

/* Makes the gauges. */
void metrics_conns_count(void);

/* A name of a label's value, in a static buffer: in small letters; or "other". */
const char *metrics_name(const ProtobufCEnumDescriptor *names, int value);
const char *metrics_role(Netwatch__Role role);

#endif
