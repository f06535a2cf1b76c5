// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "grace.h"
#include "log.h"

#define STACK_SIZE (64 * 1024)

struct grace {
	pthread_t thread;
	pthread_mutex_t lock; /* asked, stop */
	pthread_cond_t changed;
	uint64_t asked;
	bool stop;
	int fd; /* the thread counts tickets up, the loop reads them */
	uint64_t done;
	uint64_t seen; /* of done, when last asked whether it serves */
	bool waiting;  /* at that time */
	struct event *event;
	int (*wait)(void *arg);
	void (*passed)(void *arg);
	void *arg;
};

static void *run(void *data)
{
	struct grace *grace = data;
	uint64_t done = 0;

	pthread_mutex_lock(&grace->lock);
	for (;;) {
		uint64_t target, step;

		while (!grace->stop && grace->asked == done)
			pthread_cond_wait(&grace->changed, &grace->lock);
		if (grace->stop)
			break;
		target = grace->asked;
		pthread_mutex_unlock(&grace->lock);
		/* Without grace periods a bit could be reused too early: nothing may go on. */
		if (grace->wait(grace->arg) < 0)
			abort();
		step = target - done;
		done = target;
		if (write(grace->fd, &step, sizeof(step)) != sizeof(step))
			abort();
		pthread_mutex_lock(&grace->lock);
	}
	pthread_mutex_unlock(&grace->lock);
	return NULL;
}

static void on_done(evutil_socket_t fd, short what, void *data)
{
	struct grace *grace = data;
	uint64_t step;

	(void)what;
	if (read(fd, &step, sizeof(step)) != sizeof(step))
		return;
	grace->done += step;
	grace->passed(grace->arg);
}

static int start_thread(struct grace *grace)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int err;

	/* Signals belong to the loop's thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	err = pthread_create(&grace->thread, &attributes, run, grace);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

struct grace *grace_new(struct event_base *base, int (*wait)(void *arg), void (*passed)(void *arg),
			void *arg)
{
	struct grace *grace = calloc(1, sizeof(*grace));
	int err;

	if (!grace)
		return NULL;
	grace->wait = wait;
	grace->passed = passed;
	grace->arg = arg;
	pthread_mutex_init(&grace->lock, NULL);
	pthread_cond_init(&grace->changed, NULL);
	grace->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (grace->fd >= 0)
		grace->event = event_new(base, grace->fd, EV_READ | EV_PERSIST, on_done, grace);
	if (grace->event && !event_add(grace->event, NULL)) {
		err = start_thread(grace);
		if (!err)
			return grace;
		errno = err;
	}
	if (grace->event)
		event_free(grace->event);
	if (grace->fd >= 0)
		close(grace->fd);
	free(grace);
	return NULL;
}

void grace_free(struct grace *grace)
{
	if (!grace)
		return;
	pthread_mutex_lock(&grace->lock);
	grace->stop = true;
	pthread_cond_signal(&grace->changed);
	pthread_mutex_unlock(&grace->lock);
	pthread_join(grace->thread, NULL);
	event_free(grace->event);
	close(grace->fd);
	pthread_cond_destroy(&grace->changed);
	pthread_mutex_destroy(&grace->lock);
	free(grace);
}

uint64_t grace_begin(struct grace *grace)
{
	uint64_t ticket;

	pthread_mutex_lock(&grace->lock);
	ticket = ++grace->asked;
	pthread_cond_signal(&grace->changed);
	pthread_mutex_unlock(&grace->lock);
	return ticket;
}

bool grace_serves(struct grace *grace)
{
	bool stuck = grace->waiting && grace->seen == grace->done;

	/* Only the loop, which asks this too, changes `asked`. */
	grace->waiting = grace->asked != grace->done;
	grace->seen = grace->done;
	return !stuck;
}

bool grace_passed(const struct grace *grace, uint64_t ticket)
{
	return grace->done >= ticket;
}
