/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a service manager passes to the collector and is told by it: the listening socket
 * (LISTEN_FDS, LISTEN_PID), that it serves (NOTIFY_SOCKET), that it still does (WATCHDOG_USEC,
 * WATCHDOG_PID). The protocols of sd_listen_fds(3), sd_notify(3) and sd_watchdog_enabled(3): a few
 * lines, where their library would load five others into a process that begins as root.
 */
#ifndef NETWATCH_SERVICE_H
#define NETWATCH_SERVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct event;
struct event_base;

struct service {
	int listener; /* of the manager; -1: none */

	/* own */
	int notify; /* a socket; -1: nobody is to be told */
	struct sockaddr_un manager;
	socklen_t manager_size;
	uint64_t watchdog_us; /* to be fed within; 0: no watchdog */
	struct event *feed;
	bool (*serves)(void *arg);
	void *arg;
};

/*
 * Reads the environment. 0; -EINVAL: it is malformed, and a message has said where. Nothing there
 * is no error, and what is meant for another process is not there.
 */
int service_init(struct service *service);
void service_deinit(struct service *service);

/* Tells that it is ready, and what it does, for `systemctl status`. Before it serves. */
void service_ready(const struct service *service, const char *status);
void service_stopping(const struct service *service);

/*
 * Feeds the watchdog, if there is one, twice in its time, from the loop of base: a loop that
 * hangs does not. Nor does one that serves(arg) denies. 0 or -ENOMEM.
 */
int service_watch(struct service *service, struct event_base *base, bool (*serves)(void *arg),
		  void *arg);

#endif
