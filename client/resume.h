/* SPDX-License-Identifier: GPL-2.0-only */
/* --reconnect: how long to wait for the collector, and what to tell of the time without it. */
#ifndef NETWATCH_RESUME_H
#define NETWATCH_RESUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "schema.h"

struct event;
struct session;

#define RESUME_FIRST_MS 100
#define RESUME_MOST_MS	5000

struct resume {
	bool wanted;	       /* the stream broke off: connect again */
	bool gap;	       /* is to be told before the next event */
	bool restarted;	       /* the collector is another one */
	unsigned tries;	       /* since it was connected */
	uint64_t epoch;	       /* of the collector, after the first hello */
	struct timespec begin; /* of the gap: time of the last event, or of the subscription */
};

/* Milliseconds to wait: doubling from RESUME_FIRST_MS, of which a random half is left out. */
int resume_delay(struct resume *resume);

/* The collector said hello: a gap before this is to be told. */
void resume_hello(struct resume *resume, uint64_t epoch);

/* Events are received from now on: what is lost begins later. */
void resume_live(struct resume *resume);

/* Keeps the event's time. */
void resume_seen(struct resume *resume, const struct event *event);

/*
 * Writes an Event with the loss to data; its end is now. The cause is RESTART, or that this
 * client's queue was given up when the collector is the same one. Returns its size, at most
 * RESUME_GAP_MAX.
 */
#define RESUME_GAP_MAX 128
size_t resume_take_gap(struct resume *resume, uint8_t data[RESUME_GAP_MAX]);

#endif
