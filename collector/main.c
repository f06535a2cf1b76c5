// SPDX-License-Identifier: GPL-2.0-only
/*
 * netwatch-collector: streams what TCP does to those who may see it.
 *
 *   main.c       the stages: set up, drop, serve        options.c    the command line
 *   probe.c      BPF objects and maps                    privilege.c  the drop
 *   confine.c    what a serving collector can still do   service.c    the service manager
 *   probe_links.c  programs attached while wanted        walk.c       over all sockets
 *   refusal.c    why it could not be loaded              iterator.c   runs of BPF iterators
 *
 *   ring.c       reads the ring                          drain.c      when it is read
 *   dispatch.c   records to streams, in order with marks stream.c     one slot's events, in blocks
 *   slots.c      filters in use and their readers        grace.c      until no older program runs
 *   slots_place.c, slots_begin.c  which slot a reader gets, and how it begins
 *   reports.c    intervals of tcpinfo, and its ticks     jiffies.c    how long one is
 *   event.c      a record as a frame                     wire.c       protobuf bytes by hand
 *   categories.c, category/   what is particular to one category
 *   http/        heads and pairs of HTTP messages        times.c      layer times that never come
 *
 *   ../common/filter*.c  what a filter means
 *   tables.c, tables_compile.c  filters as tables for the kernel
 *
 *   server.c     accepts clients                         peer.c       one client, its queue
 *   subscription.c  a client as a reader of a slot
 *   history.c    the last events                         remember.c   the reader that keeps them
 *   recall.c     what a viewer gets of them              replay.c     in portions, as it reads
 *   cgroups.c    which cgroup is below which
 *   requests*.c  what it may ask for                     scope.c      what it may see
 *   status.c     what the collector says of itself
 *   findings.c, hooks.c, netfilter.c  what this kernel can do, and why not
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "category.h"
#include "check.h"
#include "confine.h"
#include "findings.h"
#include "log.h"
#include "options.h"
#include "privilege.h"
#include "probe.h"
#include "remember.h"
#include "ring.h"
#include "server.h"
#include "service.h"
#include "slots.h"
#include "sock.h"
#include "streams.h"
#include "walk.h"

enum {
	EXIT_RUNNING = 3,
	EXIT_NOT_PERMITTED = 77,
	EXIT_UNABLE = 78,
};

struct collector {
	struct options options;
	const struct passwd *user;
	struct probe *probe;
	struct ring *ring;
	struct slots *slots;
	struct service service;
	struct sock_listener listener;
	struct server server;
	struct event *signals[2];
};

/* ---------------------------------------------------------- stage 1: set up */

/* The service manager's, who has bound it as he was told to. */
static int take_socket(struct collector *c)
{
	int fd = c->service.listener, err = fd < 0 ? 0 : sock_take(&c->listener, fd);
	const char *why = err < 0 ? strerror(-err) : NULL;

	if (!err)
		return 0;
	if (err == SOCK_NOT_STREAM)
		why = "it is no UNIX stream socket";
	else if (err == SOCK_NOT_LISTENING)
		why = "it does not listen";
	log_error("descriptor %d, the socket that the service manager passes: %s", fd, why);
	return EXIT_UNABLE;
}

static int ask_manager(struct collector *c)
{
	int err = service_init(&c->service);

	if (!err)
		return take_socket(c);
	return err == -EINVAL ? EXIT_UNABLE : 1;
}

static int find_user(struct collector *c)
{
	if (geteuid())
		return 0; /* already somebody */
	c->user = getpwnam(c->options.user);
	if (c->user && c->user->pw_uid)
		return 0;
	log_error("user \"%s\" %s; create it (useradd --system %s) or name another with --user",
		  c->options.user, c->user ? "is root" : "does not exist", c->options.user);
	return EXIT_UNABLE;
}

