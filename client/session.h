/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One conversation with the collector: hello, one request, what it answers until it says
 * bye. The events go through a writer to stdout.
 */
#ifndef NETWATCH_SESSION_H
#define NETWATCH_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netwatch.pb-c.h"
#include "options.h"
#include "output.h"
#include "ssh.h"

struct session;

/* What a command does of its own. */
struct session_ops {
	/* After the collector's hello: sends the request. 0 or an exit status, with a message told.
	 */
	int (*start)(struct session *session, const Netwatch__Hello *hello);
	/* Asked to stop: sends what makes the collector end. NULL: just leave. */
	void (*stop)(struct session *session);
	/* The subscription is live. */
	void (*subscribed)(struct session *session);
	/* The answer to a request that has only one. 0 or an exit status. */
	int (*status)(struct session *session, const uint8_t *data, size_t size);
	const char *name; /* of the request, where a collector may be too old for it; else NULL */
	bool snapshot;	  /* the events tell of now, not of what happens */
};

struct session {
	const struct options *options;
	const struct session_ops *ops;
	struct output output;
	int fd;
	int pipe;	/* stdout when it is one, or -1 */
	uint8_t *input; /* INPUT_SIZE bytes; the first have are filled */
	size_t have;
	size_t categories; /* asked for; 0: not by name */
	bool requested;	   /* hello was answered, and the request is out */
	bool started;	   /* the writer */
	bool stopping;
	bool ended; /* bye or an error came, or we are done: leave with status */
	bool mute;  /* output failed: write no more */
	int status;
	uint64_t printed; /* events, without losses */
	struct ssh ssh;	  /* left out */
	int64_t hint_at;  /* monotonic ms at which hint is called, or 0 */
	void (*hint)(struct session *session);
	Netwatch__Scope scope;
	Netwatch__Totals *totals; /* of the bye, or NULL */
};

/* Runs the conversation to its end. Returns the exit status. */
int session_run(struct session *session, const struct options *options,
		const struct session_ops *ops);
void session_deinit(struct session *session);

/* Sends a request. 0 or an exit status, with a message told. */
int session_send(struct session *session, const Netwatch__Request *request);

/* Says something on stderr that is no error, unless --quiet. */
void session_note(const struct session *session, const char *text);

/* Calls session->hint when nothing was printed for that long. */
void session_hint_after(struct session *session, int milliseconds,
			void (*hint)(struct session *session));

#endif
