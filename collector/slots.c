// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "event.h"
#include "grace.h"
#include "log.h"
#include "probe.h"
#include "reports.h"
#include "slots.h"
#include "slots_table.h"
#include "tables.h"
#include "times.h"
#include "walk.h"

#define PARKED_USEC 250000 /* how often parked events are looked for */

/* -------------------------------------------------------- life of a slot */

static uint64_t all_wants(const struct slots *slots)
{
	uint64_t wants = 0;

	for (unsigned i = 0; i < NW_SLOTS; i++) {
		if (slots->slot[i].state != SLOT_FREE)
			wants |= slots->slot[i].filter->wants;
	}
	return wants;
}

static void free_slot(void *arg)
{
	struct slot *slot = arg;
	struct slots *slots = slot->slots;
	uint64_t wants;
	int err;

	dispatch_close(slots->dispatch, slots_index(slot));
	free(slot->filter);
	slot->filter = NULL;
	if (slot->interval >= 0)
		reports_give_back(slots->reports, slot->interval);
	stream_deinit(&slot->stream);
	slot->state = SLOT_FREE;
	event_active(slots->pump, EV_TIMEOUT, 0);
	wants = all_wants(slots);
	err = probe_attach(slots->probe, wants);
	times_want(slots->times, wants & 1ULL << NW_WANT_PACKET_TIMES);
	if (err || wants)
		return;
	dispatch_stop(slots->dispatch);
	evtimer_del(slots->parked);
	err = walk_forget(slots->probe);
	if (err)
		log_error("forgetting sockets: %s", strerror(-err));
}

static void left(void *arg)
{
	struct reader *reader = arg;

	stream_leave(&reader->slot->stream, reader);
	reader->joined = false;
	reader->state = READER_NONE;
	reader->end_ns = event_monotonic();
	reader->ops->left(reader);
}

static void set_bit(struct slots *slots, const struct slot *slot, bool on)
{
	uint64_t bit = 1ULL << slots_index(slot);

	if (slot->interval >= 0)
		reports_set(slots->reports, slot->interval, bit, on);
	for (unsigned i = 0; i < NW_WANTS; i++) {
		if (!(slot->filter->wants & 1ULL << i))
			continue;
		if (on)
			__atomic_fetch_or(&slots->shared->want[i], bit, __ATOMIC_SEQ_CST);
		else
			__atomic_fetch_and(&slots->shared->want[i], ~bit, __ATOMIC_SEQ_CST);
	}
}

static void refuse_waiting(struct slots *slots, int err)
{
	struct filter_error why = {.code = NETWATCH__ERROR__CODE__UNAVAILABLE};

	snprintf(why.message, sizeof(why.message), "the kernel refused the subscription: %s",
		 strerror(-err));
	log_error("%s", why.message);
	for (unsigned i = 0; i < NW_SLOTS; i++) {
		struct slot *slot = &slots->slot[i];
		struct reader *reader;

		if (slot->state != SLOT_WAITING)
			continue;
		while ((reader = TAILQ_FIRST(&slot->waiting))) {
			TAILQ_REMOVE(&slot->waiting, reader, link);
			reader->state = READER_NONE;
			reader->ops->refused(reader, &why);
		}
		free_slot(slot);
	}
}

static int publish(struct slots *slots)
{
	const struct filter *filters[NW_SLOTS];
	uint64_t begun = 0; /* bits of slots */
	int err;

	for (unsigned i = 0; i < NW_SLOTS; i++) {
		const struct slot *slot = &slots->slot[i];

		filters[i] = slot->state == SLOT_WAITING || slot->state == SLOT_LIVE ? slot->filter
										     : NULL;
	}
	err = tables_publish(slots->tables, filters);
	if (err)
		return err;
	for (unsigned i = 0; i < NW_SLOTS; i++) {
		struct slot *slot = &slots->slot[i];

		if (slot->state != SLOT_WAITING)
			continue;
		slot->state = SLOT_LIVE;
		dispatch_open(slots->dispatch, i, &slot->stream, slot->filter);
		set_bit(slots, slot, true);
		begun |= 1ULL << i;
	}
	slots->flip_ticket = grace_begin(slots->grace);
	for (; begun; begun &= begun - 1)
		slots->slot[__builtin_ctzll(begun)].ticket = slots->flip_ticket;
	return 0;
}

