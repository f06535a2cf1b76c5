// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <event2/event.h>

#include "drain.h"
#include "kernel_side.h"
#include "ring.h"

#define TURN_RECORDS 4096 /* then clients have their turn */
#define FLUSH_USEC   1000
#define SAFETY_USEC  100000 /* a wake-up missed between CPUs would cost no more than this */

struct drain {
	struct ring *ring;
	struct nw_shared *shared;
	struct event *wakeup;
	struct event *timer;
	bool running;
	bool behind;	   /* when last asked, something was to be read */
	uint64_t position; /* of it */
	size_t (*turn)(void *arg, size_t budget);
	void *arg;
};

static void sleep_for(struct drain *drain, suseconds_t usec)
{
	struct timeval tv = {.tv_usec = usec};

	evtimer_add(drain->timer, &tv);
}

/*
 * A program reads `armed` after it reserved and before it submits. So if nothing is reserved
 * after arming, whoever comes later sees it; if something is, it may not have been seen.
 */
static bool arm(struct drain *drain)
{
	__atomic_store_n(&drain->shared->armed, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return ring_end(drain->ring) == ring_position(drain->ring);
}

static void on_turn(evutil_socket_t fd, short what, void *data)
{
	struct drain *drain = data;
	size_t n;

	(void)fd;
	(void)what;
	__atomic_store_n(&drain->shared->armed, 0, __ATOMIC_RELAXED);
	n = drain->turn(drain->arg, TURN_RECORDS);
	if (!drain->running)
		return;
	if (n == TURN_RECORDS)
		sleep_for(drain, 0);
	else if (n || !arm(drain))
		sleep_for(drain, FLUSH_USEC);
	else
		sleep_for(drain, SAFETY_USEC);
}

struct drain *drain_new(struct event_base *base, struct ring *ring, int ring_fd,
			struct nw_shared *shared, size_t (*turn)(void *arg, size_t budget),
			void *arg)
{
	struct drain *drain = calloc(1, sizeof(*drain));

	if (!drain)
		return NULL;
	drain->ring = ring;
	drain->shared = shared;
	drain->turn = turn;
	drain->arg = arg;
	/* Level-triggered, a ring that is not read at once would spin. */
	drain->wakeup = event_new(base, ring_fd, EV_READ | EV_ET | EV_PERSIST, on_turn, drain);
	drain->timer = evtimer_new(base, on_turn, drain);
	if (drain->wakeup && drain->timer)
		return drain;
	drain_free(drain);
	errno = ENOMEM;
	return NULL;
}

void drain_free(struct drain *drain)
{
	if (!drain)
		return;
	if (drain->wakeup)
		event_free(drain->wakeup);
	if (drain->timer)
		event_free(drain->timer);
	free(drain);
}

void drain_start(struct drain *drain)
{
	if (drain->running)
		return;
	drain->running = true;
	event_add(drain->wakeup, NULL);
	drain_kick(drain);
}

void drain_stop(struct drain *drain)
{
	drain->running = false;
	drain->shared->armed = 0;
	event_del(drain->wakeup);
	evtimer_del(drain->timer);
}

bool drain_serves(struct drain *drain)
{
	uint64_t position = ring_position(drain->ring);
	bool stuck = drain->behind && drain->position == position;

	drain->behind = drain->running && ring_end(drain->ring) != position;
	drain->position = position;
	return !stuck || !drain->behind;
}

void drain_kick(struct drain *drain)
{
	sleep_for(drain, 0);
}
