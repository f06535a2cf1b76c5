// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "dispatch.h"
#include "iterator.h"
#include "jiffies.h"
#include "kernel_side.h"
#include "log.h"
#include "probe.h"
#include "reports.h"
#include "tcpinfo.h"

/*
 * A tick goes in slices, so that neither the ring nor a client's queue has to hold all reports
 * at once: the next one begins when the records of the last have been read, and not before the
 * clients have had a moment to read.
 */
#define SLICE_RECORDS 1024
#define RECORD_USEC   4 /* pause for each: a client takes 1 or 2 us, when it gets to run */
#define RECORD_SIZE   (sizeof(struct nw_tcpinfo_record) + 8) /* in the ring */

struct interval {
	struct reports *reports;
	uint32_t ms;
	unsigned slots; /* that took it; 0: free */
	struct event *timer;
};

struct reports {
	struct probe *probe;
	struct nw_shared *shared;
	struct dispatch *dispatch;
	struct interval interval[NW_INTERVALS];
	uint32_t waiting; /* bits of intervals whose time came while a tick was under way */

	/* the tick that is under way */
	bool running;
	bool again; /* the iteration was interrupted: one more finds what it passed over */
	bool second;
	size_t slice; /* records */
	struct iterator iterator;
	struct event *next; /* slice */
	struct dispatch_mark mark;
};

static void begin_tick(struct reports *r);

static void end_tick(struct reports *r)
{
	iterator_close(&r->iterator);
	dispatch_unset_mark(r->dispatch, &r->mark);
	evtimer_del(r->next);
	r->running = false;
	r->shared->due = 0;
	if (r->waiting)
		begin_tick(r);
}

static void begin_iteration(struct reports *r)
{
	struct timeval now = {.tv_sec = 0};
	int err = iterator_open(&r->iterator, r->probe, "nw_report", "sockets");

	r->again = false;
	if (!err) {
		evtimer_add(r->next, &now);
		return;
	}
	log_error("iterating over sockets: %s", strerror(-err));
	r->waiting = 0; /* the timers try again */
	end_tick(r);
}

/* What came due together is done together. */
static void begin_tick(struct reports *r)
{
	r->running = true;
	r->second = false;
	for (unsigned i = 0; i < NW_INTERVALS; i++)
		r->shared->interval[i].tick += r->waiting >> i & 1;
	r->shared->due = r->waiting;
	r->waiting = 0;
	begin_iteration(r);
}

static void slice_was_read(void *arg)
{
	struct reports *r = arg;
	struct timeval tv = {.tv_usec = (suseconds_t)(r->slice * RECORD_USEC)};

	evtimer_add(r->next, &tv);
}

/*
 * Between two reads the kernel remembers how many elements it has passed in a bucket of the map,
 * so that one may be passed over when others went away, and met again when others came. What is
 * met again is not reported twice; for the others there is a second iteration.
 */
static void end_iteration(struct reports *r)
{
	iterator_close(&r->iterator);
	if (!r->again || r->second) {
		end_tick(r);
		return;
	}
	r->second = true;
	begin_iteration(r);
}

static void on_slice(evutil_socket_t fd, short what, void *arg)
{
	char bytes[SLICE_RECORDS]; /* one for each record */
	struct reports *r = arg;
	size_t have = 0;
	ssize_t n;

	(void)fd;
	(void)what;
	do {
		n = read(r->iterator.fd, bytes, r->slice - have);
		have += n > 0 ? (size_t)n : 0;
	} while ((n > 0 && have < r->slice) || (n < 0 && (errno == EINTR || errno == EAGAIN)));
	if (n > 0) {
		r->again = true;
		dispatch_set_mark(r->dispatch, &r->mark, slice_was_read, r);
		return;
	}
	if (n < 0)
		log_error("iterating over sockets: %s", strerror(errno));
	end_iteration(r);
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	struct interval *interval = arg;
	struct reports *r = interval->reports;

	(void)fd;
	(void)what;
	r->waiting |= 1U << (interval - r->interval);
	if (!r->running)
		begin_tick(r);
}

