/* SPDX-License-Identifier: GPL-2.0-only */
/* One client: its requests, what it may see, its queue and its budget. */
#ifndef NETWATCH_PEER_H
#define NETWATCH_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <time.h>

#include "netwatch.pb-c.h"
#include "replay.h"
#include "stream.h"
#include "walk.h"

#define PEER_DEADLINE_S	 5  /* for hello, for a frame: absolute */
#define PEER_SLOW_S	 60 /* a full queue, or the last frames, without a byte read: closed */
#define PEER_ROWS_QUEUES 16 /* rows of a walk may fill so many times the queue; more: LIMIT */

struct event;
struct filter;
struct evbuffer;
struct scope_peer;
struct server;

enum peer_state {
	PEER_NEW, /* has not said hello */
	PEER_GREETED,
	PEER_SUBSCRIBED, /* Subscribe came; subscribed or not yet */
	PEER_LISTING,	 /* List came */
	PEER_LEAVING,	 /* Unsubscribe came, or the collector ends */
	PEER_ENDING,	 /* its last frame is queued */
};

/* Losses that are not told yet, since the place of the gap is not reached. */
struct peer_gap {
	uint64_t count;
	uint64_t first_ns, last_ns; /* Unix time */
};

struct peer {
	TAILQ_ENTRY(peer) link; /* server.peers */
	struct server *server;
	int fd;
	uid_t uid;
	pid_t pid;
	Netwatch__Scope scope;
	enum peer_state state;
	struct event *readable, *writable;
	struct event *deadline; /* of hello, of a frame, of the end; or now: broken */
	struct event *slow;	/* nothing was read while the queue was full */
	struct evbuffer *in, *out;
	bool broken;
	bool incomplete; /* a frame has begun, its deadline runs */

	/* its list, and EXISTING */
	bool too_many_rows;
	struct walk_request walk;
	struct filter *listed;

	/* its subscription */
	struct replay replay; /* of the history, before all else */
	bool once;	      /* the history, and no reader */
	struct reader reader;
	bool live;
	int unread;  /* of what was sent, when that was last looked at */
	bool gapped; /* the queue was full and is not yet half empty */
	struct peer_gap gap[NETWATCH__LOST__CAUSE__SUBSCRIBER_QUEUE + 1]; /* by Lost.Cause */
	Netwatch__Bye__Reason reason;
	uint64_t categories;	  /* bits of enum nw_category */
	uint64_t rate, rate_base; /* delivered events: of the last second, and until its end */
};

/* Takes fd over, unless it fails. 0 or -errno. */
int peer_new(struct server *server, int fd, const struct scope_peer *who);
void peer_free(struct peer *peer);

/* Ends what it asked for, with Bye and the reason SHUTDOWN. */
void peer_shut_down(struct peer *peer);

/*
 * For requests.c and subscription.c. peer_send sends at once, 0 or -errno; frames are
 * gathered until then, or until peer_flush.
 */
int peer_send(struct peer *peer, const Netwatch__Reply *reply);
void peer_send_frame(struct peer *peer, const uint8_t *data, size_t size);
void peer_flush(struct peer *peer);
/* Bytes that wait for it, behind its history too. */
size_t peer_waiting(const struct peer *peer);
/* Nothing can be sent any more. It is freed from the loop: callers may go on using it. */
void peer_break_off(struct peer *peer);
/* 0 or -ENOMEM. A timer that is set can be set anew without memory. */
int peer_set_timer(struct event *timer, time_t seconds);
/*
 * Sets a timer for the case that the client reads nothing from now on. When it fires,
 * peer_has_read says whether it did, and then sets it anew: the socket is not writable
 * before most of it was read.
 */
void peer_expect_reading(struct peer *peer, struct event *timer);
bool peer_has_read(struct peer *peer, struct event *timer);
/* The last frame is queued: close when it is out. */
void peer_end(struct peer *peer);
__attribute__((format(printf, 3, 4))) void
peer_refuse(struct peer *peer, Netwatch__Error__Code code, const char *format, ...);
void peer_bye(struct peer *peer, Netwatch__Bye__Reason reason, const Netwatch__Totals *totals);

#endif
