// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "drain.h"
#include "event.h"
#include "grace.h"
#include "log.h"
#include "probe.h"
#include "ring.h"
#include "slots.h"
#include "tables.h"

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
	READER_WAITING, /* in slot.waiting, for the tables */
	READER_JOINING, /* in slot.waiting, for its mark */
	READER_READING, /* in stream.readers */
	READER_LEAVING, /* in stream.readers or slot.waiting, for its mark */
};

struct slot {
	enum slot_state state;
	struct filter *filter;
	struct stream stream;
	struct reader_list waiting;
	unsigned active; /* readers that have not asked to leave */
	uint32_t uid;	 /* who asked for it first */
	uint64_t ticket; /* CLOSING: grace period after its bit was cleared */
};

/*
 * Something that happens at a position of the ring, between the records that were reserved
 * before it was noted and those after. What was lost until then belongs before it.
 */
enum mark_kind { MARK_LOSS, MARK_JOIN, MARK_LEAVE, MARK_FREE };

struct mark {
	STAILQ_ENTRY(mark) link; /* slots.marks */
	enum mark_kind kind;
	uint64_t position;
	uint64_t unix_ns;
	struct slot *slot;	 /* NULL: MARK_LOSS, of all slots */
	struct reader *reader;	 /* JOIN, LEAVE; NULL: it was abandoned */
	uint64_t lost[NW_SLOTS]; /* totals when it was noted */
};

struct slots {
	struct slot slot[NW_SLOTS];
	STAILQ_HEAD(, mark) marks; /* positions ascend */
	struct probe *probe;
	struct nw_shared *shared;
	struct ring *ring;
	struct tables *tables;
	struct grace *grace;
	struct drain *drain;
	struct event *pump; /* tables are to be written */
	struct event *parked;
	uint64_t flip_ticket; /* grace period after the last publication */
	uint64_t lost_any;    /* nw_shared.lost_any, as last noted */
	uint64_t looked_ns;   /* Unix time of the last look at it */
	int64_t unix_offset;  /* of this turn */
	uint64_t dirty;	      /* slots whose stream has a block */
};

static unsigned number(const struct slots *slots, const struct slot *slot)
{
	return (unsigned)(slot - slots->slot);
}

static uint64_t unix_now(void)
{
	return event_monotonic() + (uint64_t)event_unix_offset();
}

/* ------------------------------------------------------------------ marks */

static uint64_t lost_total(const struct slots *slots, unsigned slot)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < NW_LOSS_STRIPES; i++)
		total += __atomic_load_n(&slots->shared->lost[i][slot], __ATOMIC_RELAXED);
	return total;
}

/* Losses are read before the position: what they count was before it. */
static struct mark *note(struct slots *slots, enum mark_kind kind, struct slot *slot,
			 struct reader *reader)
{
	struct mark *mark = malloc(sizeof(*mark));

	if (!mark) {
		log_error("no memory for an account of 600 bytes");
		abort();
	}
	mark->kind = kind;
	mark->slot = slot;
	mark->reader = reader;
	for (unsigned i = 0; i < NW_SLOTS; i++)
		mark->lost[i] = lost_total(slots, i);
	mark->position = ring_end(slots->ring);
	mark->unix_ns = unix_now();
	STAILQ_INSERT_TAIL(&slots->marks, mark, link);
	drain_kick(slots->drain);
	return mark;
}

static void tell_losses(struct slots *slots, const struct mark *mark)
{
	for (unsigned i = 0; i < NW_SLOTS; i++) {
		struct slot *slot = &slots->slot[i];

		if (slot->state == SLOT_LIVE || slot->state == SLOT_CLOSING)
			stream_lost(&slot->stream, mark->lost[i], slots->looked_ns, mark->unix_ns);
	}
	slots->looked_ns = mark->unix_ns;
}

static void free_slot(struct slots *slots, struct slot *slot)
{
	free(slot->filter);
	slot->filter = NULL;
	stream_deinit(&slot->stream);
	slot->state = SLOT_FREE;
	slots->dirty &= ~(1ULL << number(slots, slot));
	for (unsigned i = 0; i < NW_SLOTS; i++) {
		if (slots->slot[i].state != SLOT_FREE)
			return;
	}
	drain_stop(slots->drain);
	evtimer_del(slots->parked);
	probe_detach(slots->probe);
}

