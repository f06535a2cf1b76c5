// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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
#include "subscription.h"

#define READ_SIZE 8192

int peer_set_timer(struct event *timer, time_t seconds)
{
	struct timeval tv = {.tv_sec = seconds};

	return evtimer_add(timer, &tv) ? -ENOMEM : 0;
}

static int count_unread(const struct peer *peer)
{
	int unread = 0;

	return ioctl(peer->fd, SIOCOUTQ, &unread) ? 0 : unread;
}

void peer_expect_reading(struct peer *peer, struct event *timer)
{
	peer->unread = count_unread(peer);
	peer_set_timer(timer, PEER_SLOW_S);
}

bool peer_has_read(struct peer *peer, struct event *timer)
{
	if (count_unread(peer) >= peer->unread)
		return false;
	peer_expect_reading(peer, timer);
	return true;
}

void peer_break_off(struct peer *peer)
{
	peer->broken = true;
	event_del(peer->readable);
	event_del(peer->writable);
	event_active(peer->deadline, EV_TIMEOUT, 0); /* unlike a timer it needs no memory */
}

/* ------------------------------------------------------------------ output */

size_t peer_waiting(const struct peer *peer)
{
	const struct evbuffer *held = peer->replay.held;

	return evbuffer_get_length(peer->out) + (held ? evbuffer_get_length(held) : 0);
}

void peer_flush(struct peer *peer)
{
	size_t before = evbuffer_get_length(peer->out), left;

	if (peer->broken)
		return;
	while (before && evbuffer_write(peer->out, peer->fd) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN) {
			peer_break_off(peer);
			return;
		}
		break;
	}
	left = evbuffer_get_length(peer->out);
	if (peer->gapped && left < before)
		peer_expect_reading(peer, peer->slow);
	if (peer->state == PEER_ENDING && left && left < before)
		peer_expect_reading(peer, peer->deadline);
	if (peer->gapped && peer_waiting(peer) <= peer->server->queue_max / 2) {
		subscription_close_gap(peer);
		left = evbuffer_get_length(peer->out);
	}
	replay_go_on(peer);
	if (left || (peer->gapped && !peer->replay.held))
		event_add(peer->writable, NULL);
	else if (peer->state == PEER_ENDING)
		peer_break_off(peer);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	peer_flush(arg);
}

void peer_send_frame(struct peer *peer, const uint8_t *data, size_t size)
{
	struct evbuffer *held = peer->replay.held;

	if (peer->broken || peer->state == PEER_ENDING)
		return;
	if (evbuffer_add(held ? held : peer->out, data, size))
		peer_break_off(peer);
	else if (evbuffer_get_length(peer->out) >= BLOCK_SIZE)
		peer_flush(peer);
}

int peer_send(struct peer *peer, const Netwatch__Reply *reply)
{
	uint8_t *data;
	size_t size;
	int err = frame_pack(&reply->base, &data, &size);

	if (err) {
		peer_break_off(peer);
		return err;
	}
	peer_send_frame(peer, data, size);
	peer_flush(peer);
	free(data);
	return 0;
}

void peer_end(struct peer *peer)
{
	if (peer->broken)
		return;
	replay_stop(peer);
	peer->state = PEER_ENDING;
	slots_abandon(peer->server->slots, &peer->reader);
	walks_cancel(peer->server->walks, &peer->walk);
	peer_expect_reading(peer, peer->deadline);
	peer_flush(peer);
}

void peer_refuse(struct peer *peer, Netwatch__Error__Code code, const char *format, ...)
{
	Netwatch__Error error = NETWATCH__ERROR__INIT;
	Netwatch__Reply reply = NETWATCH__REPLY__INIT;
	char text[256], message[4 * sizeof(text)];
	va_list args;

	peer->reason = 0; /* none: see server.ended */
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

	peer->reason = reason;
	subscription_close_gap(peer);
	bye.has_reason = 1;
	bye.reason = reason;
	bye.totals = (Netwatch__Totals *)(uintptr_t)totals;
	reply.reply_case = NETWATCH__REPLY__REPLY_BYE;
	reply.bye = &bye;
	peer_send(peer, &reply);
	peer_end(peer);
}

/* ------------------------------------------------------------------- input */

/* The frames that are complete; a client may send several at once. */
static void handle_frames(struct peer *peer)
{
	while (!peer->broken && peer->state != PEER_ENDING) {
		size_t have = evbuffer_get_length(peer->in), length = 0;
		const uint8_t *data = evbuffer_pullup(peer->in, -1), *body = NULL;
		ssize_t n = 0;

		if (have && !data) { /* no memory */
			peer_break_off(peer);
			return;
		}
		n = frame_get(data, have, FRAME_REQUEST_MAX, &body, &length);
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
				peer_set_timer(peer->deadline, PEER_DEADLINE_S);
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
	else if (!n && (peer->state == PEER_LISTING || peer->state == PEER_ENDING || peer->once))
		event_del(peer->readable); /* it may still read what it asked for */
	else
		peer_break_off(peer);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct peer *peer = arg;

	(void)fd;
	(void)what;
	if (!peer->broken && peer->state != PEER_ENDING) {
		peer_refuse(peer, NETWATCH__ERROR__CODE__FRAME, "no %s within %d s",
			    peer->state == PEER_NEW ? "hello" : "complete message",
			    PEER_DEADLINE_S);
		return;
	}
	if (peer->broken || !peer_has_read(peer, peer->deadline))
		peer_free(peer);
}

/* -------------------------------------------------------------- life */

void peer_free(struct peer *peer)
{
	struct server *server = peer->server;
	struct event *events[] = {peer->readable, peer->writable, peer->deadline, peer->slow};

	if (peer->live)
		server->ended[peer->state == PEER_ENDING ? peer->reason : 0]++;
	slots_abandon(server->slots, &peer->reader);
	walks_cancel(server->walks, &peer->walk);
	replay_stop(peer);
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
	peer->reader.ops = &subscription_ops;
	peer->reader.uid = who->uid;
	peer->in = evbuffer_new();
	peer->out = evbuffer_new();
	peer->readable = event_new(server->base, fd, EV_READ | EV_PERSIST, on_readable, peer);
	peer->writable = event_new(server->base, fd, EV_WRITE, on_writable, peer);
	peer->deadline = evtimer_new(server->base, on_deadline, peer);
	peer->slow = evtimer_new(server->base, subscription_on_slow, peer);
	if (!peer->in || !peer->out || !peer->readable || !peer->writable || !peer->deadline ||
	    !peer->slow || event_add(peer->readable, NULL) ||
	    peer_set_timer(peer->deadline, PEER_DEADLINE_S)) {
		peer_free(peer);
		return -ENOMEM;
	}
	peer->fd = fd;
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
		subscription_end(peer);
		break;
	case PEER_LEAVING:
	case PEER_ENDING:
		break;
	}
}
