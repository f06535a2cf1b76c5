// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "category.h"
#include "dispatch.h"
#include "drain.h"
#include "event.h"
#include "filter.h"
#include "kernel_side.h"
#include "log.h"
#include "remember.h"
#include "ring.h"
#include "stream.h"

struct dispatch {
	struct ring *ring;
	struct nw_shared *shared;
	struct drain *drain;
	TAILQ_HEAD(, dispatch_mark) marks; /* positions ascend */
	struct dispatch_mark losses;	   /* set while there are some to tell */
	struct stream *streams[NW_SLOTS];  /* NULL: nobody's bit */
	const struct filter *filters[NW_SLOTS];
	struct remember *remember; /* NULL: there is no history */
	uint64_t remembers;	   /* bit of its slot */
	uint64_t with_address;	   /* bits of slots */
	uint64_t making;	   /* of those who want events that records make */
	uint64_t dirty;		   /* bits of slots whose stream has a block */
	uint64_t lost_any;	   /* nw_shared.lost_any, as last seen */
	uint64_t looked_ns;	   /* when losses were last told or none were seen */
	int64_t unix_offset;	   /* of this turn */
};

/* ------------------------------------------------------------------ marks */

static uint64_t lost_total(const struct dispatch *d, unsigned slot)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < NW_LOSS_STRIPES; i++)
		total += __atomic_load_n(&d->shared->lost[i][slot], __ATOMIC_RELAXED);
	return total;
}

/* Losses are read before the position: what they count was before it. */
void dispatch_set_mark(struct dispatch *d, struct dispatch_mark *mark, void (*reached)(void *arg),
		       void *arg)
{
	for (unsigned i = 0; i < NW_SLOTS; i++)
		mark->lost[i] = lost_total(d, i);
	mark->position = ring_end(d->ring);
	mark->time_ns = event_monotonic();
	mark->reached = reached;
	mark->arg = arg;
	mark->set = true;
	TAILQ_INSERT_TAIL(&d->marks, mark, link);
	drain_kick(d->drain);
}

void dispatch_unset_mark(struct dispatch *d, struct dispatch_mark *mark)
{
	if (mark->set)
		TAILQ_REMOVE(&d->marks, mark, link);
	mark->set = false;
}

static void tell_losses(struct dispatch *d, const struct dispatch_mark *mark)
{
	/* One offset for both, so that first is not after last when the clock is set. */
	uint64_t offset = (uint64_t)d->unix_offset;

	for (unsigned i = 0; i < NW_SLOTS; i++) {
		if (d->streams[i])
			stream_lost(d->streams[i], mark->lost[i], d->looked_ns + offset,
				    mark->time_ns + offset);
	}
	d->looked_ns = mark->time_ns;
}

static bool reach_marks(struct dispatch *d)
{
	struct dispatch_mark *mark;
	bool any = false;

	while ((mark = TAILQ_FIRST(&d->marks)) && mark->position <= ring_position(d->ring)) {
		dispatch_unset_mark(d, mark);
		tell_losses(d, mark);
		mark->reached(mark->arg);
		any = true;
	}
	return any;
}

/* ------------------------------------------------- events made of records */

/* What is done while frames are made of one event. */
struct making {
	struct dispatch *dispatch;
	const struct category *category;
};

enum view { WITH_ADDRESS = 1, REDACTED = 2, VIEWS = 4 };

static void on_made(void *arg, const struct made *made)
{
	const struct making *making = arg;
	struct dispatch *d = making->dispatch;
	const struct category_maker *maker = making->category->maker;
	uint64_t receivers, unix_ns = made->record->time_ns + (uint64_t)d->unix_offset;
	struct event_frame frames[VIEWS];
	bool encoded[VIEWS] = {false};

	for (receivers = made->record->receivers; receivers; receivers &= receivers - 1) {
		unsigned slot = (unsigned)__builtin_ctzll(receivers), view;
		const struct filter *filter = d->filters[slot];
		bool redacted;

		if (!d->streams[slot])
			continue;
		if (filter->remembered) {
			stream_remembered(d->streams[slot]);
			remember_made(d->remember, making->category, made, d->unix_offset);
			continue;
		}
		if (!filter_shows_content(filter, made->record->connection.uid, &redacted))
			continue;
		if (!maker->accepts(filter, made)) {
			stream_filtered(d->streams[slot]);
			continue;
		}
		view = (redacted ? REDACTED : 0) | (filter->with_address ? WITH_ADDRESS : 0);
		if (!encoded[view] &&
		    event_from_made(&frames[view], making->category, made, d->unix_offset,
				    view & WITH_ADDRESS, redacted)) {
			log_error("an event of category %s is too long", making->category->name);
			return;
		}
		encoded[view] = true;
		stream_event(d->streams[slot], frames[view].data, frames[view].size, unix_ns);
		d->dirty |= 1ULL << slot;
	}
}

/* True: the record is of a category that makes events of its records. */
static bool make(struct dispatch *d, const struct nw_record *record, size_t size)
{
	uint32_t number = record->connection.category;
	struct making making = {.dispatch = d};

	if (number >= n_categories || !categories[number]->maker)
		return false;
	making.category = categories[number];
	if (!making.category->maker->take(record, size, on_made, &making))
		log_error("a record of category %u and %zu bytes", number, size);
	return true;
}

