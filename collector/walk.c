// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "event.h"
#include "iterator.h"
#include "kernel_side.h"
#include "log.h"
#include "probe.h"
#include "walk.h"

#define ROWS_AT_ONCE 64
#define SHARE	     10 /* walks take at most one part in so many of a CPU's time */

enum { IDLE, ASKED, RUNNING };

TAILQ_HEAD(request_list, walk_request);

struct walks {
	struct probe *probe;
	struct event *timer;
	struct request_list asked;
	struct request_list running;
	uint64_t next_ns; /* CLOCK_MONOTONIC: not earlier */
};

/* Cookies of the sockets seen: several processes may hold one. Open addressing, at most half full.
 */
struct seen {
	uint64_t *cookie; /* 0: empty */
	size_t size;	  /* a power of two */
	size_t n;
};

static size_t place_of(const struct seen *seen, uint64_t cookie)
{
	size_t i = (cookie * 0x9e3779b97f4a7c15ULL >> 20) & (seen->size - 1);

	while (seen->cookie[i] && seen->cookie[i] != cookie)
		i = (i + 1) & (seen->size - 1);
	return i;
}

static int grow(struct seen *seen)
{
	struct seen larger = {.size = seen->size ? 2 * seen->size : 1024, .n = seen->n};

	larger.cookie = calloc(larger.size, sizeof(*larger.cookie));
	if (!larger.cookie)
		return -ENOMEM;
	for (size_t i = 0; i < seen->size; i++) {
		if (seen->cookie[i])
			larger.cookie[place_of(&larger, seen->cookie[i])] = seen->cookie[i];
	}
	free(seen->cookie);
	*seen = larger;
	return 0;
}

/* 1: it is new; 0: it was seen before; -ENOMEM. */
static int see(struct seen *seen, uint64_t cookie)
{
	size_t i;

	if (2 * (seen->n + 1) > seen->size && grow(seen))
		return -ENOMEM;
	i = place_of(seen, cookie);
	if (seen->cookie[i])
		return 0;
	seen->cookie[i] = cookie;
	seen->n++;
	return 1;
}

/* walks NULL: rows are not wanted. */
static int take_rows(struct walks *walks, struct seen *seen, const struct nw_full_row *rows,
		     size_t n)
{
	for (size_t i = 0; walks && i < n; i++) {
		int new = see(seen, rows[i].row.connection.cookie);
		struct walk_request *request;

		if (new < 0)
			return new;
		if (!new)
			continue;
		TAILQ_FOREACH (request, &walks->running, link) {
			if (request->row)
				request->row(request, &rows[i]);
		}
	}
	return 0;
}

/* Reads all rows of an open iterator. A read may end within a row. */
static int read_rows(int fd, struct walks *walks, struct seen *seen)
{
	struct nw_full_row rows[ROWS_AT_ONCE];
	size_t have = 0, whole;
	ssize_t n;
	int err;

	while ((n = read(fd, (char *)rows + have, sizeof(rows) - have)) != 0) {
		/* EAGAIN: many files and no socket among them; the iterator goes on. */
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return -errno;
		have += (size_t)n;
		whole = have / sizeof(rows[0]);
		err = take_rows(walks, seen, rows, whole);
		if (err)
			return err;
		have -= whole * sizeof(rows[0]);
		memmove(rows, &rows[whole], have);
	}
	return 0;
}

/* -EOPNOTSUPP: this kernel lacks the iterator. */
static int iterate(struct probe *probe, const char *program, const char *map, struct walks *walks,
		   struct seen *seen)
{
	struct iterator iterator;
	int err = iterator_open(&iterator, probe, program, map);

	if (!err)
		err = read_rows(iterator.fd, walks, seen);
	iterator_close(&iterator);
	return err;
}

static int walk_all(struct walks *walks)
{
	struct seen seen = {.cookie = NULL};
	int files = iterate(walks->probe, "nw_walk_files", NULL, walks, &seen), watched = 0;

	if (!files || files == -EOPNOTSUPP)
		watched = iterate(walks->probe, "nw_walk_storage", "sockets", walks, &seen);
	free(seen.cookie);
	/* What is watched is a remainder; without it a walk is still one. */
	return watched && watched != -EOPNOTSUPP ? watched : files;
}

/* By the clock a walk takes much longer on a busy machine, though it costs no more. */
static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	struct walks *walks = arg;
	struct walk_request *request;
	uint64_t began_ns = cpu_ns();
	int err;

	(void)fd;
	(void)what;
	TAILQ_CONCAT(&walks->running, &walks->asked, link);
	TAILQ_FOREACH (request, &walks->running, link) {
		request->state = RUNNING;
		if (request->begin)
			request->begin(request);
	}
	err = walk_all(walks);
	if (err && err != -EOPNOTSUPP)
		log_error("walking over sockets: %s", strerror(-err));
	walks->next_ns = event_monotonic() + (SHARE - 1) * (cpu_ns() - began_ns);
	while ((request = TAILQ_FIRST(&walks->running))) {
		walks_cancel(walks, request);
		if (request->done)
			request->done(request, err);
	}
}

void walks_ask(struct walks *walks, struct walk_request *request)
{
	uint64_t now = event_monotonic();
	uint64_t wait_us = walks->next_ns > now ? (walks->next_ns - now) / 1000 : 0;
	struct timeval tv = {.tv_sec = (time_t)(wait_us / 1000000),
			     .tv_usec = (suseconds_t)(wait_us % 1000000)};

	if (request->state != IDLE)
		return;
	request->state = ASKED;
	if (TAILQ_EMPTY(&walks->asked))
		evtimer_add(walks->timer, &tv);
	TAILQ_INSERT_TAIL(&walks->asked, request, link);
}

void walks_cancel(struct walks *walks, struct walk_request *request)
{
	if (request->state == IDLE)
		return;
	TAILQ_REMOVE(request->state == ASKED ? &walks->asked : &walks->running, request, link);
	request->state = IDLE;
	if (TAILQ_EMPTY(&walks->asked))
		evtimer_del(walks->timer);
}

struct walks *walks_new(struct event_base *base, struct probe *probe)
{
	struct walks *walks = calloc(1, sizeof(*walks));

	if (!walks)
		return NULL;
	TAILQ_INIT(&walks->asked);
	TAILQ_INIT(&walks->running);
	walks->probe = probe;
	walks->timer = evtimer_new(base, on_time, walks);
	if (walks->timer)
		return walks;
	free(walks);
	errno = ENOMEM;
	return NULL;
}

void walks_free(struct walks *walks)
{
	if (!walks)
		return;
	event_free(walks->timer);
	free(walks);
}

int walk_forget(struct probe *probe)
{
	int err = iterate(probe, "nw_forget", "sockets", NULL, NULL);

	return err == -EOPNOTSUPP ? 0 : err; /* then a session number makes them void */
}
