/* SPDX-License-Identifier: GPL-2.0-only */
/* Accepts clients within the limits, and ends them all at the end. */
#ifndef NETWATCH_SERVER_H
#define NETWATCH_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "netwatch.pb-c.h"
#include "scope.h"

#define SERVER_PEERS_MAX     256 /* connections in all; more: BUSY */
#define SERVER_PEERS_ROOT    16	 /* of these, kept for root */
#define SERVER_PEERS_PER_UID 32	 /* connections of one user; root is exempt; more: BUSY */

struct event_base;
struct event;
struct peer;
struct probe;
struct remember;
struct slots;
struct walks;

TAILQ_HEAD(peer_list, peer);

struct server {
	/* set by main */
	struct event_base *base;
	struct slots *slots;
	struct walks *walks;
	struct probe *probe;
	struct remember *remember; /* NULL: no history */
	struct scope_policy policy;
	size_t queue_max;      /* bytes that may wait for one client */
	bool kernel_addresses; /* uid 0 sees them */

	/* own */
	uint64_t epoch;
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	/* subscriptions that were live, by Bye.Reason; 0: the connection broke off */
	uint64_t ended[NETWATCH__BYE__REASON__SLOW_READER + 1];
	struct peer_list peers;
	struct event *listener;
	struct event *resume; /* accepting pauses when there are no descriptors */
	struct event *tick;   /* rates, while somebody is subscribed */
	bool stopping;
};

/* Whatever the environment says of back ends. NULL: no memory. */
struct event_base *server_new_base(void);
/* Serves the listening socket fd, which stays the caller's. 0 or -errno. */
int server_start(struct server *server, int fd);
/* Says Bye to everybody; the loop ends when all are gone, after a second at most. */
void server_stop(struct server *server);
void server_free(struct server *server);

/* A peer has ended: it is no longer in the list. */
void server_peer_gone(struct server *server);
/* Somebody is subscribed: keep rates. */
void server_count_rates(struct server *server);

#endif
