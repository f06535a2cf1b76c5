// SPDX-License-Identifier: GPL-2.0-only
/* A peer as a reader of a slot: what it gets, what it loses and is told, and its account. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "event.h"
#include "log.h"
#include "peer.h"
#include "requests.h"
#include "server.h"
#include "slots.h"
#include "subscription.h"

/* Smaller blocks are copied into a queue: a reference keeps all of a block. */
#define REFER_SIZE (BLOCK_SIZE / 8 * 7)

/* Sends, or queues a copy. False: no memory for that, and nothing was sent. */
static bool put(struct peer *peer, const uint8_t *data, size_t size)
{
	struct evbuffer *held = peer->replay.held;
	ssize_t sent = 0;

	if (held)
		return !evbuffer_add(held, data, size);
	if (!evbuffer_get_length(peer->out))
		sent = send(peer->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		sent = 0; /* an error comes again when it is writable */
	if (sent == (ssize_t)size)
		return true;
	if (!evbuffer_add(peer->out, data + sent, size - (size_t)sent))
		event_add(peer->writable, NULL);
	else if (sent)
		peer_break_off(peer); /* within a frame */
	else
		return false;
	return true;
}

/* False: it has to be told later. */
static bool send_lost(struct peer *peer, Netwatch__Lost__Cause cause)
{
	struct peer_gap *gap = &peer->gap[cause];
	struct event_frame frame;

	if (!gap->count)
		return true;
	event_lost(&frame, cause, gap->count, gap->first_ns, gap->last_ns);
	if (!put(peer, frame.data, frame.size))
		return false;
	memset(gap, 0, sizeof(*gap));
	return true;
}

void subscription_close_gap(struct peer *peer)
{
	if (!send_lost(peer, NETWATCH__LOST__CAUSE__KERNEL_RING) ||
	    !send_lost(peer, NETWATCH__LOST__CAUSE__SUBSCRIBER_QUEUE))
		return;
	peer->gapped = false;
	evtimer_del(peer->slow);
}

static void begin_gap(struct peer *peer)
{
	if (peer->gapped || peer->broken)
		return;
	peer->gapped = true;
	peer_expect_reading(peer, peer->slow);
	event_add(peer->writable, NULL); /* when there is room again, the gap is told */
}

static struct peer *peer_of(struct reader *reader)
{
	return (struct peer *)(void *)((char *)reader - offsetof(struct peer, reader));
}

void subscription_totals(const struct peer *peer, Netwatch__Totals *totals)
{
	const struct reader *reader = &peer->reader;
	uint64_t end = reader->end_ns ? reader->end_ns : event_monotonic();

	netwatch__totals__init(totals);
	totals->has_matched = totals->has_delivered = totals->has_filtered = 1;
	totals->has_lost_kernel = totals->has_lost_queue = totals->has_duration_us = 1;
	totals->matched = slots_matched(reader);
	totals->delivered = reader->delivered;
	totals->filtered = slots_filtered(reader);
	totals->lost_kernel = reader->lost_kernel;
	totals->lost_queue = reader->lost_queue;
	totals->duration_us = peer->live ? (end - reader->start_ns) / 1000 : 0;
}

bool subscription_rows_done(struct peer *peer)
{
	if (!peer->too_many_rows)
		return true;
	peer_refuse(peer, NETWATCH__ERROR__CODE__LIMIT,
		    "more connections than %d times --queue can hold: narrow the filter",
		    PEER_ROWS_QUEUES);
	return false;
}

static void on_row(struct reader *reader, const struct nw_row *row)
{
	requests_send_row(peer_of(reader), row, NULL);
}

static void on_joined(struct reader *reader)
{
	replay_start(peer_of(reader));
}

static void on_live(struct reader *reader)
{
	struct peer *peer = peer_of(reader);
	Netwatch__Subscribed subscribed = NETWATCH__SUBSCRIBED__INIT;
	Netwatch__Reply reply = NETWATCH__REPLY__INIT;

	if (!subscription_rows_done(peer))
		return;
	peer->live = true;
	reply.reply_case = NETWATCH__REPLY__REPLY_SUBSCRIBED;
	reply.subscribed = &subscribed;
	peer_send(peer, &reply);
	server_count_rates(peer->server);
}

static void on_refused(struct reader *reader, const struct filter_error *why)
{
	peer_refuse(peer_of(reader), why->code, "%s", why->message);
}

static void widen(struct peer *peer, Netwatch__Lost__Cause cause, uint64_t count, uint64_t first_ns,
		  uint64_t last_ns)
{
	struct peer_gap *gap = &peer->gap[cause];

	if (!gap->count)
		gap->first_ns = first_ns;
	gap->count += count;
	gap->last_ns = last_ns;
}

static void lose_block(struct peer *peer, const struct block *block)
{
	peer->reader.lost_queue += block->events;
	widen(peer, NETWATCH__LOST__CAUSE__SUBSCRIBER_QUEUE, block->events, block->first_ns,
	      block->last_ns);
	begin_gap(peer);
}

static void release_block(const void *data, size_t size, void *block)
{
	(void)data;
	(void)size;
	block_unref(block);
}

/* Into the queue, and out of it at once if nothing waits there. */
static bool refer_to_block(struct peer *peer, struct block *block)
{
	struct evbuffer *held = peer->replay.held;
	bool idle = !held && !evbuffer_get_length(peer->out);

	block->references++;
	if (evbuffer_add_reference(held ? held : peer->out, block->data, block->used, release_block,
				   block)) {
		block_unref(block);
		return false;
	}
	if (idle)
		peer_flush(peer);
	else if (!held)
		event_add(peer->writable, NULL);
	return true;
}

/* False: no memory for that. */
static bool deliver(struct peer *peer, struct block *block, bool idle)
{
	if (peer->broken) /* nobody will ask for its account */
		return true;
	if (block->used > (idle ? BLOCK_WHOLE : REFER_SIZE))
		return refer_to_block(peer, block);
	return put(peer, block->data, block->used);
}

static void on_block(struct reader *reader, struct block *block)
{
	struct peer *peer = peer_of(reader);
	size_t waiting = peer_waiting(peer);

	if (!peer->gapped && waiting + block->used <= peer->server->queue_max &&
	    deliver(peer, block, !waiting))
		reader->delivered += block->events;
	else
		lose_block(peer, block);
}

static void on_lost(struct reader *reader, uint64_t count, uint64_t first_ns, uint64_t last_ns)
{
	struct peer *peer = peer_of(reader);

	widen(peer, NETWATCH__LOST__CAUSE__KERNEL_RING, count, first_ns, last_ns);
	if (!peer->gapped && !peer->broken && !send_lost(peer, NETWATCH__LOST__CAUSE__KERNEL_RING))
		begin_gap(peer);
}

static void on_left(struct reader *reader)
{
	struct peer *peer = peer_of(reader);
	Netwatch__Totals totals;

	subscription_totals(peer, &totals);
	peer_bye(peer, peer->reason, peer->live ? &totals : NULL);
}

const struct reader_ops subscription_ops = {
	.row = on_row,
	.joined = on_joined,
	.live = on_live,
	.refused = on_refused,
	.block = on_block,
	.lost = on_lost,
	.left = on_left,
};

void subscription_end(struct peer *peer)
{
	Netwatch__Totals totals;

	peer->state = PEER_LEAVING;
	replay_stop(peer);
	if (!peer->once) {
		slots_leave(peer->server->slots, &peer->reader);
		return;
	}
	subscription_totals(peer, &totals);
	peer_bye(peer, peer->reason, &totals);
}

void subscription_on_slow(evutil_socket_t fd, short what, void *arg)
{
	struct peer *peer = arg;
	Netwatch__Totals totals;

	(void)fd;
	(void)what;
	if (peer_has_read(peer, peer->slow))
		return;
	log_info("uid %u, pid %d: has not read for %d s; closing", peer->uid, peer->pid,
		 PEER_SLOW_S);
	subscription_totals(peer, &totals);
	peer_bye(peer, NETWATCH__BYE__REASON__SLOW_READER, &totals);
	peer_set_timer(peer->deadline, PEER_DEADLINE_S);
}

bool subscription_count_rate(struct peer *peer)
{
	if (!peer->live || peer->state != PEER_SUBSCRIBED)
		return false;
	peer->rate = peer->reader.delivered - peer->rate_base;
	peer->rate_base = peer->reader.delivered;
	return true;
}
