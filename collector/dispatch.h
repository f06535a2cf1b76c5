/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the ring to the streams of the slots, in order. A mark is something that happens at
 * a position of the ring, between the records that were reserved before it was set and
 * those after; what was lost until then is told before it.
 */
#ifndef NETWATCH_DISPATCH_H
#define NETWATCH_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "kernel_side.h"

struct dispatch;
struct filter;
struct event_base;
struct nw_shared;
struct remember;
struct ring;
struct stream;

/* Embedded in what waits for it, so that setting one cannot fail. */
struct dispatch_mark {
	TAILQ_ENTRY(dispatch_mark) link; /* dispatch.marks */
	bool set;
	uint64_t position;
	uint64_t time_ns;	 /* when it was set */
	uint64_t lost[NW_SLOTS]; /* totals at that time */
	void (*reached)(void *arg);
	void *arg;
};

/* ring_fd: the map of ring. NULL with errno set. */
struct dispatch *dispatch_new(struct event_base *base, struct ring *ring, int ring_fd,
			      struct nw_shared *shared);
void dispatch_free(struct dispatch *dispatch);

/* While stopped the ring is not read and nothing wakes the collector. */
void dispatch_start(struct dispatch *dispatch);
void dispatch_stop(struct dispatch *dispatch);
/* See drain_serves. */
bool dispatch_serves(struct dispatch *dispatch);

/*
 * Records with this slot's bit go to stream from now on; losses until now are not its. The filter,
 * which says what the slot may see, stays until it is closed.
 */
void dispatch_open(struct dispatch *dispatch, unsigned slot, struct stream *stream,
		   const struct filter *filter);
void dispatch_close(struct dispatch *dispatch, unsigned slot);

/* Records with the bit of a slot whose filter is `remembered` go there instead. */
void dispatch_set_remember(struct dispatch *dispatch, struct remember *remember);

/*
 * Calls reached(arg) when everything before the ring's end of now has been handed on; the
 * mark, which must not be set already, is the caller's again by then.
 */
void dispatch_set_mark(struct dispatch *dispatch, struct dispatch_mark *mark,
		       void (*reached)(void *arg), void *arg);
/* Legal for a mark that is not set. */
void dispatch_unset_mark(struct dispatch *dispatch, struct dispatch_mark *mark);

#endif
