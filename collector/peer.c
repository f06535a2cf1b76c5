// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "escape.h"
#include "event.h"
#include "frame.h"
#include "log.h"
#include "peer.h"
#include "requests.h"
#include "server.h"
#include "slots.h"

#define DEADLINE_S 5  /* for hello, for a frame: absolute */
#define SLOW_S	   60 /* a full queue, or the last frames, without a byte read: closed */
#define READ_SIZE  8192
#define REFERENCE_SIZE                                                             \
	(BLOCK_SIZE / 4) /* smaller blocks are copied: a reference keeps all of it \
			  */

static void set_timer(struct event *timer, time_t seconds)
{
	struct timeval tv = {.tv_sec = seconds};

	evtimer_add(timer, &tv);
}

/* Callers up the stack still use the peer: it is freed from the loop. */
static void break_off(struct peer *peer)
{
	peer->broken = true;
	event_del(peer->readable);
	event_del(peer->writable);
	set_timer(peer->deadline, 0);
}

/* ------------------------------------------------------------------ output */

static void send_lost(struct peer *peer, Netwatch__Lost__Cause cause)
{
	struct peer_gap *gap = &peer->gap[cause];
	struct event_frame frame;

	if (!gap->count)
		return;
	event_lost(&frame, cause, gap->count, gap->first_ns, gap->last_ns);
	memset(gap, 0, sizeof(*gap));
	evbuffer_add(peer->out, frame.data, frame.size);
}

static void close_gap(struct peer *peer)
{
	send_lost(peer, NETWATCH__LOST__CAUSE__KERNEL_RING);
	send_lost(peer, NETWATCH__LOST__CAUSE__SUBSCRIBER_QUEUE);
	peer->gapped = false;
	evtimer_del(peer->slow);
}

static void flush(struct peer *peer)
{
	size_t before = evbuffer_get_length(peer->out), left;

	if (peer->broken)
		return;
	while (before && evbuffer_write(peer->out, peer->fd) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN) {
			break_off(peer);
			return;
		}
		break;
	}
	left = evbuffer_get_length(peer->out);
	if (peer->gapped && left < before)
		set_timer(peer->slow, SLOW_S);
	if (peer->state == PEER_ENDING && left && left < before)
		set_timer(peer->deadline, SLOW_S);
	if (peer->gapped && left <= peer->server->queue_max / 2) {
		close_gap(peer);
		left = evbuffer_get_length(peer->out);
	}
	if (left)
		event_add(peer->writable, NULL);
	else if (peer->state == PEER_ENDING)
		break_off(peer);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	flush(arg);
}

void peer_send_frame(struct peer *peer, const uint8_t *data, size_t size)
{
	if (peer->broken || peer->state == PEER_ENDING)
		return;
	if (evbuffer_add(peer->out, data, size))
		break_off(peer);
	else if (evbuffer_get_length(peer->out) >= BLOCK_SIZE)
		flush(peer);
}

int peer_send(struct peer *peer, const Netwatch__Reply *reply)
{
	uint8_t *data;
	size_t size;
	int err = frame_pack(&reply->base, &data, &size);

	if (err) {
		break_off(peer);
		return err;
	}
	peer_send_frame(peer, data, size);
	flush(peer);
	free(data);
	return 0;
}

void peer_end(struct peer *peer)
{
	if (peer->broken)
		return;
	peer->state = PEER_ENDING;
	slots_abandon(peer->server->slots, &peer->reader);
	walks_cancel(peer->server->walks, &peer->walk);
	set_timer(peer->deadline, SLOW_S);
	flush(peer);
}

