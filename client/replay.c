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
#include "log.h"
#include "progress.h"
#include "replay.h"
#include "reply.h"
#include "stop.h"
#include "subscribe.h"
#include "version.h"

static const struct schema *reply_schema;

static struct replay *replay_of(struct session *session)
{
	return (struct replay *)session;
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
		replay_settle_categories(replay_of(session), hello);
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

	replay_settle_account(replay);
	if (session->status || !session->requested)
		return;
	if (replay->bye && (session->have || replay->at < replay->size)) {
		damaged(replay, "something follows the recording's end");
		return;
	}
	err = replay_write_bye(replay);
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
	static const struct session_ops ops = {.keeps = replay_keeps};
	int status = session_init(&replay->session, options, &ops);

	if (status)
		return status;
	reply_schema = schema_get(&netwatch__reply__descriptor);
	if (!reply_schema) {
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
	struct replay *replay = calloc(1, sizeof(*replay));
	struct session *session = &replay->session;
	int status;

	if (!replay) {
		log_error("out of memory");
		return EXIT_ERROR;
	}
	status = init(replay, options);
	if (!status) {
		if (shows_progress(options))
			progress_begin(replay->size);
		loop(replay);
		finish(replay);
		progress_end();
		if (session->requested && session->status != EXIT_OUTPUT)
			progress_summary(session, replay->name,
					 session->account.sum.duration_us / 1000);
		if (options->stats && session->requested)
			subscribe_stats(&session->account);
		if (session->broken_pipe)
			stop_by_pipe();
		status = session_status(session);
	}
	if (replay->bye)
		netwatch__bye__free_unpacked(replay->bye, NULL);
	session_deinit(session);
	free(replay);
	return status;
}
