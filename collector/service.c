// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <event2/event.h>

#include "log.h"
#include "service.h"

#define FIRST_FD 3   /* SD_LISTEN_FDS_START */
#define READY_S	 5   /* for a manager that is too busy to be told */
#define TEXT_MAX 512 /* of what it is told; a longer status is cut */

/* ------------------------------------------------------------- environment */

/* 1: it is there; 0: it is not; -EINVAL. */
static int read_number(const char *name, unsigned long long *number)
{
	const char *text = getenv(name);
	char *end;

	if (!text)
		return 0;
	errno = 0;
	*number = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && !errno)
		return 1;
	log_error("%s is \"%s\" in the environment, and has to be a number", name, text);
	return -EINVAL;
}

/* Is what name stands beside meant for this process? 1, 0 or -EINVAL. */
static int is_for_us(const char *name, bool otherwise)
{
	unsigned long long pid;
	int found = read_number(name, &pid);

	if (found <= 0)
		return found ? found : otherwise;
	return pid == (unsigned long long)getpid();
}

static int take_listener(struct service *service)
{
	unsigned long long count;
	int found = is_for_us("LISTEN_PID", false);

	if (found > 0)
		found = read_number("LISTEN_FDS", &count);
	if (found <= 0)
		return found;
	if (count != 1) {
		log_error("the service manager passes %llu sockets (LISTEN_FDS), and has to pass "
			  "exactly one",
			  count);
		return -EINVAL;
	}
	service->listener = FIRST_FD;
	return 0;
}

static int take_watchdog(struct service *service)
{
	unsigned long long usec = 0;
	int found = is_for_us("WATCHDOG_PID", true);

	if (found > 0)
		found = read_number("WATCHDOG_USEC", &usec);
	service->watchdog_us = usec;
	return found < 0 ? found : 0;
}

/* A path, or a name in the abstract namespace that begins with @. */
static int take_notify(struct service *service)
{
	const struct timeval wait = {.tv_sec = READY_S};
	const char *name = getenv("NOTIFY_SOCKET");
	size_t length = name ? strlen(name) : 0;

	if (!name)
		return 0;
	if ((*name != '/' && *name != '@') || length >= sizeof(service->manager.sun_path)) {
		log_error("NOTIFY_SOCKET is \"%s\" in the environment, which is no socket's name",
			  name);
		return -EINVAL;
	}
	service->manager.sun_family = AF_UNIX;
	memcpy(service->manager.sun_path, name, length + 1);
	service->manager_size =
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (*name == '/'));
	if (*name == '@')
		service->manager.sun_path[0] = '\0';
	service->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (service->notify >= 0 &&
	    !setsockopt(service->notify, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)))
		return 0;
	log_error("a socket to tell the service manager: %s", strerror(errno));
	return -errno;
}

int service_init(struct service *service)
{
	int (*const takes[])(struct service *) = {take_listener, take_watchdog, take_notify};
	int err = 0;

	*service = (struct service){.listener = -1, .notify = -1};
	for (size_t i = 0; !err && i < sizeof(takes) / sizeof(takes[0]); i++)
		err = takes[i](service);
	return err;
}

void service_deinit(struct service *service)
{
	if (service->feed)
		event_free(service->feed);
	if (service->notify >= 0)
		close(service->notify);
	service->feed = NULL;
	service->notify = -1;
}

/* ------------------------------------------------------------------ telling */

static void tell(const struct service *service, const char *text, int flags)
{
	if (service->notify < 0)
		return;
	/* By name each time: the manager may have a new socket there. */
	if (sendto(service->notify, text, strlen(text), flags | MSG_NOSIGNAL,
		   (const struct sockaddr *)&service->manager, service->manager_size) < 0)
		log_warn("telling the service manager %.*s: %s", (int)strcspn(text, "\n"), text,
			 strerror(errno));
}

void service_ready(const struct service *service, const char *status)
{
	char text[TEXT_MAX];

	snprintf(text, sizeof(text), "READY=1\nSTATUS=%s", status);
	tell(service, text, 0);
}

void service_stopping(const struct service *service)
{
	tell(service, "STOPPING=1\nSTATUS=saying good-bye to clients", MSG_DONTWAIT);
}

static void on_feed(evutil_socket_t fd, short what, void *arg)
{
	const struct service *service = arg;

	(void)fd;
	(void)what;
	if (service->serves(service->arg))
		tell(service, "WATCHDOG=1", MSG_DONTWAIT);
}

int service_watch(struct service *service, struct event_base *base, bool (*serves)(void *arg),
		  void *arg)
{
	uint64_t half = service->watchdog_us / 2;
	struct timeval tv = {.tv_sec = (time_t)(half / 1000000),
			     .tv_usec = (suseconds_t)(half % 1000000)};

	if (!half || service->notify < 0)
		return 0;
	service->serves = serves;
	service->arg = arg;
	service->feed = event_new(base, -1, EV_PERSIST, on_feed, service);
	return service->feed && !event_add(service->feed, &tv) ? 0 : -ENOMEM;
}
