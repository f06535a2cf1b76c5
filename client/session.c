// SPDX-License-Identifier: GPL-2.0-only
// The loop: wait, read all there is, print all of it, write it out, wait again.
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "exit.h"
#include "filter.h"
#include "frame.h"
#include "log.h"
#include "reply.h"
#include "session.h"
#include "sock.h"
#include "stop.h"
#include "version.h"

#define ANSWER_MS 10000 /* for the collector's hello; it gives us 5 s for ours */

int64_t session_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int fail_connect(const char *path, int err)
{
	if (err == -EACCES || err == -EPERM) {
		log_error("%s: %s", path, strerror(-err));
		return EXIT_PERMISSION;
	}
	if (err == -ENOENT || err == -ECONNREFUSED) {
		log_error("no collector at %s; root starts one with: netwatch-collector%s%s", path,
			  strcmp(path, SOCK_DEFAULT_PATH) ? " --socket " : "",
			  strcmp(path, SOCK_DEFAULT_PATH) ? path : "");
		return EXIT_NO_COLLECTOR;
	}
	log_error("%s: %s", path, strerror(-err));
	return EXIT_NO_COLLECTOR;
}

int session_fail_output(struct session *session, int err)
{
	session->ended = session->mute = true;
	if (err == -ECANCELED) /* we were told to go, and nobody takes the rest */
		return session->status = EXIT_OK;
	if (err == -EPIPE) {
		session->broken_pipe = true;
		return session->status = EXIT_OUTPUT;
	}
	log_error("cannot write the output: %s", strerror(-err));
	return session->status = EXIT_OUTPUT;
}

void session_fail(struct session *session, int status)
{
	session->ended = session->mute = true;
	session->status = status;
}

void session_disconnected(struct session *session, const char *why)
{
	struct resume *resume = &session->resume;

	session->ended = true;
	resume->wanted =
		session->options->reconnect && session->account.begun && !session->stopping;
	if (!resume->wanted) {
		log_error("disconnected: %s", why);
		session->status = EXIT_DISCONNECTED;
	} else if (!resume->tries) {
		log_warn("disconnected: %s; waiting for the collector", why);
	}
	if (session->ops->disconnected)
		session->ops->disconnected(session);
}

int session_send(struct session *session, const Netwatch__Request *request)
{
	size_t size, done = 0;
	uint8_t *data;

	size = netwatch__request__get_packed_size(request);
	if (size > FRAME_REQUEST_MAX) {
		log_error("too many filters: a request has %d bytes at most, not %zu, and in one "
			  "filter %d ports and ranges, %d CIDRs or %d other values",
			  FRAME_REQUEST_MAX, size, FILTER_PORTS_MAX, FILTER_PREFIXES_MAX,
			  FILTER_VALUES_MAX);
		return EXIT_ERROR;
	}
	if (frame_pack(&request->base, &data, &size)) {
		log_error("out of memory");
		return EXIT_ERROR;
	}
	while (done < size) {
		ssize_t n = send(session->fd, data + done, size - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		/* the collector's last word, about why it closed, is still to be read */
		if (n < 0)
			break;
		done += (size_t)n;
	}
	free(data);
	return 0;
}

static int send_hello(struct session *session)
{
	Netwatch__Request request = NETWATCH__REQUEST__INIT;
	Netwatch__Hello hello = NETWATCH__HELLO__INIT;

	hello.has_major = hello.has_minor = true;
	hello.major = VERSION_MAJOR;
	hello.minor = VERSION_MINOR;
	hello.program = (char *)"netwatch " VERSION;
	request.request_case = NETWATCH__REQUEST__REQUEST_HELLO;
	request.hello = &hello;
	return session_send(session, &request);
}

void session_note(const struct session *session, const char *text)
{
	if (!session->options->quiet)
		log_info("%s", text);
}

void session_timer(struct session *session, int milliseconds,
		   void (*timer)(struct session *session))
{
	session->timer = timer;
	session->timer_at = milliseconds ? session_now() + milliseconds : 0;
}

int session_interval(const struct options *options, int other)
{
	if (!options->interval)
		return other;
	return options->interval < INT_MAX ? (int)options->interval : INT_MAX;
}

/* Milliseconds until the timer is due, or -1. Calls it when it is. */
static int run_timer(struct session *session)
{
	int64_t left = session->timer_at ? session->timer_at - session_now() : -1;

	if (!session->timer_at || left > 0)
		return (int)left;
	session->timer_at = 0;
	session->timer(session);
	return 0;
}

static void no_answer(struct session *session)
{
	session_disconnected(session, "the collector does not answer");
}

static void begin_stop(struct session *session)
{
	session->stopping = true;
	if (session->requested && session->ops->stop)
		session->ops->stop(session);
	else
		session->ended = true;
}

/* Prints what the frames in the input say; a part of a frame stays for the next read. */
static void handle_input(struct session *session)
{
	size_t at = 0;

	while (!session->ended) {
		const uint8_t *body;
		size_t length;
		ssize_t n = frame_get(session->input + at, session->have - at, FRAME_REPLY_MAX,
				      &body, &length);
		int err;

		if (!n)
			break;
		err = n < 0 ? (int)n : reply_handle(session, body, length);
		if (err == -EBADMSG || err == -EMSGSIZE)
			session_disconnected(session, "the collector sent what is no message");
		else if (err)
			session_fail_output(session, err);
		at += n > 0 ? (size_t)n : 0;
	}
	session->have -= at;
	memmove(session->input, session->input + at, session->have);
}

static void receive(struct session *session)
{
	ssize_t n = read(session->fd, session->input + session->have, SESSION_READ_SIZE);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0 && errno != ECONNRESET) {
		session_disconnected(session, strerror(errno));
		return;
	}
	if (n <= 0) {
		session_disconnected(session, "the collector closed the connection without a word");
		return;
	}
	session->have += (size_t)n;
	handle_input(session);
}

