// SPDX-License-Identifier: GPL-2.0-only
// netwatch replay: a recording, printed as subscribe would have printed it.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "event.h"
#include "exit.h"
#include "judge.h"
#include "log.h"
#include "progress.h"
#include "reply.h"
#include "session.h"
#include "stop.h"
#include "subscribe.h"
#include "version.h"

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

static const struct schema *reply_schema, *conn_schema;

static struct replay *replay_of(struct session *session)
{
	return (struct replay *)session;
}

/* ----------------------------------------------------- what is to be printed */

static unsigned index_of(const struct event *event)
{
	return (unsigned)(event->category - event_schema()->fields);
}

/* EXISTING, CLOSE, ...; 0: something else happened. */
static uint64_t stage_of(const struct event *event)
{
	return event->category->message == conn_schema && event->detail.present & 1
		       ? event->detail.values[0].number
		       : 0;
}

static void keep_time(struct replay *replay, const struct event *event)
{
	uint32_t nanoseconds;
	struct value time;
	int64_t seconds;

	if (!event_time(event, &time) || message_time(time, &seconds, &nanoseconds) ||
	    seconds < 0 || seconds > INT32_MAX * 8ll)
		return;
	replay->last_us = seconds * 1000000 + nanoseconds / 1000;
	if (!replay->first_us)
		replay->first_us = replay->last_us;
}

static bool asked_for(const struct replay *replay, const struct event *event)
{
	uint64_t stage = stage_of(event);

	return replay->categories >> index_of(event) & 1 &&
	       (stage != NETWATCH__CONN__STAGE__CLOSE || replay->closed) &&
	       (stage != NETWATCH__CONN__STAGE__EXISTING || !replay->session.options->no_existing);
}

/* EXISTING is in no account. */
static bool keeps(struct session *session, const struct event *event)
{
	struct replay *replay = replay_of(session);
	bool counts = stage_of(event) != NETWATCH__CONN__STAGE__EXISTING;
	enum verdict verdict;

	keep_time(replay, event);
	if (!asked_for(replay, event))
		return false;
	verdict = judge_event(&replay->judge, event);
	replay->filtered += counts && verdict == JUDGE_FILTERS;
	replay->delivered += counts && verdict == JUDGE_ACCEPTS;
	return verdict == JUDGE_ACCEPTS;
}

/* Nothing is printed of what was recorded without: say so. */
static void tell_missing(const struct replay *replay, struct categories *asked,
			 const Netwatch__Hello *hello)
{
	for (size_t i = 0; i < asked->count; i++) {
		size_t k = 0;

		while (k < hello->n_category && strcmp(hello->category[k], asked->names[i]))
			k++;
		if (k == hello->n_category && !asked->optional[i] &&
		    !replay->session.options->quiet)
			log_warn("%s has no %s events: it was recorded without", replay->name,
				 asked->names[i]);
		asked->optional[i] = true;
	}
}

/* Those of the recording, when no option says which. */
static void settle_categories(struct replay *replay, const Netwatch__Hello *hello)
{
	struct session *session = &replay->session;
	struct categories *asked = &session->asked;

	if (session->options->chosen)
		*asked = session->options->categories;
	else if (!hello->n_category)
		categories_add_all(asked);
	for (size_t i = 0; !session->options->chosen && i < hello->n_category; i++)
		categories_add(asked, hello->category[i], true); /* or it is not known here */
	if (hello->n_category) {
		tell_missing(replay, asked, hello);
		categories_settle(asked, hello->category, hello->n_category);
	}
	for (size_t i = 0; i < asked->count; i++)
		replay->categories |= 1ull << schema_find(event_schema(), asked->names[i]);
}

/* ---------------------------------------------------------------- the account */

/* Everything is printed, so the account is the recording's. */
static bool is_whole(const struct replay *replay)
{
	const struct options *options = replay->session.options;

	return replay->bye && replay->judge.all && !options->chosen && !options->no_existing;
}

/* What was lost may or may not have been asked for: it counts. */
static void make_totals(const struct replay *replay, Netwatch__Totals *totals)
{
	const struct session *session = &replay->session;
	const Netwatch__Totals *old = replay->bye ? replay->bye->totals : NULL;

	totals->has_matched = totals->has_delivered = totals->has_filtered = true;
	totals->has_lost_kernel = totals->has_lost_queue = totals->has_duration_us = true;
	totals->delivered = replay->delivered;
	totals->filtered = replay->filtered;
	totals->lost_kernel = session->losses.kernel;
	totals->lost_queue = session->losses.queue;
	totals->matched =
		totals->delivered + totals->filtered + totals->lost_kernel + totals->lost_queue;
	if (old && old->has_duration_us)
		totals->duration_us = old->duration_us;
	else if (replay->last_us > replay->first_us)
		totals->duration_us = (uint64_t)(replay->last_us - replay->first_us);
}

