/* SPDX-License-Identifier: GPL-2.0-only */
/* What `top` shows: the connections by their last report of tcpinfo, and the sums over them. */
#ifndef NETWATCH_TOP_TABLE_H
#define NETWATCH_TOP_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conns.h"

struct event;
struct output;

/* Bytes with their end; what is longer is cut. */
#define TOP_PROCESS_SIZE  72
#define TOP_ENDPOINT_SIZE 56
#define TOP_USER_SIZE	  33

#define TOP_STATES 16 /* values of Tcp.State are below it */

#define TOP_UNKNOWN (-1) /* of the numbers below */

struct top_row {
	struct conns_entry entry;
	char process[TOP_PROCESS_SIZE]; /* escaped, as are those below */
	char local[TOP_ENDPOINT_SIZE], remote[TOP_ENDPOINT_SIZE];
	char user[TOP_USER_SIZE];
	int64_t uid, state, role;
	int64_t received, sent, rate; /* bytes per second; the last is both together */
	int64_t retransmits, recent;  /* segments: all, and those since the report before */
	int64_t srtt_us, cwnd, age_us;
	int64_t backlog, max_backlog, drops; /* of a listener */
	double retransmits_per_s;

	/* of the last report */
	bool based; /* the three below are known */
	uint64_t bytes_received, bytes_acked, segs_retransmitted;
	int64_t time_ns;  /* of the event */
	unsigned told_at; /* tick */
};

/* Sums over what is there, and over what ended between the last two ticks. */
struct top_sums {
	double received, sent, retransmits; /* per second */
	size_t connections, by_state[TOP_STATES];
	uint64_t untold; /* connections between the last two ticks for which there was no room */
	uint64_t lost, gaps; /* events; gaps of which nobody knows how many */
};

struct top_table {
	struct conns conns;
	double interval_s;
	unsigned tick;
	struct top_sums ended, ended_before; /* rates and untold: since the tick, and before it */
	uint64_t lost, gaps;
	const struct top_row **sorted; /* room for as many as the last sort had */
	size_t room;
};

/* interval_ms: between reports. most: connections. 0 or -ENOMEM. */
int top_table_init(struct top_table *table, int64_t interval_ms, size_t most);
void top_table_deinit(struct top_table *table);

/* Forgets the connections: they are told again. */
void top_table_clear(struct top_table *table);

/* Takes a report, or a loss; others are none of its business. scratch: any, left as it was. */
void top_table_take(struct top_table *table, struct output *scratch, const struct event *event);

/* An interval is over: who was not heard of for some is gone. */
void top_table_tick(struct top_table *table);

struct top_sums top_table_sums(const struct top_table *table);

typedef int top_compare_fn(const struct top_row *a, const struct top_row *b, unsigned by);

/*
 * The rows, conns.count of them, in the order of compare, or against it; equal ones by id, so that
 * they stay where they are. They are valid until the table changes. NULL: out of memory.
 */
const struct top_row **top_table_sort(struct top_table *table, top_compare_fn *compare, unsigned by,
				      bool reverse);

#endif
