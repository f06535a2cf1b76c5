/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Slots: distinct filters with their readers, and the life of each: its tables are written
 * and published, its bit is set; later its bit is cleared, and after a grace period and the
 * last record that can carry it, the bit is free. See "Life of a slot" in doc/implement.md.
 */
#ifndef NETWATCH_SLOTS_H
#define NETWATCH_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filter.h"
#include "stream.h"

#define SLOTS_PER_UID 16 /* distinct filters of one user at once; root is exempt */
#define SLOTS_ROOT    4	 /* of all slots, kept for root */

struct event_base;
struct probe;
struct remember;
struct ring;
struct slots;
struct walks;

/* ring_fd: the map of ring. NULL with errno set. */
struct slots *slots_new(struct event_base *base, struct probe *probe, struct walks *walks,
			struct ring *ring, int ring_fd);
/* All readers must have left or be abandoned. */
void slots_free(struct slots *slots);

/*
 * Puts reader to the slot of this filter (copied). Its ops tell what becomes of it: rows and
 * live, or refused, not before this returns. -EINVAL with *why when a limit forbids it.
 */
int slots_join(struct slots *slots, struct reader *reader, const struct filter *filter,
	       struct filter_error *why);
/* The reader wants no more: what is under way still comes, then ops->left. */
void slots_leave(struct slots *slots, struct reader *reader);
/* The reader is gone: it is forgotten at once, without a call. Legal at any time. */
void slots_abandon(struct slots *slots, struct reader *reader);

/* Marks of those who are no readers, and who remembers: see dispatch.h. */
void slots_set_mark(struct slots *slots, struct dispatch_mark *mark, void (*reached)(void *arg),
		    void *arg);
void slots_unset_mark(struct slots *slots, struct dispatch_mark *mark);
void slots_set_remember(struct slots *slots, struct remember *remember);
/*
 * Is the ring being read, and do grace periods pass? Compares with the last time this was asked:
 * false if something was to be done then and nothing of it has been. Says what it is.
 */
bool slots_serve(struct slots *slots);

/* The number of a reader's slot; it has one from live to left. */
unsigned slots_number(const struct reader *reader);
/* Events that carried this reader's bit so far. */
uint64_t slots_matched(const struct reader *reader);
/* Of these, those that its filter dropped in the collector. */
uint64_t slots_filtered(const struct reader *reader);

#endif
