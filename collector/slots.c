// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "dispatch.h"
#include "event.h"
#include "grace.h"
#include "log.h"
#include "probe.h"
#include "slots.h"
#include "tables.h"
#include "walk.h"

#define PARKED_USEC	250000 /* how often parked events are looked for */
#define READERS_AT_ONCE 64     /* that share a walk; more wait for the next */

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
	uint64_t ticket; /* CLOSING: grace period after its bit was cleared */
};

struct slots {
	struct slot slot[NW_SLOTS];
	struct probe *probe;
	struct nw_shared *shared;
	struct tables *tables;
	struct grace *grace;
	struct dispatch *dispatch;
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

static unsigned number(const struct slot *slot)
{
	return (unsigned)(slot - slot->slots->slot);
}

/* -------------------------------------------------------- life of a slot */

static void free_slot(void *arg)
{
	struct slot *slot = arg;
	struct slots *slots = slot->slots;

	free(slot->filter);
	slot->filter = NULL;
	dispatch_close(slots->dispatch, number(slot));
	stream_deinit(&slot->stream);
	slot->state = SLOT_FREE;
	event_active(slots->pump, EV_TIMEOUT, 0);
	for (unsigned i = 0; i < NW_SLOTS; i++) {
		if (slots->slot[i].state != SLOT_FREE)
			return;
	}
	dispatch_stop(slots->dispatch);
	evtimer_del(slots->parked);
	probe_detach(slots->probe);
}

static void joined(void *arg)
{
	struct reader *reader = arg;

	TAILQ_REMOVE(&reader->slot->waiting, reader, link);
	stream_join(&reader->slot->stream, reader);
	reader->joined = true;
	if (reader->state == READER_JOINING)
		reader->state = READER_READING;
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
	uint64_t bit = 1ULL << number(slot);

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

static struct slot *find_slot(struct slots *slots, const struct filter *filter)
{
	for (unsigned i = 0; i < NW_SLOTS; i++) {
		struct slot *slot = &slots->slot[i];

		if ((slot->state == SLOT_WAITING || slot->state == SLOT_LIVE) &&
		    !memcmp(slot->filter, filter, sizeof(*filter)))
			return slot;
	}
	return NULL;
}

/* -EAGAIN: one is about to be free. -EINVAL with *why: a limit. */
static int new_slot(struct slots *slots, const struct filter *filter, uint32_t uid,
		    struct slot **out, struct filter_error *why)
{
	struct slot *slot = NULL;
	unsigned own = 0, taken = 0;
	bool closing = false;

	for (unsigned i = 0; i < NW_SLOTS; i++) {
		struct slot *s = &slots->slot[i];

		own += (s->state == SLOT_WAITING || s->state == SLOT_LIVE) && s->uid == uid;
		taken += s->state == SLOT_WAITING || s->state == SLOT_LIVE;
		closing |= s->state == SLOT_CLOSING;
		if (s->state == SLOT_FREE && !slot)
			slot = s;
	}
	why->code = NETWATCH__ERROR__CODE__LIMIT;
	if (uid && own >= SLOTS_PER_UID) {
		snprintf(why->message, sizeof(why->message),
			 "uid %u has %d distinct filters at once already", uid, SLOTS_PER_UID);
		return -EINVAL;
	}
	if (uid && taken >= NW_SLOTS - SLOTS_ROOT)
		slot = NULL;
	else if (!slot && closing)
		return -EAGAIN;
	if (slot)
		slot->filter = malloc(sizeof(*slot->filter));
	if (!slot || !slot->filter) {
		snprintf(why->message, sizeof(why->message), "all %d filters are in use", NW_SLOTS);
		return -EINVAL;
	}
	memcpy(slot->filter, filter, sizeof(*filter));
	slot->state = SLOT_WAITING;
	slot->uid = uid;
	slot->active = 0;
	stream_init(&slot->stream);
	TAILQ_INIT(&slot->waiting);
	*out = slot;
	return 0;
}

static int place(struct slots *slots, struct reader *reader, const struct filter *filter,
		 struct filter_error *why)
{
	struct slot *slot = find_slot(slots, filter);
	int err = slot ? 0 : new_slot(slots, filter, reader->uid, &slot, why);

	if (err)
		return err;
	reader->slot = slot;
	reader->state = READER_WAITING;
	slot->active++;
	TAILQ_INSERT_TAIL(&slot->waiting, reader, link);
	event_active(slots->pump, EV_TIMEOUT, 0);
	return 0;
}

static void unqueue(struct slots *slots, struct reader *reader)
{
	TAILQ_REMOVE(&slots->queue, reader, link);
	free(reader->queued);
	reader->queued = NULL;
	reader->state = READER_NONE;
}

static void place_queued(struct slots *slots)
{
	struct reader *reader;

	while ((reader = TAILQ_FIRST(&slots->queue))) {
		struct filter *filter = reader->queued;
		struct filter_error why;
		int err;

		/* place() links the reader elsewhere. */
		TAILQ_REMOVE(&slots->queue, reader, link);
		err = place(slots, reader, filter, &why);
		if (err == -EAGAIN) {
			TAILQ_INSERT_HEAD(&slots->queue, reader, link);
			return;
		}
		reader->queued = NULL;
		free(filter);
		if (err) {
			reader->state = READER_NONE;
			reader->ops->refused(reader, &why);
		}
	}
}

/* Readers that wait in live slots: their bits are set and their tables in use. */
static void begin_readers(struct slots *slots)
{
	slots->n_beginning = 0;
	for (unsigned i = 0; i < NW_SLOTS; i++) {
		struct slot *slot = &slots->slot[i];
		struct reader *reader;

		if (slot->state != SLOT_LIVE)
			continue;
		TAILQ_FOREACH (reader, &slot->waiting, link) {
			if (reader->state != READER_WAITING ||
			    slots->n_beginning == READERS_AT_ONCE)
				continue;
			dispatch_mark(slots->dispatch, joined, reader);
			reader->state = READER_JOINING;
			reader->start_ns = event_monotonic();
			slots->beginning[slots->n_beginning++] = reader;
		}
	}
}

static void tell_live(struct slots *slots)
{
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

static void on_row(struct walk_request *request, const struct nw_row *row)
{
	const struct slots *slots = slots_of(request);
	const struct slot *judged = NULL;
	bool accepted = false;

	for (size_t i = 0; i < slots->n_beginning; i++) {
		struct reader *reader = slots->beginning[i];

		/* Whose beginning was told since, or waits to be told, comes as an event. */
		if (!reader->existing || row->parked || row->told_ns >= reader->start_ns)
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
static void begin_waiting(struct slots *slots, bool published)
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

static int publish(struct slots *slots)
{
	const struct filter *filters[NW_SLOTS];
	int err;

	for (unsigned i = 0; i < NW_SLOTS; i++) {
		const struct slot *slot = &slots->slot[i];

		filters[i] = slot->state == SLOT_WAITING || slot->state == SLOT_LIVE ? slot->filter
										     : NULL;
	}
	err = tables_publish(slots->tables, filters);
	if (err)
		return err;
	slots->flip_ticket = grace_begin(slots->grace);
	for (unsigned i = 0; i < NW_SLOTS; i++) {
		struct slot *slot = &slots->slot[i];

		if (slot->state != SLOT_WAITING)
			continue;
		slot->state = SLOT_LIVE;
		dispatch_open(slots->dispatch, i, &slot->stream, slot->filter->with_address);
		set_bit(slots, slot, true);
	}
	return 0;
}

static void watch_parked(struct slots *slots)
{
	struct timeval tv = {.tv_usec = PARKED_USEC};

	evtimer_add(slots->parked, &tv);
}

static int attach(struct slots *slots)
{
	int err = probe_attach(slots->probe);

	if (err)
		return err;
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
	place_queued(slots);
	for (unsigned i = 0; i < NW_SLOTS; i++)
		waiting |= slots->slot[i].state == SLOT_WAITING;
	if (waiting && grace_passed(slots->grace, slots->flip_ticket)) {
		err = attach(slots);
		if (!err)
			err = publish(slots);
		if (err)
			refuse_waiting(slots, err);
	}
	begin_waiting(slots, !err);
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
		dispatch_mark(slots->dispatch, free_slot, slot);
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
	err = place(slots, reader, filter, why);
	if (err != -EAGAIN)
		return err;
	reader->queued = malloc(sizeof(*filter));
	if (!reader->queued) {
		snprintf(why->message, sizeof(why->message), "no memory for a filter");
		return -EINVAL;
	}
	memcpy(reader->queued, filter, sizeof(*filter));
	reader->state = READER_QUEUED;
	TAILQ_INSERT_TAIL(&slots->queue, reader, link);
	return 0;
}

void slots_leave(struct slots *slots, struct reader *reader)
{
	struct slot *slot = reader->slot;

	if (reader->state == READER_NONE || reader->state == READER_LEAVING)
		return;
	if (reader->state == READER_QUEUED) {
		unqueue(slots, reader);
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
		dispatch_mark(slots->dispatch, left, reader);
	}
	if (!slot->active)
		close_slot(slots, slot);
}

void slots_abandon(struct slots *slots, struct reader *reader)
{
	struct slot *slot = reader->slot;

	if (reader->state == READER_QUEUED)
		unqueue(slots, reader);
	if (reader->state == READER_NONE)
		return;
	dispatch_forget(slots->dispatch, reader);
	TAILQ_REMOVE(reader->joined ? &slot->stream.readers : &slot->waiting, reader, link);
	reader->joined = false;
	if (reader->state != READER_LEAVING && !--slot->active)
		close_slot(slots, slot);
	reader->state = READER_NONE;
}

const struct filter *slots_filter(const struct reader *reader)
{
	return reader->slot->filter;
}

unsigned slots_number(const struct reader *reader)
{
	return number(reader->slot);
}

uint64_t slots_matched(const struct reader *reader)
{
	if (reader->state == READER_READING || reader->state == READER_LEAVING)
		return stream_matched(&reader->slot->stream, reader);
	return reader->state == READER_NONE ? reader->matched_base : 0;
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
	slots->walk = (struct walk_request){.begin = on_walk, .row = on_row, .done = on_walked};
	slots->walks = walks;
	slots->probe = probe;
	slots->shared = probe_shared(probe);
	slots->tables = tables_new(slots->shared, probe_ports(probe), probe_map(probe, "prefixes"),
				   probe_map(probe, "values"));
	slots->grace = grace_new(base, wait_grace, on_grace, slots);
	slots->dispatch = dispatch_new(base, ring, ring_fd, slots->shared);
	slots->pump = event_new(base, -1, 0, on_pump, slots);
	slots->parked = evtimer_new(base, on_parked, slots);
	if (slots->tables && slots->grace && slots->dispatch && slots->pump && slots->parked)
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
	dispatch_free(slots->dispatch);
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