static int open_probe(struct collector *c)
{
	const struct probe_outcome *outcome;
	const char *refusal = NULL;

	c->probe = probe_open(c->options.ring);
	if (!c->probe) {
		log_error("no memory for the kernel side");
		return 1;
	}
	outcome = probe_outcome(c->probe);
	if (outcome->stage != PROBE_READY) {
		log_error("%s (--log-level debug says more)", outcome->reason);
		return outcome->exit_code;
	}
	for (size_t i = 0; i < n_categories; i++) {
		refusal = probe_refusal(c->probe, categories[i]);
		if (!refusal)
			return 0;
	}
	log_error("no category of events can be offered; %s: %s (--check says more)",
		  categories[n_categories - 1]->name, refusal);
	return EXIT_UNABLE;
}

static int load(struct collector *c)
{
	int exit_code = open_probe(c);

	if (exit_code)
		return exit_code;
	c->ring = ring_new(probe_map(c->probe, "ring"), c->options.ring);
	if (!c->ring) {
		log_error("mapping the ring: %s", strerror(errno));
		return 1;
	}
	return 0;
}

static int open_socket(struct collector *c)
{
	const char *path = c->options.socket;
	int err;

	if (c->service.listener >= 0)
		return 0; /* taken already */
	err = sock_listen(&c->listener, path, c->options.socket_mode, c->server.policy.group);

	if (!err)
		return 0;
	if (err == -EADDRINUSE) {
		log_error("%s: another collector is running", path);
		return EXIT_RUNNING;
	}
	if (err == SOCK_NOT_MEMBER)
		log_error("%s: with mode %04o it has to belong to group \"%s\", of which user %u "
			  "is no member",
			  path, c->options.socket_mode, c->options.group, geteuid());
	else
		log_error("%s: %s", path,
			  err == -EEXIST ? "is there and is no socket" : strerror(-err));
	return err == SOCK_NOT_MEMBER || err == -EACCES ? EXIT_NOT_PERMITTED : 1;
}

static void set_policy(struct collector *c)
{
	c->server.policy.group = scope_group(c->options.group);
	c->server.policy.http_group = scope_group(c->options.http_group);
	c->server.policy.unmapped = scope_unmapped_uid();
	c->server.queue_max = c->options.queue;
	c->server.kernel_addresses = c->options.kernel_addresses;
}

/* ------------------------------------------------------------ stage 2: drop */

static int drop(struct collector *c)
{
	int err = privilege_drop(c->user ? c->user->pw_uid : getuid(),
				 c->user ? c->user->pw_gid : getgid());

	if (!err)
		return 0;
	log_error("dropping privileges: %s", strerror(-err));
	return 1;
}

/* ----------------------------------------------------------- stage 3: serve */

static void on_signal(evutil_socket_t signal, short what, void *arg)
{
	struct collector *c = arg;

	(void)signal;
	(void)what;
	service_stopping(&c->service);
	server_stop(&c->server);
}

static int watch_signals(struct collector *c)
{
	static const int numbers[2] = {SIGTERM, SIGINT};

	for (int i = 0; i < 2; i++) {
		c->signals[i] = evsignal_new(c->server.base, numbers[i], on_signal, c);
		if (!c->signals[i] || event_add(c->signals[i], NULL))
			return -ENOMEM;
	}
	return 0;
}

static int begin_history(struct collector *c)
{
	const char *reason;

	if (!c->options.history)
		return 0;
	c->server.remember = remember_new(c->server.slots, c->probe, c->options.history,
					  c->options.kernel_addresses, &reason);
	if (c->server.remember)
		return 0;
	log_error("the history: %s", reason);
	return -ENOMEM;
}

static bool serves(void *arg)
{
	struct collector *c = arg;

	return slots_serve(c->server.slots);
}

