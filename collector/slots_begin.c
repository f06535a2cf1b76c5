// SPDX-License-Identifier: GPL-2.0-only
/* How readers begin: a mark in the ring, a walk that shows what exists, and they are live. */
#include <errno.h>
#include <stddef.h>

#include <event2/event.h>

#include "event.h"
#include "filter.h"
#include "grace.h"
#include "slots_table.h"

static void joined(void *arg)
{
	struct reader *reader = arg;

	TAILQ_REMOVE(&reader->slot->waiting, reader, link);
	stream_join(&reader->slot->stream, reader);
	reader->joined = true;
	if (reader->ops->joined)
		reader->ops->joined(reader);
	if (reader->state == READER_JOINING)
		reader->state = READER_READING;
}

/* A program that began before the slot's bit was set may still tell an event without it. */
static bool may_begin(const struct slots *slots, const struct slot *slot,
		      const struct reader *reader)
{
	return reader->state == READER_WAITING &&
	       (!reader->seamless || grace_passed(slots->grace, slot->ticket));
}

/* Readers that wait in live slots: their bits are set and their tables in use. */
static void begin_readers(struct slots *slots)
{
	uint64_t whole = 0;

	slots->n_beginning = 0;
	for (unsigned i = 0; i < NW_SLOTS; i++) {
		struct slot *slot = &slots->slot[i];
		unsigned shown = 0;
		struct reader *reader;

		if (slot->state != SLOT_LIVE)
			continue;
		TAILQ_FOREACH (reader, &slot->waiting, link) {
			if (!may_begin(slots, slot, reader) ||
			    slots->n_beginning == READERS_AT_ONCE)
				continue;
			dispatch_set_mark(slots->dispatch, &reader->join, joined, reader);
			reader->state = READER_JOINING;
			reader->start_ns = event_monotonic();
			slots->beginning[slots->n_beginning++] = reader;
			shown += reader->existing;
		}
		if (shown && shown == slot->active)
			whole |= 1ULL << i;
	}
	if (slots->n_beginning)
		slots->shared->beginning_ns = slots->beginning[0]->start_ns;
	__atomic_store_n(&slots->shared->beginning, whole, __ATOMIC_RELEASE);
}

static void tell_live(struct slots *slots)
{
	slots->shared->beginning = 0;
	for (size_t i = 0; i < slots->n_beginning; i++)
		slots->beginning[i]->ops->live(slots->beginning[i]);
	if (slots->n_beginning == READERS_AT_ONCE)
		event_active(slots->pump, EV_TIMEOUT, 0);
}

static struct slots *slots_of(struct walk_request *request)
{
	return (struct slots *)(void *)((char *)request - offsetof(struct slots, walk));
}

static void on_walk(struct walk_request *request)
{
	begin_readers(slots_of(request));
}

/* What was told since the reader began, or waits to be told to it, comes as an event. */
static bool comes(const struct reader *reader, const struct nw_row *row)
{
	const struct slots *slots = reader->slot->slots;
	uint64_t bit = 1ULL << slots_index(reader->slot);

	if (row->parked == NW_ROW_SHOWN)
		return !(slots->shared->beginning & bit);
	return row->parked || row->told_ns >= reader->start_ns;
}

static void on_row(struct walk_request *request, const struct nw_full_row *full)
{
	const struct slots *slots = slots_of(request);
	const struct nw_row *row = &full->row;
	const struct slot *judged = NULL;
	bool accepted = false;

	for (size_t i = 0; i < slots->n_beginning; i++) {
		struct reader *reader = slots->beginning[i];

		if (!reader->existing || comes(reader, row))
			continue;
		if (reader->slot != judged) {
			judged = reader->slot;
			accepted = filter_accepts(judged->filter, row);
		}
		if (accepted)
			reader->ops->row(reader, row);
	}
}

static void on_walked(struct walk_request *request, int err)
{
	(void)err; /* was logged; events come all the same */
	tell_live(slots_of(request));
}

/*
 * A new filter needs a walk, which finds the owners of the sockets that it is about, and
 * so does who wants rows.
 */
void slots_begin(struct slots *slots, bool published)
{
	bool walk = published, any = false;

	for (unsigned i = 0; i < NW_SLOTS; i++) {
		const struct reader *reader;

		if (slots->slot[i].state != SLOT_LIVE)
			continue;
		TAILQ_FOREACH (reader, &slots->slot[i].waiting, link) {
			any |= reader->state == READER_WAITING;
			walk |= reader->existing;
		}
	}
	if (any && walk) {
		walks_ask(slots->walks, &slots->walk);
	} else if (any && !slots->walk.state) {
		begin_readers(slots);
		tell_live(slots);
	}
}

void slots_begin_init(struct slots *slots)
{
	slots->walk = (struct walk_request){.begin = on_walk, .row = on_row, .done = on_walked};
}
