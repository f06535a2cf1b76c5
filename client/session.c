// SPDX-License-Identifier: GPL-2.0-only
// The loop: wait, read all there is, print all of it, write it out, wait again.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "exit.h"
#include "frame.h"
#include "log.h"
#include "reply.h"
#include "session.h"
#include "sock.h"
#include "stop.h"
#include "version.h"

#define READ_SIZE  (256 * 1024)
#define INPUT_SIZE (READ_SIZE + FRAME_REPLY_MAX + FRAME_PREFIX_MAX)

static int64_t now_ms(void)
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

static int fail_output(struct session *session, int err)
{
	session->ended = session->mute = true;
	if (err == -ECANCELED) /* we were told to go, and nobody takes the rest */
		return session->status = EXIT_OK;
	if (err == -EPIPE) /* SIGPIPE is ignored */
		return session->status = EXIT_OUTPUT;
	log_error("cannot write the output: %s", strerror(-err));
	return session->status = EXIT_OUTPUT;
}

static int disconnected(struct session *session, const char *why)
{
	session->ended = true;
	log_error("disconnected: %s", why);
	return session->status = EXIT_DISCONNECTED;
}

int session_send(struct session *session, const Netwatch__Request *request)
{
	size_t size, done = 0;
	uint8_t *data;

	size = netwatch__request__get_packed_size(request);
	if (size > FRAME_REQUEST_MAX) {
		log_error("too many filters: the request would have %zu bytes, of at most %d", size,
			  FRAME_REQUEST_MAX);
		return EXIT_USAGE;
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

void session_hint_after(struct session *session, int milliseconds,
			void (*hint)(struct session *session))
{
	session->hint = hint;
	session->hint_at = now_ms() + milliseconds;
}

/* Milliseconds until the hint is due, or -1. */
static int until_hint(struct session *session)
{
	int64_t left;

	if (session->printed)
		session->hint_at = 0;
	if (!session->hint_at)
		return -1;
	left = session->hint_at - now_ms();
	if (left > 0)
		return (int)left;
	session->hint_at = 0;
	session->hint(session);
	return -1;
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
			disconnected(session, "the collector sent what is no message");
		else if (err)
			fail_output(session, err);
		at += n > 0 ? (size_t)n : 0;
	}
	session->have -= at;
	memmove(session->input, session->input + at, session->have);
}

static void receive(struct session *session)
{
	ssize_t n = read(session->fd, session->input + session->have, READ_SIZE);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0 && errno != ECONNRESET) {
		disconnected(session, strerror(errno));
		return;
	}
	if (n <= 0) {
		disconnected(session, "the collector closed the connection without a word");
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
	raise(SIGPIPE);
}

/* stdout, if somebody reads it who can go away; or -1. */
static int stdout_pipe(void)
{
	struct stat st;
	bool pipe = !fstat(STDOUT_FILENO, &st) && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));

	return pipe ? STDOUT_FILENO : -1;
}

static void turn(struct session *session)
{
	struct pollfd fds[] = {
		{.fd = session->fd, .events = POLLIN}, {.fd = session->pipe}, /* its errors only */
	};
	int ready = stop_poll(fds, 2, until_hint(session));

	if (ready > 0 && fds[1].revents & (POLLERR | POLLHUP | POLLNVAL)) {
		broken_pipe(session);
		return;
	}
	if (ready > 0 && fds[0].revents)
		receive(session);
}

static void loop(struct session *session)
{
	while (!session->ended) {
		int err;

		if (stop_state() == STOP_NOW)
			break;
		if (stop_state() == STOP_ASKED && !session->stopping)
			begin_stop(session);
		if (!session->ended)
			turn(session);
		err = session->mute ? 0 : output_flush(&session->output);
		if (err)
			fail_output(session, err);
	}
}

int session_run(struct session *session, const struct options *options,
		const struct session_ops *ops)
{
	*session = (struct session){.options = options, .ops = ops, .pipe = stdout_pipe()};
	session->fd = sock_connect(options->socket);
	if (session->fd < 0)
		return fail_connect(options->socket, session->fd);
	session->input = malloc(INPUT_SIZE);
	if (!session->input || output_init(&session->output, STDOUT_FILENO) || reply_init()) {
		log_error("out of memory");
		return EXIT_ERROR;
	}
	session->status = send_hello(session);
	if (!session->status)
		loop(session);
	return session->status;
}

void session_deinit(struct session *session)
{
	if (session->fd >= 0)
		close(session->fd);
	free(session->input);
	output_deinit(&session->output);
	if (session->totals)
		netwatch__totals__free_unpacked(session->totals, NULL);
}