/* What still takes a socket or a thread. */
static int prepare(struct collector *c)
{
	int err = 0;

	c->server.base = server_new_base();
	c->server.probe = c->probe;
	if (c->server.base)
		c->server.walks = walks_new(c->server.base, c->probe);
	if (c->server.walks)
		c->server.slots = slots_new(c->server.base, c->probe, c->server.walks, c->ring,
					    probe_map(c->probe, "ring"));
	if (!c->server.slots)
		err = -ENOMEM;
	if (!err)
		err = begin_history(c);
	if (!err)
		err = watch_signals(c);
	if (!err)
		err = server_start(&c->server, c->listener.fd);
	if (!err)
		err = service_watch(&c->service, c->server.base, serves, c);
	if (!err)
		return 0;
	log_error("starting: %s", strerror(-err));
	return 1;
}

static int restrict_calls(struct collector *c)
{
	int err = confine();

	(void)c;
	malloc_trim(0); /* the kernel's BTF was here, and what libseccomp makes of its rules */
	if (!err)
		return 0;
	log_error("restricting system calls (seccomp): %s", strerror(-err));
	return 1;
}

static int serve(struct collector *c)
{
	char status[sizeof("serving ") + sizeof(c->listener.path)];

	snprintf(status, sizeof(status), "serving %s", c->listener.path);
	log_never_wait();
	log_info("%s", status);
	service_ready(&c->service, status);
	event_base_dispatch(c->server.base);
	return 0;
}

static void tidy(struct collector *c)
{
	service_deinit(&c->service);
	if (c->server.base) {
		server_free(&c->server);
		remember_free(c->server.remember);
		slots_free(c->server.slots);
		walks_free(c->server.walks);
		for (int i = 0; i < 2; i++) {
			if (c->signals[i])
				event_free(c->signals[i]);
		}
		event_base_free(c->server.base);
	}
	sock_close(&c->listener);
	ring_free(c->ring);
	probe_free(c->probe);
}

/* Whatever the caller left us: what is said must not be the end. As streams_open. */
static int make_safe(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return streams_open();
}

static int run(struct collector *c)
{
	int (*const stages[])(struct collector *) = {
		ask_manager, find_user, load, open_socket, drop, prepare, restrict_calls, serve,
	};
	int exit_code;

	set_policy(c);
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		exit_code = stages[i](c);
		if (exit_code)
			return exit_code;
	}
	return 0;
}

/* ------------------------------------------------------- instead: --check */

static int print(const struct findings *findings, bool json)
{
	char *text = (json ? check_json : check_table)(findings_message(findings));
	int exit_code = findings_any(findings) ? 0 : EXIT_UNABLE;

	if (!text || fputs(text, stdout) == EOF || fflush(stdout)) {
		log_error("cannot write the output: %s", strerror(text ? errno : ENOMEM));
		exit_code = 1;
	}
	free(text);
	return exit_code;
}

static int check(const struct options *options, bool can_print)
{
	struct findings *findings = NULL;
	struct probe *probe;
	int exit_code = 1;

	if (geteuid()) {
		log_error("--check loads BPF programs, which takes root; netwatch check asks a "
			  "collector that runs");
		return EXIT_NOT_PERMITTED;
	}
	if (!can_print) {
		log_error("cannot write the output: stdout is closed");
		return 1;
	}
	probe = probe_open(options->ring);
	if (probe)
		findings = findings_new(probe, options->kernel_addresses);
	if (findings)
		exit_code = print(findings, options->json);
	else
		log_error("no memory for a check");
	findings_free(findings);
	probe_free(probe);
	return exit_code;
}

int main(int argc, char **argv)
{
	static struct collector collector = {.service.notify = -1, .listener.fd = -1};
	int exit_code, closed = make_safe();

	if (closed < 0)
		return 1;
	exit_code = options_parse(&collector.options, argc, argv);
	if (exit_code >= 0)
		return exit_code;
	log_init("netwatch-collector", collector.options.log_level);
	if (collector.options.check)
		return check(&collector.options, !(closed & 1 << STDOUT_FILENO));
	exit_code = run(&collector);
	tidy(&collector);
	return exit_code;
}
