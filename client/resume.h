/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * --reconnect: how long to wait for the collector, from where to go on, and what to tell of the
 * time without it. Where the same collector has a history, it is asked for the last event that came
 * and what followed: when that event is there, nothing is missing and nothing is told twice.
 */
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
#define RESUME_LOST_MAX 128 /* bytes of an Event with a loss; a longer one is not held back */

struct resume {
	bool wanted;	       /* the stream broke off: connect again */
	bool gap;	       /* is to be told before the next event */
	bool restarted;	       /* the collector is another one */
	unsigned tries;	       /* since it was connected */
	uint64_t epoch;	       /* of the collector, after the first hello */
	struct timespec begin; /* of the gap: time of the last event, or of the subscription */

	/* The last event of those that a history has. */
	struct {
		struct timespec time;
		uint64_t id;
		unsigned count; /* how many came with that time and id; 0: there is no such event */
	} place;
	bool asked;		       /* for the place and what followed */
	bool filled;		       /* that is what comes now */
	unsigned skip;		       /* so many at the place were told before */
	uint8_t held[RESUME_LOST_MAX]; /* a loss behind which nothing came so far */
	size_t held_size;
};

/* Milliseconds to wait: doubling from RESUME_FIRST_MS, of which a random half is left out. */
int resume_delay(struct resume *resume);

/* The collector said hello: a gap before this is to be told. */
void resume_hello(struct resume *resume, uint64_t epoch);

/*
 * After a hello that was not the first: can the stream go on from the place? Then that is what the
 * collector is asked for.
 */
bool resume_from_place(struct resume *resume);
/* If not, it is asked for so much of its history, which may be another one's. At least 1. */
uint64_t resume_since_ms(const struct resume *resume);

/* Before an event, is there something to tell, or to look for? */
bool resume_has_work(const struct resume *resume);

/*
 * Before an event of a stream that goes on is told. True: it was told before. At the place the gap
 * is filled, and what was held with it; but not when it is partial: events were asked for of which
 * there is no history.
 */
bool resume_was_told(struct resume *resume, const struct event *event, bool partial);

/* Events are received from now on: what is lost begins later. */
void resume_live(struct resume *resume);

/* Keeps the event's time, and its place if a history has it. */
void resume_seen(struct resume *resume, const struct event *event);

/*
 * Keeps a loss of this client's queue, which the history may fill if nothing comes behind it.
 * False: it is another one, and to be told now.
 */
bool resume_hold(struct resume *resume, const struct event *lost);

/*
 * Writes an Event with the loss to data; its end is now. The cause is RESTART, or that this
 * client's queue was given up when the collector is the same one. Returns its size.
 */
size_t resume_take_gap(struct resume *resume, uint8_t data[RESUME_LOST_MAX]);

#endif
