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
#include "child.h"
#include "frame.h"
#include "options.h"
#include "output.h"
#include "resume.h"
#include "ssh.h"

#define SESSION_READ_SIZE  (256 * 1024)
#define SESSION_INPUT_SIZE (SESSION_READ_SIZE + FRAME_REPLY_MAX + FRAME_PREFIX_MAX)

struct event;
struct session;

/* What a command does of its own. */
struct session_ops {
	/* After the collector's hello: sends the request. 0 or an exit status, with a message told.
	 */
	int (*start)(struct session *session, const Netwatch__Hello *hello);
	/* Asked to stop: sends what makes the collector end. NULL: just leave. */
	void (*stop)(struct session *session);
	/* The request was accepted, and the first byte is about to be written. 0 or -errno of the
	 * output. NULL: nothing to do. */
	int (*begin)(struct session *session);
	/* The subscription is live. */
	void (*subscribed)(struct session *session);
	/* Is this event, which is no loss, to be printed? NULL: all are. */
	bool (*keeps)(struct session *session, const struct event *event);
	/* The answer to a request that has only one, of that number in Reply. 0 or an exit status.
	 */
	int (*answer)(struct session *session, const uint8_t *data, size_t size);
	uint32_t number;
	bool snapshot; /* the events tell of now, not of what happens */
	/* Takes each event, losses too, instead of the writer. NULL: the writer. */
	void (*event)(struct session *session, const struct event *event);
	/* What was there to read has been told: before waiting for more. NULL: no matter. */
	void (*settled)(struct session *session);
	/* There is no subscription any more, which was told; another one may follow, and does if
	 * resume.wanted. NULL: no matter. */
	void (*disconnected)(struct session *session);
	/* There is something to read at session->watched. */
	void (*ready)(struct session *session);
};

/* The account of all subscriptions of a session that gave one. */
struct account {
	Netwatch__Totals sum;
	unsigned begun, given; /* subscriptions */
};

struct session {
	const struct options *options;
	const struct session_ops *ops;
	struct output output;
	int fd;
	int pipe;	/* where the output goes, if that is a pipe; or -1 */
	int watched;	/* a descriptor of the command, which is waited for as well; or -1 */
	uint8_t *input; /* SESSION_INPUT_SIZE bytes; the first have are filled */
	size_t have;
	struct categories asked; /* none: not by name */
	bool requested;		 /* hello was answered, and the request is out */
	bool started;		 /* the writer */
	bool losses_told;	 /* by the writer, in its stream; or by ops->event */
	bool answered;
	bool once; /* what it asked for ends by itself */
	bool stopping;
	bool ended;	  /* bye or an error came, or we are done: leave with status */
	bool mute;	  /* output failed: write no more */
	bool lost;	  /* at least one event */
	bool broken_pipe; /* stdout's reader is gone */
	int status;
	uint64_t printed; /* events, without losses */
	struct {
		uint64_t kernel, queue; /* as the stream tells them */
	} losses;
	struct ssh ssh; /* left out */
	struct child child;
	struct resume resume;
	int64_t timer_at; /* monotonic ms at which timer is called, or 0 */
	void (*timer)(struct session *session);
	uint8_t *hello; /* the collector's first, as it came: hello_size bytes */
	size_t hello_size;
	Netwatch__Scope scope;
	bool history;	    /* the collector has one */
	uint32_t minor;	    /* of the collector's version of the protocol */
	const char *newest; /* what was asked for that an older one may not know; or NULL */
	struct account account;
};

/*
 * Runs the conversation to its end. Returns the exit status. session_deinit is needed in any
 * case.
 */
int session_run(struct session *session, const struct options *options,
		const struct session_ops *ops);
void session_deinit(struct session *session);

/* What session_run begins with: everything but the connection. 0 or an exit status, told. */
int session_init(struct session *session, const struct options *options,
		 const struct session_ops *ops);

/*
 * What it ends with: of several, what went wrong first in the stream counts; then COMMAND; then
 * losses, with --fail-on-loss.
 */
int session_status(const struct session *session);

/* Milliseconds of a clock that nobody sets. */
int64_t session_now(void);

/* Sends a request. 0 or an exit status, with a message told. */
int session_send(struct session *session, const Netwatch__Request *request);

/* Says something on stderr that is no error, unless --quiet. */
void session_note(const struct session *session, const char *text);

/* Calls timer once, after that time; there is one timer. 0: not any more. */
void session_timer(struct session *session, int milliseconds,
		   void (*timer)(struct session *session));

/* Milliseconds of --interval for a timer, or what it is if not given. */
int session_interval(const struct options *options, int other);

/* Waits for something to read, at most that long (-1: for ever). True: there is. */
bool session_wait(struct session *session, int milliseconds);

/* Ends with that exit status; a message was told. */
void session_fail(struct session *session, int status);

/* The output cannot be written: ends the session. Returns its exit status. */
int session_fail_output(struct session *session, int err);

/* The stream ended without our asking, and that may be told or mended by another connection. */
void session_disconnected(struct session *session, const char *why);

#endif