static void reach(struct slots *slots, const struct mark *mark)
{
	struct slot *slot = mark->slot;
	struct reader *reader = mark->reader;

	tell_losses(slots, mark);
	if (mark->kind == MARK_FREE)
		free_slot(slots, slot);
	if (!reader)
		return;
	if (mark->kind == MARK_JOIN) {
		TAILQ_REMOVE(&slot->waiting, reader, link);
		stream_join(&slot->stream, reader);
		if (reader->state == READER_JOINING)
			reader->state = READER_READING;
	} else if (mark->kind == MARK_LEAVE) {
		stream_leave(&slot->stream, reader);
		reader->state = READER_NONE;
		reader->end_ns = event_monotonic();
		reader->ops->left(reader);
	}
}

static void reach_marks(struct slots *slots)
{
	struct mark *mark;

	while ((mark = STAILQ_FIRST(&slots->marks)) &&
	       mark->position <= ring_position(slots->ring)) {
		STAILQ_REMOVE_HEAD(&slots->marks, link);
		reach(slots, mark);
		free(mark);
	}
}

/* --------------------------------------------------------------- the turn */

static void on_record(void *arg, const void *data, size_t size)
{
	struct slots *slots = arg;
	const struct nw_record *record = data;
	struct event_frame frames[2];
	bool have[2] = {false, false};
	uint64_t receivers, unix_ns;

	if (size < sizeof(*record)) {
		log_error("a record of %zu bytes", size);
		return;
	}
	unix_ns = record->time_ns + (uint64_t)slots->unix_offset;
	for (receivers = record->receivers; receivers; receivers &= receivers - 1) {
		unsigned i = (unsigned)__builtin_ctzll(receivers);
		struct slot *slot = &slots->slot[i];
		bool view;

		if (!slot->filter || TAILQ_EMPTY(&slot->stream.readers))
			continue;
		view = slot->filter->with_address;
		if (!have[view] &&
		    event_from_record(&frames[view], record, size, slots->unix_offset, view)) {
			log_error("a record of category %u and %zu bytes", record->category, size);
			return;
		}
		have[view] = true;
		stream_event(&slot->stream, frames[view].data, frames[view].size, unix_ns);
		slots->dirty |= 1ULL << i;
	}
}

static void flush(struct slots *slots)
{
	for (; slots->dirty; slots->dirty &= slots->dirty - 1)
		stream_flush(&slots->slot[__builtin_ctzll(slots->dirty)].stream);
}

static void look_for_losses(struct slots *slots)
{
	uint64_t any = __atomic_load_n(&slots->shared->lost_any, __ATOMIC_ACQUIRE);

	if (any != slots->lost_any) {
		slots->lost_any = any;
		note(slots, MARK_LOSS, NULL, NULL);
	} else if (STAILQ_EMPTY(&slots->marks)) {
		slots->looked_ns = unix_now();
	}
}

static size_t turn(void *arg, size_t budget)
{
	struct slots *slots = arg;
	size_t n = 0, got;

	slots->unix_offset = event_unix_offset();
	look_for_losses(slots);
	do {
		struct mark *mark = STAILQ_FIRST(&slots->marks);

		got = ring_read(slots->ring, mark ? mark->position : UINT64_MAX, budget - n,
				on_record, slots);
		n += got;
		reach_marks(slots);
	} while (got && n < budget);
	flush(slots);
	return n;
}

/* -------------------------------------------------------- life of a slot */

static void set_bit(struct slots *slots, const struct slot *slot, bool on)
{
	uint64_t bit = 1ULL << number(slots, slot);

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
		free_slot(slots, slot);
	}
}

/* Readers that begin together share one walk. */
struct beginning {
	struct reader *reader[READERS_AT_ONCE];
	size_t n;
};

static void on_row(const struct nw_row *row, void *arg)
{
	struct beginning *b = arg;
	const struct slot *judged = NULL;
	bool accepted = false;

	for (size_t i = 0; i < b->n; i++) {
		struct reader *reader = b->reader[i];

		/* What was born since, or waits to be told, comes as an event. */
		if (!reader->existing || row->parked || row->born_ns >= reader->start_ns)
			continue;
		if (reader->slot != judged) {
			judged = reader->slot;
			accepted = filter_accepts(judged->filter, row);
		}
		if (accepted)
			reader->ops->row(reader, row);
	}
}

