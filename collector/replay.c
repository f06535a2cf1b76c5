// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "event.h"
#include "filter.h"
#include "history.h"
#include "kernel_side.h"
#include "peer.h"
#include "recall.h"
#include "remember.h"
#include "replay.h"
#include "server.h"
#include "slots.h"

#define PORTION BLOCK_SIZE /* bytes; what waits to be read before it goes on */
#define TURN_NS 1000000	   /* then others have their turn */
#define CHECK	16	   /* entries between two looks at the clock: one may take 0.1 ms */

static const struct history *history_of(const struct peer *peer)
{
	const struct remember *remember = peer->server->remember;

	return remember ? remember_history(remember) : NULL;
}

static bool is_in_range(const struct replay *r, const struct history_entry *entry)
{
	return entry->unix_ns >= r->since_ns;
}

static bool is_chosen(const struct peer *peer, const struct history_entry *entry)
{
	const struct replay *r = &peer->replay;

	return is_in_range(r, entry) &&
	       recall_accepts(entry, r->filter, remember_cgroups(peer->server->remember));
}

/* The end of a turn, which counts entries from 0. */
static bool is_over(unsigned n, uint64_t began_ns)
{
	return n % CHECK == CHECK - 1 && event_monotonic() - began_ns > TURN_NS;
}

static bool is_from(const struct replay *r, const struct history_entry *entry)
{
	const struct nw_record *record = (const void *)entry->data;

	return entry->kind != HISTORY_LOST && entry->unix_ns == r->range.from_ns &&
	       record->connection.cookie == r->range.from_id;
}

/*
 * An entry on the way backwards. True: it was the last one to look at. Of a record that made
 * several events the first is to begin with.
 */
static bool looked_at(const struct peer *peer, struct replay *r, const struct history_entry *entry)
{
	bool hit = r->range.from_ns ? is_from(r, entry) : is_chosen(peer, entry);

	if (hit) {
		r->begin = r->next;
		r->found++;
	}
	return r->range.from_ns ? r->found && !hit : r->found == r->range.last;
}

/* Of losses, those among the events, or all that there are when these are not enough. */
static void begin_with_found(const struct history *history, struct replay *r)
{
	r->searching = false;
	r->next = history_begin(history);
	if (r->range.from_ns ? r->found != 0 : r->found == r->range.last)
		r->next = r->begin;
	else if (r->range.from_ns)
		r->since_ns = r->range.from_ns;
}

/* Backwards, to the first of the last events, or to that from which it is to go on. */
static void search(struct peer *peer)
{
	const struct history *history = history_of(peer);
	uint64_t began_ns = event_monotonic();
	struct replay *r = &peer->replay;

	for (unsigned n = 0; r->next > history_begin(history); n++) {
		if (looked_at(peer, r, history_get(history, --r->next)))
			break;
		if (is_over(n, began_ns))
			return;
	}
	begin_with_found(history, r);
}

static void send_frame(struct peer *peer, const struct event_frame *frame)
{
	if (!peer->broken && evbuffer_add(peer->out, frame->data, frame->size))
		peer_break_off(peer);
}

/* What was pushed out of the history before this client has read so far. */
static void tell_forgotten(struct peer *peer)
{
	const struct history *history = history_of(peer);
	const struct history_entry *oldest;
	struct replay *r = &peer->replay;
	struct event_frame frame;
	uint64_t last_ns;

	if (r->next >= history_begin(history))
		return;
	r->next = history_begin(history);
	oldest = history_get(history, r->next); /* there is one, which pushed the others out */
	last_ns = oldest->first_ns > r->told_ns ? oldest->first_ns : r->told_ns;
	event_lost(&frame, NETWATCH__LOST__CAUSE__SUBSCRIBER_QUEUE, 0,
		   r->told_ns ? r->told_ns : last_ns, last_ns);
	send_frame(peer, &frame);
}