/* The reader of our pipe is gone. Nothing may be left to write for a long time: end now. */
static void broken_pipe(struct session *session)
{
	session->ended = session->mute = true;
	session->status = EXIT_OUTPUT;
	session->broken_pipe = true;
}

/* fd, if somebody reads it who can go away; or -1. */
static int pipe_of(int fd)
{
	struct stat st;
	bool pipe = !fstat(fd, &st) && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));

	return pipe ? fd : -1;
}

static void child_ended(struct session *session)
{
	child_reap(&session->child);
	stop_ask();
}

bool session_wait(struct session *session, int milliseconds)
{
	struct pollfd fds[] = {
		{.fd = session->fd, .events = POLLIN},
		{.fd = session->pipe}, /* its errors only */
		{.fd = session->child.fd, .events = POLLIN},
		{.fd = session->watched, .events = POLLIN},
	};
	int ready = stop_poll(fds, sizeof(fds) / sizeof(fds[0]), milliseconds);

	child_pass_signal(&session->child);
	if (ready <= 0)
		return false;
	if (fds[2].revents)
		child_ended(session);
	if (fds[1].revents & (POLLERR | POLLHUP | POLLNVAL))
		broken_pipe(session);
	if (fds[3].revents)
		session->ops->ready(session);
	return !session->ended && fds[0].revents;
}

/* Nothing more came: what was printed goes out, with a loss that nothing will mend any more. */
static int settle(struct session *session)
{
	const struct resume *resume = &session->resume;
	int err = resume->wanted || resume->gap ? 0 : reply_tell_held(session);

	return err ? err : output_flush(&session->output);
}

static void loop(struct session *session)
{
	while (!session->ended) {
		int err, wait;

		if (stop_state() == STOP_NOW)
			break;
		if (stop_state() == STOP_ASKED && !session->stopping)
			begin_stop(session);
		wait = session->ended ? 0 : run_timer(session);
		if (!session->ended && session_wait(session, wait))
			receive(session);
		if (session->ops->settled && !session->mute)
			session->ops->settled(session);
		err = session->mute ? 0 : settle(session);
		if (err)
			session_fail_output(session, err);
	}
}

/* One connection, from hello to its end. */
static void converse(struct session *session)
{
	session->have = 0;
	session->requested = session->ended = false;
	session->status = send_hello(session);
	session_timer(session, ANSWER_MS, no_answer);
	if (!session->status)
		loop(session);
	close(session->fd);
	session->fd = -1;
}

/* Waits until there is a collector again. False: it is time to end. */
static bool connect_again(struct session *session)
{
	int err;

	session->ended = false;
	do {
		int64_t until = session_now() + resume_delay(&session->resume);

		for (int64_t left = until - session_now(); left > 0; left = until - session_now()) {
			session_wait(session, (int)left);
			if (stop_state() != STOP_NO || session->ended)
				return false;
		}
		session->fd = sock_connect(session->options->socket);
		err = session->fd < 0 ? session->fd : 0;
	} while (err == -ENOENT || err == -ECONNREFUSED);
	if (err)
		session->status = fail_connect(session->options->socket, err);
	return !err;
}

int session_init(struct session *session, const struct options *options,
		 const struct session_ops *ops)
{
	*session = (struct session){.options = options,
				    .ops = ops,
				    .fd = -1,
				    .pipe = pipe_of(options->out),
				    .watched = -1,
				    .child.fd = -1};
	if (options->writer->binary && isatty(options->out)) {
		log_error("--output %s is binary, and stdout is a terminal: "
			  "send it to a file or a pipe",
			  options->writer->name);
		return EXIT_USAGE;
	}
	session->input = malloc(SESSION_INPUT_SIZE);
	if (session->input && !output_init(&session->output, options->out) && !reply_init())
		return 0;
	log_error("out of memory");
	return EXIT_ERROR;
}

static int first_connect(struct session *session)
{
	const char *path = session->options->socket;

	session->fd = sock_connect(path);
	return session->fd < 0 ? fail_connect(path, session->fd) : 0;
}

int session_status(const struct session *session)
{
	if (session->child.status)
		return session->child.status;
	if (session->status || !session->lost || !session->options->fail_on_loss)
		return session->status;
	log_error("events were lost");
	return EXIT_LOSS;
}

/* Told to end while it waits to go on: what happened since is nowhere. */
static void give_up(struct session *session)
{
	int err = 0;

	session->lost = true;
	session->resume.wanted = session->resume.gap = false;
	if (!session->mute)
		err = settle(session);
	if (err)
		session_fail_output(session, err);
}

int session_run(struct session *session, const struct options *options,
		const struct session_ops *ops)
{
	int status = session_init(session, options, ops);

	if (!status)
		status = first_connect(session);
	if (status)
		return status;
	if (options->child)
		stop_ignore_pipe();
	do
		converse(session);
	while (session->resume.wanted && connect_again(session));
	if (session->resume.wanted || session->resume.gap)
		give_up(session);
	child_wait(&session->child);
	if (session->broken_pipe)
		stop_by_pipe();
	return session_status(session);
}

void session_deinit(struct session *session)
{
	if (session->fd >= 0)
		close(session->fd);
	free(session->input);
	free(session->hello);
	output_deinit(&session->output);
}