/* Readers that wait in live slots: their bits are set and their tables in use. */
static void gather(struct slots *slots, struct beginning *b)
{
	for (unsigned i = 0; i < NW_SLOTS; i++) {
		struct slot *slot = &slots->slot[i];
		struct reader *reader;

		if (slot->state != SLOT_LIVE)
			continue;
		TAILQ_FOREACH (reader, &slot->waiting, link) {
			if (reader->state != READER_WAITING || b->n == READERS_AT_ONCE)
				continue;
			note(slots, MARK_JOIN, slot, reader);
			reader->state = READER_JOINING;
			reader->start_ns = event_monotonic();
			b->reader[b->n++] = reader;
		}
	}
}

static void begin_readers(struct slots *slots, bool walk)
{
	struct beginning b = {.n = 0};
	int err;

	gather(slots, &b);
	for (size_t i = 0; i < b.n; i++)
		walk |= b.reader[i]->existing;
	err = walk ? probe_walk(slots->probe, on_row, &b) : 0;
	if (err)
		log_error("walking over sockets: %s", strerror(-err));
	for (size_t i = 0; i < b.n; i++)
		b.reader[i]->ops->live(b.reader[i]);
	if (b.n == READERS_AT_ONCE)
		event_active(slots->pump, EV_TIMEOUT, 0);
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
		slot->stream.lost = lost_total(slots, i);
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
	drain_start(slots->drain);
	watch_parked(slots);
	return 0;
}

/* All changes that wait are written in one publication. */
static void on_pump(evutil_socket_t fd, short what, void *arg)
{
	struct slots *slots = arg;
	bool waiting = false, walk = false;
	int err = 0;

	(void)fd;
	(void)what;
	for (unsigned i = 0; i < NW_SLOTS; i++)
		waiting |= slots->slot[i].state == SLOT_WAITING;
	if (waiting && grace_passed(slots->grace, slots->flip_ticket)) {
		walk = !probe_attached(slots->probe);
		err = attach(slots);
		if (!err)
			err = publish(slots);
		if (err)
			refuse_waiting(slots, err);
	}
	begin_readers(slots, walk && !err);
}

static void close_slot(struct slots *slots, struct slot *slot)
{
	if (slot->state == SLOT_WAITING) {
		free_slot(slots, slot);
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
		note(slots, MARK_FREE, slot, NULL);
	}
	event_active(slots->pump, EV_TIMEOUT, 0);
}

static int wait_grace(void *arg)
{
	struct slots *slots = arg;

	return probe_grace(slots->probe);
}

/* Events whose socket waits for a process for too long are told without one. */
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
		probe_tell_parked(slots->probe);
	watch_parked(slots);
}

/* ------------------------------------------------------------- interface */

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

static struct slot *new_slot(struct slots *slots, const struct filter *filter, uint32_t uid,
			     struct filter_error *why)
{
	struct slot *slot = NULL;
	unsigned own = 0;

	for (unsigned i = 0; i < NW_SLOTS; i++) {
		const struct slot *s = &slots->slot[i];

		own += s->state != SLOT_FREE && s->state != SLOT_CLOSING && s->uid == uid;
		if (s->state == SLOT_FREE && !slot)
			slot = &slots->slot[i];
	}
	why->code = NETWATCH__ERROR__CODE__LIMIT;
	if (uid && own >= SLOTS_PER_UID) {
		snprintf(why->message, sizeof(why->message),
			 "uid %u has %d distinct filters at once already", uid, SLOTS_PER_UID);
		return NULL;
	}
	if (slot)
		slot->filter = malloc(sizeof(*slot->filter));
	if (!slot || !slot->filter) {
		snprintf(why->message, sizeof(why->message), "all %d filters are in use", NW_SLOTS);
		return NULL;
	}
	memcpy(slot->filter, filter, sizeof(*filter));
	slot->state = SLOT_WAITING;
	slot->uid = uid;
	slot->active = 0;
	stream_init(&slot->stream);
	TAILQ_INIT(&slot->waiting);
	return slot;
}

