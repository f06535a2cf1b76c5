/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When the ring is read. While events flow, every millisecond; when it was found empty the
 * collector arms the wake-up and sleeps. A turn is bounded, so that clients are served.
 */
#ifndef NETWATCH_DRAIN_H
#define NETWATCH_DRAIN_H

#include <stdbool.h>
#include <stddef.h>

struct drain;
struct event_base;
struct nw_shared;
struct ring;

/* turn(arg, budget) reads at most budget records and returns how many. NULL with errno set. */
struct drain *drain_new(struct event_base *base, struct ring *ring, int ring_fd,
			struct nw_shared *shared, size_t (*turn)(void *arg, size_t budget),
			void *arg);
void drain_free(struct drain *drain);

/* While stopped nothing wakes the collector. */
void drain_start(struct drain *drain);
void drain_stop(struct drain *drain);
/*
 * Has the ring been read since the last time this was asked? False if something was in it then, and
 * is still the next to be read.
 */
bool drain_serves(struct drain *drain);
/* A turn soon, whether or not there are records. */
void drain_kick(struct drain *drain);

#endif
