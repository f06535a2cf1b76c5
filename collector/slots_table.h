/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of slots share: the table of slots, and who waits for what. */
#ifndef NETWATCH_SLOTS_TABLE_H
#define NETWATCH_SLOTS_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "dispatch.h"
#include "kernel_side.h"
#include "stream.h"
#include "walk.h"

struct event;
struct filter;
struct filter_error;
struct grace;
struct probe;
struct reports;
struct tables;
struct times;

#define READERS_AT_ONCE 64 /* that share a walk; more wait for the next */

enum slot_state {
	SLOT_FREE,
	SLOT_WAITING, /* for its tables */
	SLOT_LIVE,
	SLOT_CLOSING, /* its bit is cleared, but records may still carry it */
};

enum reader_state {
	READER_NONE,
	READER_QUEUED,	/* in slots.queue, for a slot that is closing */
	READER_WAITING, /* in slot.waiting, for the tables */
	READER_JOINING, /* in slot.waiting, for its mark */
	READER_READING, /* in stream.readers */
	READER_LEAVING, /* in stream.readers or slot.waiting, for its mark */
};

struct slot {
	struct slots *slots;
	enum slot_state state;
	struct filter *filter;
	struct stream stream;
	struct reader_list waiting;
	unsigned active; /* readers that have not asked to leave */
	uint32_t uid;	 /* who asked for it first */
	int interval;	 /* of reports; < 0: none */
	uint64_t ticket; /* grace period after its bit was set, or, CLOSING, cleared */
	struct dispatch_mark end;
};

struct slots {
	struct slot slot[NW_SLOTS];
	struct probe *probe;
	struct nw_shared *shared;
	struct tables *tables;
	struct grace *grace;
	struct dispatch *dispatch;
	struct times *times;
	struct reports *reports;
	struct event *pump; /* something waits to begin */
	struct event *parked;
	struct reader_list queue;
	struct walks *walks;
	struct walk_request walk; /* for those who begin */
	struct walk_request look; /* for parked events */
	struct reader *beginning[READERS_AT_ONCE];
	size_t n_beginning;
	uint64_t flip_ticket; /* grace period after the last publication */
};

static inline unsigned slots_index(const struct slot *slot)
{
	return (unsigned)(slot - slot->slots->slot);
}

/*
 * slots_place.c: finds a slot for a reader, and puts it to those who wait there. 0; -EAGAIN:
 * a slot is about to be free, it may be queued; -EINVAL with *why: a limit.
 */
int slots_place(struct slots *slots, struct reader *reader, const struct filter *filter,
		struct filter_error *why);
/* Waits for a slot that is closing. 0 or -ENOMEM. */
int slots_queue(struct slots *slots, struct reader *reader, const struct filter *filter);
void slots_unqueue(struct slots *slots, struct reader *reader);
void slots_place_queued(struct slots *slots);

/*
 * slots_begin.c: readers that wait in live slots get their rows and begin. `published`: with
 * new filters.
 */
void slots_begin(struct slots *slots, bool published);
void slots_begin_init(struct slots *slots);

#endif
