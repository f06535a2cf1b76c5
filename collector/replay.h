/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A client on its way through the history. It goes in portions, as the client reads; what else
 * comes for it meanwhile is held back until the end.
 */
#ifndef NETWATCH_REPLAY_H
#define NETWATCH_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "dispatch.h"

struct evbuffer;
struct event;
struct filter;
struct peer;

/* Which part of the history. */
struct replay_range {
	uint64_t last;	   /* at most so many events; 0: all */
	uint64_t since_ms; /* not older than that; 0: any */
	uint64_t from_ns;  /* from the event of that Unix time, or what is newer; 0: any */
	uint64_t from_id;  /* its socket's cookie; 0: it has none */
};

/* Of a peer. */
struct replay {
	struct evbuffer *held; /* behind the history; NULL: there is none under way */
	struct filter *filter;
	struct replay_range range;
	uint64_t since_ns; /* Unix time */
	uint64_t next;	   /* number of the entry to look at */
	uint64_t begin;	   /* searching: the last of them that was chosen, if found */
	uint64_t end;	   /* the first that is not of the history */
	uint64_t told_ns;  /* Unix time of the last entry that was passed */
	uint64_t found;	   /* searching: how many were chosen */
	bool searching;	   /* backwards, for where to begin */
	bool running;	   /* end is known */
	struct event *step;
	struct dispatch_mark mark; /* for those who are no readers */
	void (*done)(struct peer *peer);
};

/*
 * From now on what is sent to the peer is held back. Its history, that this filter (copied)
 * accepts, is told when replay_start says where it ends; then done(peer) is called, or nothing
 * when it is NULL. 0 or -ENOMEM.
 */
int replay_begin(struct peer *peer, const struct replay_range *range, const struct filter *filter,
		 void (*done)(struct peer *peer));
/* The history ends here: in the stream, or, with a mark, at the ring's end of now. */
void replay_start(struct peer *peer);
void replay_start_at_mark(struct peer *peer);

/* Its queue was written: go on if there is room. */
void replay_go_on(struct peer *peer);
/* Ends it where it is: what was held back follows at once. Legal at any time. */
void replay_stop(struct peer *peer);

#endif
