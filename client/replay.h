/* SPDX-License-Identifier: GPL-2.0-only */
/* A replay under way: what of the recording is printed, and the account of that. */
#ifndef NETWATCH_REPLAY_H
#define NETWATCH_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "judge.h"
#include "session.h"

struct replay {
	struct session session; /* first: its functions get it as such */
	const char *name;	/* of the file, for messages */
	uint64_t size;		/* of it, or 0: not known */
	uint64_t at;		/* bytes of it that were taken */
	struct judge judge;
	uint64_t categories; /* members of Event that are printed, one bit each */
	bool closed;	     /* CLOSE too */
	uint64_t delivered, filtered;
	int64_t first_us, last_us; /* times of the first and the last event */
	Netwatch__Bye *bye;	   /* the recording's, or NULL */
};

/* Which events are printed, when the recording has said hello. */
void replay_settle_categories(struct replay *replay, const Netwatch__Hello *hello);

/* Of struct session_ops: is this event of the session, which is a replay's, printed? */
bool replay_keeps(struct session *session, const struct event *event);

/* After the last event: the account of the session, for --stats and for a bye. */
void replay_settle_account(struct replay *replay);

/*
 * Then, in formats that have one, the bye: the recording's, with the account of what was printed.
 * 0 or -ENOMEM.
 */
int replay_write_bye(struct replay *replay);

#endif