/* For --stats, and for a bye. */
static void settle_account(struct replay *replay)
{
	struct account *account = &replay->session.account;

	account->sum = (Netwatch__Totals)NETWATCH__TOTALS__INIT;
	account->begun = account->given = 1;
	if (is_whole(replay) && replay->bye->totals)
		account->sum = *replay->bye->totals;
	else
		make_totals(replay, &account->sum);
}

/* Formats that have a bye get one, but from a recording without. */
static int write_bye(struct replay *replay)
{
	Netwatch__Bye made = NETWATCH__BYE__INIT, *bye = replay->bye ? replay->bye : &made;
	Netwatch__Totals *totals = bye->totals;
	uint8_t *data;
	size_t size;

	made.has_reason = true;
	made.reason = NETWATCH__BYE__REASON__DONE;
	if (totals || !replay->bye)
		bye->totals = &replay->session.account.sum;
	size = netwatch__bye__get_packed_size(bye);
	data = malloc(size + 1);
	if (data) {
		netwatch__bye__pack(bye, data);
		reply_forward(&replay->session, NETWATCH__REPLY__REPLY_BYE, data, size);
		free(data);
	}
	bye->totals = totals;
	return data ? 0 : -ENOMEM;
}

/* ------------------------------------------------------------------- messages */

static int fail(struct replay *replay, int status)
{
	replay->session.ended = true;
	return replay->session.status = status;
}

static void no_recording(struct replay *replay)
{
	log_error("%s is no recording of netwatch", replay->name);
	fail(replay, EXIT_ERROR);
}

static void damaged(struct replay *replay, const char *what)
{
	int err = output_flush(&replay->session.output); /* what was whole comes first */

	if (err) {
		session_fail_output(&replay->session, err);
		return;
	}
	log_error("%s is damaged at byte %" PRIu64 ": %s", replay->name, replay->at, what);
	fail(replay, EXIT_ERROR);
}

static int on_hello(struct session *session, const uint8_t *data, size_t size)
{
	Netwatch__Hello *hello;

	if (session->requested) /* a second one */
		return -EBADMSG;
	hello = netwatch__hello__unpack(NULL, size, data);
	if (!hello)
		return -EBADMSG;
	if (hello->major == VERSION_MAJOR) {
		if (session->options->verbose)
			log_info("%s was recorded from %s", replay_of(session)->name,
				 hello->program ? hello->program : "a program without a name");
		settle_categories(replay_of(session), hello);
		session->requested = true;
		if (reply_keep_hello(session, hello, true)) {
			log_error("out of memory");
			fail(replay_of(session), EXIT_ERROR);
		}
	} else if (hello->has_major) {
		log_error("%s is of version %" PRIu32 " of the protocol, not %u",
			  replay_of(session)->name, hello->major, VERSION_MAJOR);
		fail(replay_of(session), EXIT_VERSION);
	}
	netwatch__hello__free_unpacked(hello, NULL);
	return 0;
}

static int on_subscribed(struct session *session, const uint8_t *data, size_t size)
{
	int err = reply_start(session);

	if (!err && !session->account.begun++)
		reply_forward(session, NETWATCH__REPLY__REPLY_SUBSCRIBED, data, size);
	return err;
}

static int on_bye(struct session *session, const uint8_t *data, size_t size)
{
	struct replay *replay = replay_of(session);
	const Netwatch__Totals *totals;

	replay->bye = netwatch__bye__unpack(NULL, size, data);
	if (!replay->bye)
		return -EBADMSG;
	totals = replay->bye->totals;
	session->lost |= totals && (totals->lost_kernel || totals->lost_queue);
	session->ended = true;
	return reply_start(session);
}

/* What else a collector may say is no part of a recording, and passed over. */
static const struct {
	uint32_t number;
	int (*handle)(struct session *session, const uint8_t *data, size_t size);
} handlers[] = {
	{NETWATCH__REPLY__REPLY_HELLO, on_hello},
	{NETWATCH__REPLY__REPLY_SUBSCRIBED, on_subscribed},
	{NETWATCH__REPLY__REPLY_EVENT, reply_event},
	{NETWATCH__REPLY__REPLY_BYE, on_bye},
};

/* The first of the members that are known: there is only one, but who knows. */
static int handle(struct replay *replay, const uint8_t *data, size_t size)
{
	struct session *session = &replay->session;
	struct message reply;
	int err = message_read(&reply, reply_schema, data, size);

	for (size_t i = 0; !err && i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		unsigned field = reply_schema->index[handlers[i].number] - 1u;

		if (!message_has(&reply, (int)field))
			continue;
		if (!session->requested && handlers[i].number != NETWATCH__REPLY__REPLY_HELLO)
			return -EBADMSG;
		return handlers[i].handle(session, reply.values[field].data,
					  reply.values[field].length);
	}
	return !err && !session->requested ? -EBADMSG : err;
}

static const char *why_damaged(int err)
{
	return err == -EMSGSIZE ? "a message of more than 64 KiB" : "no message";
}