/* ------------------------------------------------------------- interface */

int reports_take(struct reports *r, uint32_t ms)
{
	int found = -1;

	for (int i = 0; i < NW_INTERVALS; i++) {
		if (r->interval[i].slots && r->interval[i].ms == ms) {
			found = i;
			break;
		}
		if (!r->interval[i].slots && found < 0)
			found = i;
	}
	if (found < 0)
		return -1;
	r->interval[found].ms = ms;
	r->interval[found].slots++;
	return found;
}

/* What is kept about sockets, where this kernel has the iterator. */
static void forget(struct reports *r)
{
	struct iterator iterator;
	int err = iterator_open(&iterator, r->probe, "nw_forget_reports", "reports");
	char none;

	if (!err && read(iterator.fd, &none, sizeof(none)) < 0)
		err = -errno;
	iterator_close(&iterator);
	if (err && err != -EOPNOTSUPP)
		log_error("forgetting reports: %s", strerror(-err));
}

void reports_give_back(struct reports *r, int number)
{
	r->interval[number].slots--;
	for (unsigned i = 0; i < NW_INTERVALS; i++) {
		if (r->interval[i].slots)
			return;
	}
	r->waiting = 0;
	if (r->running)
		end_tick(r);
	forget(r);
}

void reports_set(struct reports *r, int number, uint64_t bit, bool on)
{
	struct nw_interval *kernel = &r->shared->interval[number];
	struct interval *interval = &r->interval[number];
	struct timeval tv = {.tv_sec = interval->ms / 1000,
			     .tv_usec = (suseconds_t)(interval->ms % 1000) * 1000};

	if (on && !kernel->slots) {
		kernel->generation += kernel->generation == UINT32_MAX ? 2 : 1; /* never 0 */
		event_add(interval->timer, &tv);
	}
	if (on)
		__atomic_fetch_or(&kernel->slots, bit, __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_and(&kernel->slots, ~bit, __ATOMIC_SEQ_CST);
	if (!kernel->slots)
		event_del(interval->timer);
}

static void measure(const struct probe *probe)
{
	int err = jiffies_measure(probe);

	if (err && err != -EOPNOTSUPP && err != -ENOENT) /* not where tcpinfo is not offered */
		log_warn("retransmission timeouts are not told: %s", strerror(-err));
}

struct reports *reports_new(struct event_base *base, struct probe *probe, struct dispatch *dispatch)
{
	struct reports *r = calloc(1, sizeof(*r));
	bool complete = true;

	if (!r)
		return NULL;
	r->probe = probe;
	r->shared = probe_shared(probe);
	r->dispatch = dispatch;
	r->iterator.fd = -1;
	measure(probe);
	/* No more than half of what the ring takes of chatty categories. */
	r->slice = r->shared->crowded / 2 / RECORD_SIZE;
	r->slice = r->slice < SLICE_RECORDS ? r->slice : SLICE_RECORDS;
	r->next = evtimer_new(base, on_slice, r);
	for (unsigned i = 0; i < NW_INTERVALS; i++) {
		struct interval *interval = &r->interval[i];

		interval->reports = r;
		interval->timer = event_new(base, -1, EV_PERSIST, on_time, interval);
		complete &= interval->timer != NULL;
	}
	if (complete && r->next)
		return r;
	reports_free(r);
	errno = ENOMEM;
	return NULL;
}

void reports_free(struct reports *r)
{
	if (!r)
		return;
	iterator_close(&r->iterator);
	dispatch_unset_mark(r->dispatch, &r->mark);
	for (unsigned i = 0; i < NW_INTERVALS; i++) {
		if (r->interval[i].timer)
			event_free(r->interval[i].timer);
	}
	if (r->next)
		event_free(r->next);
	free(r);
}