static bool wants_making(const struct filter *filter, const struct category *category)
{
	return category->maker && filter->wants & category->wants;
}

static void open_making(struct dispatch *d, unsigned slot)
{
	for (size_t i = 0; i < n_categories; i++) {
		if (wants_making(d->filters[slot], categories[i]))
			d->making |= 1ULL << slot;
	}
}

static void close_making(struct dispatch *d, unsigned slot)
{
	uint64_t before = d->making;

	d->making &= ~(1ULL << slot);
	for (size_t i = 0; before && !d->making && i < n_categories; i++) {
		if (categories[i]->maker)
			categories[i]->maker->forget();
	}
}

/* --------------------------------------------------------------- the turn */

static void on_record(void *arg, const void *data, size_t size)
{
	struct dispatch *d = arg;
	const struct nw_record *record = data;
	struct event_frame frames[2]; /* with and without the address */
	bool encoded[2] = {false, false};
	uint64_t receivers, unix_ns;

	if (size < sizeof(*record)) {
		log_error("a record of %zu bytes", size);
		return;
	}
	if (make(d, record, size))
		return;
	unix_ns = record->time_ns + (uint64_t)d->unix_offset;
	for (receivers = record->receivers; receivers; receivers &= receivers - 1) {
		unsigned slot = (unsigned)__builtin_ctzll(receivers);
		bool view = d->with_address >> slot & 1;

		if (!d->streams[slot])
			continue;
		if (d->remembers >> slot & 1) {
			stream_remembered(d->streams[slot]);
			remember_record(d->remember, record, size, d->unix_offset);
			continue;
		}
		if (!encoded[view] &&
		    event_from_record(&frames[view], record, size, d->unix_offset, view)) {
			log_error("a record of category %u and %zu bytes",
				  record->connection.category, size);
			return;
		}
		encoded[view] = true;
		stream_event(d->streams[slot], frames[view].data, frames[view].size, unix_ns);
		d->dirty |= 1ULL << slot;
	}
}

static void flush(struct dispatch *d)
{
	for (; d->dirty; d->dirty &= d->dirty - 1)
		stream_flush(d->streams[__builtin_ctzll(d->dirty)]);
}

/* That the mark was reached is all that is to be done. */
static void losses_told(void *arg)
{
	(void)arg;
}

static void look_for_losses(struct dispatch *d)
{
	uint64_t any = __atomic_load_n(&d->shared->lost_any, __ATOMIC_ACQUIRE);

	if (any != d->lost_any) {
		if (d->losses.set)
			return; /* the next one tells them */
		d->lost_any = any;
		dispatch_set_mark(d, &d->losses, losses_told, d);
	} else if (TAILQ_EMPTY(&d->marks)) {
		d->looked_ns = event_monotonic();
	}
}

static size_t turn(void *arg, size_t budget)
{
	struct dispatch *d = arg;
	size_t n = 0, got;
	bool reached;

	d->unix_offset = event_unix_offset(d->unix_offset);
	look_for_losses(d);
	do {
		struct dispatch_mark *mark = TAILQ_FIRST(&d->marks);

		got = ring_read(d->ring, mark ? mark->position : UINT64_MAX, budget - n, on_record,
				d);
		n += got;
		reached = reach_marks(d);
	} while ((got || reached) && n < budget);
	flush(d);
	return n;
}

/* -------------------------------------------------------------- interface */

void dispatch_open(struct dispatch *d, unsigned slot, struct stream *stream,
		   const struct filter *filter)
{
	d->streams[slot] = stream;
	d->with_address &= ~(1ULL << slot);
	d->with_address |= (uint64_t) !!filter->with_address << slot;
	d->filters[slot] = filter;
	d->remembers |= (uint64_t)(filter->remembered != 0) << slot;
	stream->lost = lost_total(d, slot);
	open_making(d, slot);
}

void dispatch_close(struct dispatch *d, unsigned slot)
{
	d->streams[slot] = NULL;
	d->filters[slot] = NULL;
	d->remembers &= ~(1ULL << slot);
	close_making(d, slot);
	d->dirty &= ~(1ULL << slot);
}

void dispatch_set_remember(struct dispatch *d, struct remember *remember)
{
	d->remember = remember;
}

void dispatch_start(struct dispatch *d)
{
	drain_start(d->drain);
}

void dispatch_stop(struct dispatch *d)
{
	drain_stop(d->drain);
}

bool dispatch_serves(struct dispatch *d)
{
	return drain_serves(d->drain);
}

struct dispatch *dispatch_new(struct event_base *base, struct ring *ring, int ring_fd,
			      struct nw_shared *shared)
{
	struct dispatch *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	TAILQ_INIT(&d->marks);
	d->ring = ring;
	d->shared = shared;
	d->drain = drain_new(base, ring, ring_fd, shared, turn, d);
	if (d->drain)
		return d;
	free(d);
	errno = ENOMEM;
	return NULL;
}

void dispatch_free(struct dispatch *d)
{
	if (!d)
		return;
	drain_free(d->drain);
	free(d);
}