/* Takes the whole frames of the input; what is left stays for the next read. */
static void take_frames(struct replay *replay)
{
	struct session *session = &replay->session;
	size_t done = 0;

	while (!session->ended && stop_state() == STOP_NO) {
		const uint8_t *body;
		size_t length;
		ssize_t n = frame_get(session->input + done, session->have - done, FRAME_REPLY_MAX,
				      &body, &length);
		int err;

		if (!n)
			break;
		err = n < 0 ? (int)n : handle(replay, body, length);
		if ((err == -EBADMSG || err == -EMSGSIZE) && !session->requested)
			no_recording(replay);
		else if (err == -EBADMSG || err == -EMSGSIZE)
			damaged(replay, why_damaged(err));
		else if (err)
			session_fail_output(session, err);
		done += n > 0 ? (size_t)n : 0;
		replay->at += n > 0 ? (uint64_t)n : 0;
	}
	session->have -= done;
	memmove(session->input, session->input + done, session->have);
}

/* ------------------------------------------------------------------- the file */

/* It ends without a bye. What is whole was printed. */
static void cut_off(struct replay *replay)
{
	struct session *session = &replay->session;
	int err = session->requested ? reply_start(session) : 0;

	if (!err)
		err = output_flush(&session->output);
	if (err)
		session_fail_output(session, err);
	else if (!session->requested)
		no_recording(replay);
	else if (session->have)
		log_error("%s is cut off in a message, at byte %" PRIu64
			  ": read to its last whole event",
			  replay->name, replay->at);
	else
		log_error("%s has no end: it was cut off, or the collector went away",
			  replay->name);
	if (!session->ended)
		fail(replay, EXIT_ERROR);
}

static void receive(struct replay *replay)
{
	struct session *session = &replay->session;
	ssize_t n = read(session->fd, session->input + session->have, SESSION_READ_SIZE);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0) {
		log_error("cannot read %s: %s", replay->name, strerror(errno));
		fail(replay, EXIT_ERROR);
	} else if (!n) {
		cut_off(replay);
	} else {
		session->have += (size_t)n;
		take_frames(replay);
	}
}

static void loop(struct replay *replay)
{
	struct session *session = &replay->session;
	int err;

	while (!session->ended && stop_state() == STOP_NO) {
		if (session_wait(session, -1))
			receive(replay);
		err = session->mute ? 0 : output_flush(&session->output);
		if (err)
			session_fail_output(session, err);
		progress_show(session->printed, replay->at);
	}
}

/* After its end, or when no more was asked for. */
static void finish(struct replay *replay)
{
	struct session *session = &replay->session;
	int err;

	settle_account(replay);
	if (session->status || !session->requested)
		return;
	if (replay->bye && (session->have || replay->at < replay->size)) {
		damaged(replay, "something follows the recording's end");
		return;
	}
	err = write_bye(replay);
	if (!err)
		err = output_flush(&session->output);
	if (err)
		session_fail_output(session, err);
}

static int open_file(struct replay *replay, const char *path)
{
	struct stat st;
	int fd = STDIN_FILENO;

	replay->name = strcmp(path, "-") ? path : "stdin";
	if (strcmp(path, "-"))
		fd = stop_open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC, 0);
	if (fd == -ECANCELED) {
		replay->session.ended = true;
		return EXIT_OK;
	}
	if (fd < 0) {
		log_error("cannot read %s: %s", path, strerror(-fd));
		return EXIT_ERROR;
	}
	replay->session.fd = fd;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && fd != STDIN_FILENO)
		replay->size = (uint64_t)st.st_size;
	return EXIT_OK;
}

static int init(struct replay *replay, const struct options *options)
{
	static const struct session_ops ops = {.keeps = keeps};
	int status = session_init(&replay->session, options, &ops);

	if (status)
		return status;
	reply_schema = schema_get(&netwatch__reply__descriptor);
	conn_schema = schema_get(&netwatch__conn__descriptor);
	if (!reply_schema || !conn_schema) {
		log_error("out of memory");
		return EXIT_ERROR;
	}
	event_as_recorded();
	replay->closed = options->closed || !options->chosen;
	if (judge_init(&replay->judge, &options->filter))
		return EXIT_ERROR;
	return open_file(replay, options->argument);
}

/* Lines on the same terminal are progress enough. */
static bool shows_progress(const struct options *options)
{
	return !options->quiet && !isatty(options->out);
}

int replay_run(struct options *options)
{
	static struct replay replay; /* too large for the stack */
	struct session *session = &replay.session;
	int status = init(&replay, options);

	if (!status) {
		if (shows_progress(options))
			progress_begin(replay.size);
		loop(&replay);
		finish(&replay);
		progress_end();
		if (session->requested && session->status != EXIT_OUTPUT)
			progress_summary(session, replay.name,
					 session->account.sum.duration_us / 1000);
		if (options->stats && session->requested)
			subscribe_stats(&session->account);
		if (session->broken_pipe)
			stop_by_pipe();
		status = session_status(session);
	}
	if (replay.bye)
		netwatch__bye__free_unpacked(replay.bye, NULL);
	session_deinit(session);
	return status;
}