static void watch_parked(struct slots *slots)
{
	struct timeval tv = {.tv_usec = PARKED_USEC};

	evtimer_add(slots->parked, &tv);
}

static int attach(struct slots *slots)
{
	uint64_t wants = all_wants(slots);
	int err = probe_attach(slots->probe, wants);

	if (err)
		return err;
	times_want(slots->times, wants & 1ULL << NW_WANT_PACKET_TIMES);
	dispatch_start(slots->dispatch);
	watch_parked(slots);
	return 0;
}

/* All changes that wait are written in one publication. */
static void on_pump(evutil_socket_t fd, short what, void *arg)
{
	struct slots *slots = arg;
	bool waiting = false;
	int err = -EAGAIN;

	(void)fd;
	(void)what;
	slots_place_queued(slots);
	for (unsigned i = 0; i < NW_SLOTS; i++)
		waiting |= slots->slot[i].state == SLOT_WAITING;
	if (waiting && grace_passed(slots->grace, slots->flip_ticket)) {
		err = attach(slots);
		if (!err)
			err = publish(slots);
		if (err)
			refuse_waiting(slots, err);
	}
	slots_begin(slots, !err);
}

static void close_slot(struct slots *slots, struct slot *slot)
{
	if (slot->state == SLOT_WAITING) {
		free_slot(slot);
		return;
	}
	set_bit(slots, slot, false);
	slot->state = SLOT_CLOSING;
	slot->ticket = grace_begin(slots->grace);
}

static void on_grace(void *arg)
{
	struct slots *slots = arg;

	for (unsigned i = 0; i < NW_SLOTS; i++) {
		struct slot *slot = &slots->slot[i];

		if (slot->state != SLOT_CLOSING || !slot->ticket ||
		    !grace_passed(slots->grace, slot->ticket))
			continue;
		slot->ticket = 0;
		dispatch_set_mark(slots->dispatch, &slot->end, free_slot, slot);
	}
	event_active(slots->pump, EV_TIMEOUT, 0);
}

static int wait_grace(void *arg)
{
	struct slots *slots = arg;

	return probe_grace(slots->probe);
}

/* Events that wait for too long are told with what a walk finds. */
static void on_parked(evutil_socket_t fd, short what, void *arg)
{
	struct slots *slots = arg;
	uint32_t now = (uint32_t)(event_monotonic() >> NW_PARK_SHIFT);
	uint32_t old = 0;

	(void)fd;
	(void)what;
	for (uint32_t i = 0; i < NW_PARK_COUNTERS; i++) {
		if (i != now % NW_PARK_COUNTERS && i != (now - 1) % NW_PARK_COUNTERS)
			old |= slots->shared->parked[i];
	}
	if (old)
		walks_ask(slots->walks, &slots->look);
	watch_parked(slots);
}

/* ------------------------------------------------------------- interface */

int slots_join(struct slots *slots, struct reader *reader, const struct filter *filter,
	       struct filter_error *why)
{
	int err;

	reader->joined = false;
	reader->end_ns = 0;
	err = slots_place(slots, reader, filter, why);
	if (err != -EAGAIN)
		return err;
	if (!slots_queue(slots, reader, filter))
		return 0;
	why->code = NETWATCH__ERROR__CODE__BUSY;
	snprintf(why->message, sizeof(why->message), "no memory for a filter");
	return -EINVAL;
}

void slots_leave(struct slots *slots, struct reader *reader)
{
	struct slot *slot = reader->slot;

	if (reader->state == READER_NONE || reader->state == READER_LEAVING)
		return;
	if (reader->state == READER_QUEUED) {
		slots_unqueue(slots, reader);
		reader->ops->left(reader);
		return;
	}
	slot->active--;
	if (reader->state == READER_WAITING) {
		TAILQ_REMOVE(&slot->waiting, reader, link);
		reader->state = READER_NONE;
		reader->ops->left(reader);
	} else {
		reader->state = READER_LEAVING;
		dispatch_set_mark(slots->dispatch, &reader->leave, left, reader);
	}
	if (!slot->active)
		close_slot(slots, slot);
}