int slots_join(struct slots *slots, struct reader *reader, const struct filter *filter,
	       struct filter_error *why)
{
	struct slot *slot = find_slot(slots, filter);

	if (!slot)
		slot = new_slot(slots, filter, reader->uid, why);
	if (!slot)
		return -EINVAL;
	reader->slot = slot;
	reader->state = READER_WAITING;
	reader->end_ns = 0;
	slot->active++;
	TAILQ_INSERT_TAIL(&slot->waiting, reader, link);
	event_active(slots->pump, EV_TIMEOUT, 0);
	return 0;
}

void slots_leave(struct slots *slots, struct reader *reader)
{
	struct slot *slot = reader->slot;

	if (reader->state == READER_NONE || reader->state == READER_LEAVING)
		return;
	slot->active--;
	if (reader->state == READER_WAITING) {
		TAILQ_REMOVE(&slot->waiting, reader, link);
		reader->state = READER_NONE;
		reader->ops->left(reader);
	} else {
		reader->state = READER_LEAVING;
		note(slots, MARK_LEAVE, slot, reader);
	}
	if (!slot->active)
		close_slot(slots, slot);
}

void slots_abandon(struct slots *slots, struct reader *reader)
{
	struct slot *slot = reader->slot;
	struct mark *mark;
	bool joined = true;

	if (reader->state == READER_NONE)
		return;
	STAILQ_FOREACH (mark, &slots->marks, link) {
		if (mark->reader != reader)
			continue;
		joined &= mark->kind != MARK_JOIN;
		mark->reader = NULL;
	}
	if (joined && reader->state != READER_WAITING)
		TAILQ_REMOVE(&slot->stream.readers, reader, link);
	else
		TAILQ_REMOVE(&slot->waiting, reader, link);
	if (reader->state != READER_LEAVING && !--slot->active)
		close_slot(slots, slot);
	reader->state = READER_NONE;
}

const struct filter *slots_filter(const struct reader *reader)
{
	return reader->slot->filter;
}

unsigned slots_number(const struct slots *slots, const struct reader *reader)
{
	return number(slots, reader->slot);
}

uint64_t slots_matched(const struct reader *reader)
{
	if (reader->state == READER_READING || reader->state == READER_LEAVING)
		return stream_matched(&reader->slot->stream, reader);
	return reader->state == READER_NONE ? reader->matched_base : 0;
}

struct slots *slots_new(struct event_base *base, struct probe *probe, struct ring *ring,
			int ring_fd)
{
	struct slots *slots = calloc(1, sizeof(*slots));

	if (!slots)
		return NULL;
	STAILQ_INIT(&slots->marks);
	for (unsigned i = 0; i < NW_SLOTS; i++)
		TAILQ_INIT(&slots->slot[i].waiting);
	slots->probe = probe;
	slots->shared = probe_shared(probe);
	slots->ring = ring;
	slots->tables = tables_new(slots->shared, probe_ports(probe), probe_map(probe, "prefixes"),
				   probe_map(probe, "values"));
	slots->grace = grace_new(base, wait_grace, on_grace, slots);
	slots->drain = drain_new(base, ring, ring_fd, slots->shared, turn, slots);
	slots->pump = event_new(base, -1, 0, on_pump, slots);
	slots->parked = evtimer_new(base, on_parked, slots);
	if (slots->tables && slots->grace && slots->drain && slots->pump && slots->parked)
		return slots;
	slots_free(slots);
	errno = ENOMEM;
	return NULL;
}

void slots_free(struct slots *slots)
{
	struct mark *mark;

	if (!slots)
		return;
	grace_free(slots->grace);
	drain_free(slots->drain);
	if (slots->pump)
		event_free(slots->pump);
	if (slots->parked)
		event_free(slots->parked);
	while ((mark = STAILQ_FIRST(&slots->marks))) {
		STAILQ_REMOVE_HEAD(&slots->marks, link);
		free(mark);
	}
	for (unsigned i = 0; i < NW_SLOTS; i++) {
		stream_deinit(&slots->slot[i].stream);
		free(slots->slot[i].filter);
	}
	tables_free(slots->tables);
	free(slots);
}