static void tell(struct peer *peer, const struct history_entry *entry)
{
	struct replay *r = &peer->replay;
	bool lost = entry->kind == HISTORY_LOST && is_in_range(r, entry) &&
		    r->filter->scope != NETWATCH__SCOPE__NOTHING;
	struct event_frame frame;

	if ((lost || is_chosen(peer, entry)) && !recall_frame(&frame, entry, r->filter))
		send_frame(peer, &frame);
	if (entry->unix_ns > r->told_ns)
		r->told_ns = entry->unix_ns;
}

static void finish(struct peer *peer)
{
	void (*done)(struct peer * peer) = peer->replay.done;

	replay_stop(peer);
	if (done)
		done(peer);
	peer_flush(peer);
}

static void go_on_later(struct peer *peer)
{
	struct timeval now = {.tv_sec = 0};

	if (evtimer_add(peer->replay.step, &now))
		peer_break_off(peer);
}

/* As much as a turn and a portion hold. */
static void tell_some(struct peer *peer)
{
	uint64_t began_ns = event_monotonic();
	struct replay *r = &peer->replay;

	tell_forgotten(peer);
	for (unsigned n = 0; r->next < r->end && evbuffer_get_length(peer->out) < PORTION; n++) {
		tell(peer, history_get(history_of(peer), r->next++));
		if (is_over(n, began_ns))
			return;
	}
}

static void on_step(evutil_socket_t fd, short what, void *arg)
{
	struct peer *peer = arg;
	struct replay *r = &peer->replay;

	(void)fd;
	(void)what;
	if (peer->broken)
		return;
	if (r->searching) {
		search(peer);
		go_on_later(peer);
		return;
	}
	tell_some(peer);
	if (r->next >= r->end)
		finish(peer);
	else
		peer_flush(peer); /* which goes on */
}

void replay_go_on(struct peer *peer)
{
	if (peer->replay.running && evbuffer_get_length(peer->out) < PORTION)
		go_on_later(peer);
}

int replay_begin(struct peer *peer, const struct replay_range *range, const struct filter *filter,
		 void (*done)(struct peer *peer))
{
	struct replay *r = &peer->replay;

	*r = (struct replay){.range = *range, .done = done};
	r->held = evbuffer_new();
	r->filter = malloc(sizeof(*filter));
	r->step = evtimer_new(peer->server->base, on_step, peer);
	if (!r->held || !r->filter || !r->step) {
		replay_stop(peer);
		return -ENOMEM;
	}
	memcpy(r->filter, filter, sizeof(*filter));
	if (range->since_ms) {
		uint64_t now_ns = event_monotonic() + (uint64_t)event_unix_offset(0);
		uint64_t ms = now_ns / 1000000;

		r->since_ns = now_ns - (range->since_ms < ms ? range->since_ms : ms) * 1000000;
	}
	return 0;
}

void replay_start(struct peer *peer)
{
	struct replay *r = &peer->replay;
	const struct history *history;

	if (!r->held) /* there may be no history at all */
		return;
	history = history_of(peer);
	r->end = history_end(history);
	r->searching = r->range.last || r->range.from_ns;
	r->next = r->searching ? r->end : history_begin(history);
	r->told_ns = r->since_ns;
	r->running = true;
	go_on_later(peer);
}

static void on_mark(void *arg)
{
	replay_start(arg);
}

void replay_start_at_mark(struct peer *peer)
{
	slots_set_mark(peer->server->slots, &peer->replay.mark, on_mark, peer);
}

void replay_stop(struct peer *peer)
{
	struct replay *r = &peer->replay;

	if (r->mark.set)
		slots_unset_mark(peer->server->slots, &r->mark);
	if (r->step)
		event_free(r->step);
	if (r->held) {
		if (evbuffer_add_buffer(peer->out, r->held))
			peer_break_off(peer);
		evbuffer_free(r->held);
	}
	free(r->filter);
	*r = (struct replay){.held = NULL};
}