void slots_abandon(struct slots *slots, struct reader *reader)
{
	struct slot *slot = reader->slot;

	if (reader->state == READER_QUEUED)
		slots_unqueue(slots, reader);
	if (reader->state == READER_NONE)
		return;
	dispatch_unset_mark(slots->dispatch, &reader->join);
	dispatch_unset_mark(slots->dispatch, &reader->leave);
	TAILQ_REMOVE(reader->joined ? &slot->stream.readers : &slot->waiting, reader, link);
	reader->joined = false;
	if (reader->state != READER_LEAVING && !--slot->active)
		close_slot(slots, slot);
	reader->state = READER_NONE;
}

void slots_set_mark(struct slots *slots, struct dispatch_mark *mark, void (*reached)(void *arg),
		    void *arg)
{
	dispatch_set_mark(slots->dispatch, mark, reached, arg);
}

void slots_unset_mark(struct slots *slots, struct dispatch_mark *mark)
{
	dispatch_unset_mark(slots->dispatch, mark);
}

void slots_set_remember(struct slots *slots, struct remember *remember)
{
	dispatch_set_remember(slots->dispatch, remember);
}

bool slots_serve(struct slots *slots)
{
	bool reads = dispatch_serves(slots->dispatch), graces = grace_serves(slots->grace);

	if (!reads)
		log_error("what is next in the ring cannot be read");
	if (!graces)
		log_error("a grace period of the kernel does not end");
	return reads && graces;
}

unsigned slots_number(const struct reader *reader)
{
	return slots_index(reader->slot);
}

uint64_t slots_matched(const struct reader *reader)
{
	if (reader->state == READER_READING || reader->state == READER_LEAVING)
		return stream_matched(&reader->slot->stream, reader);
	return reader->state == READER_NONE ? reader->matched_base : 0;
}

uint64_t slots_filtered(const struct reader *reader)
{
	if (reader->state == READER_READING || reader->state == READER_LEAVING)
		return stream_filtered_of(&reader->slot->stream, reader);
	return reader->state == READER_NONE ? reader->filtered_base : 0;
}

struct slots *slots_new(struct event_base *base, struct probe *probe, struct walks *walks,
			struct ring *ring, int ring_fd)
{
	struct slots *slots = calloc(1, sizeof(*slots));

	if (!slots)
		return NULL;
	for (unsigned i = 0; i < NW_SLOTS; i++)
		slots->slot[i].slots = slots;
	TAILQ_INIT(&slots->queue);
	slots_begin_init(slots);
	slots->walks = walks;
	slots->probe = probe;
	slots->shared = probe_shared(probe);
	slots->tables = tables_new(slots->shared, probe_ports(probe), probe_map(probe, "prefixes"),
				   probe_map(probe, "values"));
	slots->grace = grace_new(base, wait_grace, on_grace, slots);
	slots->dispatch = dispatch_new(base, ring, ring_fd, slots->shared);
	slots->reports = slots->dispatch ? reports_new(base, probe, slots->dispatch) : NULL;
	slots->times = times_new(base, probe);
	slots->pump = event_new(base, -1, 0, on_pump, slots);
	slots->parked = evtimer_new(base, on_parked, slots);
	if (slots->tables && slots->grace && slots->reports && slots->times && slots->pump &&
	    slots->parked)
		return slots;
	slots_free(slots);
	errno = ENOMEM;
	return NULL;
}

void slots_free(struct slots *slots)
{
	if (!slots)
		return;
	walks_cancel(slots->walks, &slots->walk);
	walks_cancel(slots->walks, &slots->look);
	grace_free(slots->grace);
	reports_free(slots->reports);
	dispatch_free(slots->dispatch);
	times_free(slots->times);
	if (slots->pump)
		event_free(slots->pump);
	if (slots->parked)
		event_free(slots->parked);
	for (unsigned i = 0; i < NW_SLOTS; i++) {
		stream_deinit(&slots->slot[i].stream);
		free(slots->slot[i].filter);
	}
	tables_free(slots->tables);
	free(slots);
}
