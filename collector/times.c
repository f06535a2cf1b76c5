// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "iterator.h"
#include "kernel_side.h"
#include "log.h"
#include "probe.h"
#include "times.h"

#define SWEEP_USEC 100000 /* so much later than after a second an event may come */

struct times {
	struct probe *probe;
	struct event *timer;
	bool wanted;
};

/* Its programs write nothing. */
static void run_over(const struct probe *probe, const char *program)
{
	struct iterator iterator;
	char nothing[64];
	int err = iterator_open(&iterator, probe, program, "layers");

	if (err == -EOPNOTSUPP)
		return; /* check says so */
	while (!err && read(iterator.fd, nothing, sizeof(nothing)) < 0) {
		if (errno != EINTR && errno != EAGAIN)
			err = -errno;
	}
	if (err)
		log_error("%s: %s", program, strerror(-err));
	iterator_close(&iterator);
}

static void sweep_soon(struct times *times)
{
	struct timeval tv = {.tv_usec = SWEEP_USEC};

	evtimer_add(times->timer, &tv);
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	struct times *times = arg;

	(void)fd;
	(void)what;
	run_over(times->probe, "nw_times_sweep");
	sweep_soon(times);
}

void times_want(struct times *times, bool wanted)
{
	if (wanted == times->wanted)
		return;
	times->wanted = wanted;
	if (wanted) {
		probe_shared(times->probe)->times_session++;
		sweep_soon(times);
	} else {
		evtimer_del(times->timer);
		run_over(times->probe, "nw_times_forget");
	}
}

struct times *times_new(struct event_base *base, struct probe *probe)
{
	struct times *times = calloc(1, sizeof(*times));

	if (!times)
		return NULL;
	times->probe = probe;
	times->timer = evtimer_new(base, on_time, times);
	if (times->timer)
		return times;
	free(times);
	errno = ENOMEM;
	return NULL;
}

void times_free(struct times *times)
{
	if (!times)
		return;
	event_free(times->timer);
	free(times);
}