void peer_refuse(struct peer *peer, Netwatch__Error__Code code, const char *format, ...)
{
	Netwatch__Error error = NETWATCH__ERROR__INIT;
	Netwatch__Reply reply = NETWATCH__REPLY__INIT;
	char text[256], message[4 * sizeof(text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* It may quote what the client sent. */
	escape_terminal(message, sizeof(message), text, strlen(text));
	error.has_code = 1;
	error.code = code;
	error.message = message;
	reply.reply_case = NETWATCH__REPLY__REPLY_ERROR;
	reply.error = &error;
	peer_send(peer, &reply);
	peer_end(peer);
}

void peer_bye(struct peer *peer, Netwatch__Bye__Reason reason, const Netwatch__Totals *totals)
{
	Netwatch__Bye bye = NETWATCH__BYE__INIT;
	Netwatch__Reply reply = NETWATCH__REPLY__INIT;

	close_gap(peer);
	bye.has_reason = 1;
	bye.reason = reason;
	bye.totals = (Netwatch__Totals *)(uintptr_t)totals;
	reply.reply_case = NETWATCH__REPLY__REPLY_BYE;
	reply.bye = &bye;
	peer_send(peer, &reply);
	peer_end(peer);
}

/* ------------------------------------------------------------ subscription */

static struct peer *peer_of(struct reader *reader)
{
	return (struct peer *)(void *)((char *)reader - offsetof(struct peer, reader));
}

void peer_totals(const struct peer *peer, Netwatch__Totals *totals)
{
	const struct reader *reader = &peer->reader;
	uint64_t end = reader->end_ns ? reader->end_ns : event_monotonic();

	netwatch__totals__init(totals);
	totals->has_matched = totals->has_delivered = totals->has_filtered = 1;
	totals->has_lost_kernel = totals->has_lost_queue = totals->has_duration_us = 1;
	totals->matched = slots_matched(reader);
	totals->delivered = reader->delivered;
	totals->lost_kernel = reader->lost_kernel;
	totals->lost_queue = reader->lost_queue;
	totals->duration_us = peer->live ? (end - reader->start_ns) / 1000 : 0;
}

bool peer_rows_done(struct peer *peer)
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
	requests_send_row(peer_of(reader), row);
}

static void on_live(struct reader *reader)
{
	struct peer *peer = peer_of(reader);
	Netwatch__Subscribed subscribed = NETWATCH__SUBSCRIBED__INIT;
	Netwatch__Reply reply = NETWATCH__REPLY__INIT;

	if (!peer_rows_done(peer))
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

static void on_no_room(struct reader *reader, uint64_t count, uint64_t first_ns, uint64_t last_ns)
{
	struct peer *peer = peer_of(reader);

	reader->lost_queue += count;
	widen(peer, NETWATCH__LOST__CAUSE__SUBSCRIBER_QUEUE, count, first_ns, last_ns);
	if (peer->gapped || peer->broken)
		return;
	peer->gapped = true;
	set_timer(peer->slow, SLOW_S);
	event_add(peer->writable, NULL); /* when there is room again, the gap is told */
}

static void release_block(const void *data, size_t size, void *block)
{
	(void)data;
	(void)size;
	block_unref(block);
}

static void queue_block(struct peer *peer, struct block *block, size_t offset)
{
	const uint8_t *data = block->data + offset;
	size_t size = block->used - offset;
	int err;

	if (size < REFERENCE_SIZE) {
		err = evbuffer_add(peer->out, data, size);
	} else {
		block->references++;
		err = evbuffer_add_reference(peer->out, data, size, release_block, block);
		if (err)
			block_unref(block);
	}
	if (err)
		break_off(peer);
	else
		event_add(peer->writable, NULL);
}

static void on_block(struct reader *reader, struct block *block)
{
	struct peer *peer = peer_of(reader);
	size_t waiting = evbuffer_get_length(peer->out);
	ssize_t sent = 0;

	if (peer->gapped || waiting + block->used > peer->server->queue_max) {
		on_no_room(reader, block->events, block->first_ns, block->last_ns);
		return;
	}
	reader->delivered += block->events;
	if (peer->broken)
		return;
	if (!waiting)
		sent = send(peer->fd, block->data, block->used, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		break_off(peer);
		return;
	}
	if (sent < (ssize_t)block->used)
		queue_block(peer, block, sent > 0 ? (size_t)sent : 0);
}

static void on_lost(struct reader *reader, uint64_t count, uint64_t first_ns, uint64_t last_ns)
{
	struct peer *peer = peer_of(reader);

	widen(peer, NETWATCH__LOST__CAUSE__KERNEL_RING, count, first_ns, last_ns);
	if (peer->gapped || peer->broken)
		return;
	send_lost(peer, NETWATCH__LOST__CAUSE__KERNEL_RING);
	flush(peer);
}

static void on_left(struct reader *reader)
{
	struct peer *peer = peer_of(reader);
	Netwatch__Totals totals;

	peer_totals(peer, &totals);
	peer_bye(peer, peer->reason, peer->live ? &totals : NULL);
}

const struct reader_ops peer_reader_ops = {
	.row = on_row,
	.live = on_live,
	.refused = on_refused,
	.block = on_block,
	.no_room = on_no_room,
	.lost = on_lost,
	.left = on_left,
};

static void on_slow(evutil_socket_t fd, short what, void *arg)
{
	struct peer *peer = arg;
	Netwatch__Totals totals;

	(void)fd;
	(void)what;
	log_info("uid %u, pid %d: has not read for %d s; closing", peer->uid, peer->pid, SLOW_S);
	peer_totals(peer, &totals);
	peer_bye(peer, NETWATCH__BYE__REASON__SLOW_READER, &totals);
	set_timer(peer->deadline, DEADLINE_S);
}

bool peer_count_rate(struct peer *peer)
{
	if (!peer->live || peer->state != PEER_SUBSCRIBED)
		return false;
	peer->rate = peer->reader.delivered - peer->rate_base;
	peer->rate_base = peer->reader.delivered;
	return true;
}

/* ------------------------------------------------------------------- input */

/* The frames that are complete; a client may send several at once. */
static void handle_frames(struct peer *peer)
{
	while (!peer->broken && peer->state != PEER_ENDING) {
		size_t have = evbuffer_get_length(peer->in), length = 0;
		const uint8_t *data = evbuffer_pullup(peer->in, -1), *body = NULL;
		ssize_t n = frame_get(data, have, FRAME_REQUEST_MAX, &body, &length);

		if (n == -EMSGSIZE) {
			peer_refuse(peer, NETWATCH__ERROR__CODE__FRAME,
				    "a message of more than %d bytes", FRAME_REQUEST_MAX);
		} else if (n < 0) {
			peer_refuse(peer, NETWATCH__ERROR__CODE__FRAME,
				    "a message of no length, or a length that is no varint");
		} else if (n > 0) {
			requests_handle(peer, body, length);
			evbuffer_drain(peer->in, (size_t)n);
			peer->incomplete = false;
		} else {
			if (have && !peer->incomplete && peer->state != PEER_NEW)
				set_timer(peer->deadline, DEADLINE_S);
			peer->incomplete = have > 0;
			break;
		}
	}
	if (!peer->incomplete && peer->state != PEER_NEW && peer->state != PEER_ENDING &&
	    !peer->broken)
		evtimer_del(peer->deadline);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct peer *peer = arg;
	int n = evbuffer_read(peer->in, fd, READ_SIZE);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && peer->state == PEER_ENDING)
		evbuffer_drain(peer->in, (size_t)n);
	else if (n > 0)
		handle_frames(peer);
	else if (!n && (peer->state == PEER_LISTING || peer->state == PEER_ENDING))
		event_del(peer->readable); /* it may still read what it asked for */
	else
		break_off(peer);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct peer *peer = arg;

	(void)fd;
	(void)what;
	if (!peer->broken && peer->state != PEER_ENDING) {
		peer_refuse(peer, NETWATCH__ERROR__CODE__FRAME, "no %s within %d s",
			    peer->state == PEER_NEW ? "hello" : "complete message", DEADLINE_S);
		return;
	}
	peer_free(peer);
}

/* -------------------------------------------------------------- life */

void peer_free(struct peer *peer)
{
	struct server *server = peer->server;
	struct event *events[] = {peer->readable, peer->writable, peer->deadline, peer->slow};

	slots_abandon(server->slots, &peer->reader);
	walks_cancel(server->walks, &peer->walk);
	free(peer->listed);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (events[i])
			event_free(events[i]);
	}
	if (peer->in)
		evbuffer_free(peer->in);
	if (peer->out)
		evbuffer_free(peer->out);
	if (peer->fd >= 0)
		close(peer->fd);
	TAILQ_REMOVE(&server->peers, peer, link);
	free(peer);
	server_peer_gone(server);
}

