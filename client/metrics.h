/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What `export` counts: a table of families, each with a bounded number of series; what is beyond
 * the bound is counted in a series whose labels are "other". Nothing here knows events; see
 * metrics_events.c. Not for several threads at once.
 */
#ifndef NETWATCH_METRICS_H
#define NETWATCH_METRICS_H

#include <stddef.h>
#include <stdint.h>

struct output;

#define METRICS_LABELS_MAX 3
#define METRICS_VALUE_MAX  64 /* bytes of a label's value with its end; longer ones are cut */
#define METRICS_BOUNDS_MAX 16
#define METRICS_OTHER	   "other"
#define METRICS_PORTS	   64 /* listening ports with series of their own, unless told */
#define METRICS_PORTS_MAX  1024

enum metrics_family {
	METRICS_UP,
	METRICS_BUILD,
	METRICS_CONNECTIONS,
	METRICS_UNTRACKED,
	METRICS_CONNECTS,
	METRICS_DURATION,
	METRICS_CLOSES,
	METRICS_HANDSHAKE,
	METRICS_RTT,
	METRICS_BYTES,
	METRICS_RETRANSMITS,
	METRICS_RESETS,
	METRICS_ERRORS,
	METRICS_DROPS,
	METRICS_BACKLOG,
	METRICS_BACKLOG_LIMIT,
	METRICS_LISTEN_DROPS,
	METRICS_LAYERS,
	METRICS_HTTP_SERVER,
	METRICS_HTTP_CLIENT,
	METRICS_HTTP_UNKNOWN,
	METRICS_HTTP_MISSED,
	METRICS_EVENTS,
	METRICS_LOST,
	METRICS_GAPS,
	METRICS_UNSEEN,
	METRICS_NO_STORAGE,
	METRICS_NO_PLACE,
	METRICS_SUBSCRIBERS,
	METRICS_DISCONNECTS,
	METRICS_HISTORY,
	METRICS_HISTORY_LIMIT,
	METRICS_HISTORY_BYTES,
	METRICS_HISTORY_OLDEST,
	METRICS_COLLECTOR,
	METRICS_UPTIME,
	METRICS_CPU,
	METRICS_BPF_SECONDS,
	METRICS_BPF_RUNS,
	METRICS_BPF_MISSED,
	METRICS_FAMILIES
};

/* Those of a label's values that are there from the beginning, ended by NULL. */
extern const char *const metrics_roles[], *const metrics_results[];

/* 0 or -ENOMEM. ports: how many listening ports have series of their own. */
int metrics_init(uint64_t ports);
void metrics_deinit(void);

/*
 * To a series, by the values of its family's labels in order; those that are not there are not
 * looked at. Without memory for a new series nothing is counted.
 *
 * add: to a counter, or to a gauge since metrics_clear. set: a gauge, or a counter that another
 * one counts. observe: a histogram; nanoseconds.
 */
void metrics_add(enum metrics_family family, const char *const *values, uint64_t count);
void metrics_set(enum metrics_family family, const char *const *values, uint64_t value);
void metrics_observe(enum metrics_family family, const char *const *values, uint64_t nanoseconds);

#define METRICS_VALUES(...) ((const char *const[METRICS_LABELS_MAX]){__VA_ARGS__})

/* Forgets the series of a gauge, or of a counter that another one counts. */
void metrics_clear(enum metrics_family family);

/* Forgets those of a counter to which nothing was added, not even 0, since the last time. */
void metrics_sweep(enum metrics_family family);

/* All of it in Prometheus' text format; output->err when it does not fit. */
void metrics_write(struct output *output);

#endif
