/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reports of category tcpinfo: the intervals that slots ask for, a timer for each that is in
 * use, and at each of its ticks an iteration over the sockets that are watched.
 */
#ifndef NETWATCH_REPORTS_H
#define NETWATCH_REPORTS_H

#include <stdbool.h>
#include <stdint.h>

#define REPORTS_MS_MIN	   100
#define REPORTS_MS_DEFAULT 1000

struct dispatch;
struct event_base;
struct probe;
struct reports;

/* NULL with errno set. */
struct reports *reports_new(struct event_base *base, struct probe *probe,
			    struct dispatch *dispatch);
void reports_free(struct reports *reports);

/*
 * Number of the interval of so many milliseconds, for one more slot; -1: NW_INTERVALS others are
 * in use. Each taken is given back when no record can carry the slot's bit any more.
 */
int reports_take(struct reports *reports, uint32_t ms);
void reports_give_back(struct reports *reports, int number);

/* Sets or clears a slot's bit in the interval's word, when those of its want words are. */
void reports_set(struct reports *reports, int number, uint64_t bit, bool on);

#endif