int peer_new(struct server *server, int fd, const struct scope_peer *who)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		return -ENOMEM;
	TAILQ_INSERT_TAIL(&server->peers, peer, link);
	peer->server = server;
	peer->fd = -1; /* still the caller's */
	peer->uid = who->uid;
	peer->pid = who->pid;
	peer->scope = scope_of(&server->policy, who);
	peer->reader.ops = &peer_reader_ops;
	peer->reader.uid = who->uid;
	peer->in = evbuffer_new();
	peer->out = evbuffer_new();
	peer->readable = event_new(server->base, fd, EV_READ | EV_PERSIST, on_readable, peer);
	peer->writable = event_new(server->base, fd, EV_WRITE, on_writable, peer);
	peer->deadline = evtimer_new(server->base, on_deadline, peer);
	peer->slow = evtimer_new(server->base, on_slow, peer);
	if (!peer->in || !peer->out || !peer->readable || !peer->writable || !peer->deadline ||
	    !peer->slow || event_add(peer->readable, NULL)) {
		peer_free(peer);
		return -ENOMEM;
	}
	peer->fd = fd;
	set_timer(peer->deadline, DEADLINE_S);
	return 0;
}

void peer_shut_down(struct peer *peer)
{
	peer->reason = NETWATCH__BYE__REASON__SHUTDOWN;
	switch (peer->state) {
	case PEER_NEW:
	case PEER_GREETED:
	case PEER_LISTING:
		peer_bye(peer, peer->reason, NULL);
		break;
	case PEER_SUBSCRIBED:
		peer->state = PEER_LEAVING;
		slots_leave(peer->server->slots, &peer->reader);
		break;
	case PEER_LEAVING:
	case PEER_ENDING:
		break;
	}
}
