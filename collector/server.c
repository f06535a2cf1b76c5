// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "event.h"
#include "frame.h"
#include "log.h"
#include "peer.h"
#include "server.h"
#include "subscription.h"

#define PAUSE_S	   1  /* after accept found no descriptor or memory */
#define COMPLAIN_S 60 /* between two messages about clients that cannot be served */
#define STOP_S	   1  /* for the last frames, at the end */
#define AT_ONCE	   16 /* connections; then those who are served have their turn */

/* A peer that is refused before it is one. What does not fit into its buffer is not sent. */
static void refuse(int fd, Netwatch__Error__Code code, const char *message)
{
	Netwatch__Error error = NETWATCH__ERROR__INIT;
	Netwatch__Reply reply = NETWATCH__REPLY__INIT;
	uint8_t *data;
	size_t size;

	error.has_code = 1;
	error.code = code;
	error.message = (char *)(uintptr_t)message;
	reply.reply_case = NETWATCH__REPLY__REPLY_ERROR;
	reply.error = &error;
	if (!frame_pack(&reply.base, &data, &size)) {
		if (send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			log_debug("refusing a connection: %s", strerror(errno));
		free(data);
	}
	close(fd);
}

static void count_peers(const struct server *server, uid_t uid, unsigned *all, unsigned *own)
{
	const struct peer *peer;

	*all = *own = 0;
	TAILQ_FOREACH (peer, &server->peers, link) {
		++*all;
		*own += peer->uid == uid;
	}
}

/* Clients may provoke it as often as they like. */
static void complain(const char *what, int err)
{
	static uint64_t complained_ns;
	uint64_t now = event_monotonic();

	if (complained_ns && now - complained_ns <= COMPLAIN_S * 1000000000ULL)
		return;
	complained_ns = now;
	log_warn("%s: %s", what, strerror(err));
}

static void admit(struct server *server, int fd)
{
	struct scope_peer who;
	unsigned all, own;
	gid_t *groups = NULL;
	char message[120];
	int err = scope_peer_of(fd, &who, &groups);

	if (err) {
		complain("who connected", -err);
		close(fd);
		return;
	}
	count_peers(server, who.uid, &all, &own);
	if (who.uid && own >= SERVER_PEERS_PER_UID) {
		snprintf(message, sizeof(message), "uid %u has %u connections already", who.uid,
			 own);
		refuse(fd, NETWATCH__ERROR__CODE__BUSY, message);
	} else if (all >= SERVER_PEERS_MAX - (who.uid ? SERVER_PEERS_ROOT : 0)) {
		snprintf(message, sizeof(message), "the collector has %u connections already", all);
		refuse(fd, NETWATCH__ERROR__CODE__BUSY, message);
	} else {
		err = peer_new(server, fd, &who);
		if (err) {
			complain("a new client", -err);
			close(fd);
		}
	}
	free(groups);
}

static void pause_accepting(struct server *server, int err)
{
	struct timeval tv = {.tv_sec = PAUSE_S};

	complain("pausing with accepting clients", err);
	event_del(server->listener);
	evtimer_add(server->resume, &tv);
}

static void on_connection(evutil_socket_t listener, short what, void *arg)
{
	struct server *server = arg;

	(void)what;
	for (int i = 0; i < AT_ONCE; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			admit(server, fd);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN)
			pause_accepting(server, errno);
		return;
	}
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;

	(void)fd;
	(void)what;
	event_add(server->listener, NULL);
}

void server_count_rates(struct server *server)
{
	struct timeval tv = {.tv_sec = 1};

	if (!evtimer_pending(server->tick, NULL))
		evtimer_add(server->tick, &tv);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	bool subscribed = false;
	struct peer *peer;

	(void)fd;
	(void)what;
	TAILQ_FOREACH (peer, &server->peers, link)
		subscribed |= subscription_count_rate(peer);
	if (subscribed)
		server_count_rates(server);
}

struct event_base *server_new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	/* The ring's map needs epoll: see drain.c. */
	if (config && !event_config_require_features(config, EV_FEATURE_ET) &&
	    !event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV))
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	return base;
}

int server_start(struct server *server, int fd)
{
	TAILQ_INIT(&server->peers);
	server->started_ns = event_monotonic();
	if (getrandom(&server->epoch, sizeof(server->epoch), 0) != sizeof(server->epoch))
		return -EIO;
	server->listener = event_new(server->base, fd, EV_READ | EV_PERSIST, on_connection, server);
	server->resume = evtimer_new(server->base, on_resume, server);
	server->tick = evtimer_new(server->base, on_tick, server);
	if (!server->listener || !server->resume || !server->tick ||
	    event_add(server->listener, NULL))
		return -ENOMEM;
	return 0;
}

void server_peer_gone(struct server *server)
{
	if (server->stopping && TAILQ_EMPTY(&server->peers))
		event_base_loopbreak(server->base);
}

void server_stop(struct server *server)
{
	struct timeval tv = {.tv_sec = STOP_S};
	struct peer *peer, *next;

	if (server->stopping) { /* asked twice */
		event_base_loopbreak(server->base);
		return;
	}
	server->stopping = true;
	event_del(server->listener);
	evtimer_del(server->resume);
	event_base_loopexit(server->base, &tv);
	for (peer = TAILQ_FIRST(&server->peers); peer; peer = next) {
		next = TAILQ_NEXT(peer, link);
		peer_shut_down(peer);
	}
	server_peer_gone(server);
}

void server_free(struct server *server)
{
	struct peer *peer;

	while ((peer = TAILQ_FIRST(&server->peers)))
		peer_free(peer);
	if (server->listener)
		event_free(server->listener);
	if (server->resume)
		event_free(server->resume);
	if (server->tick)
		event_free(server->tick);
}
