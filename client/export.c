// SPDX-License-Identifier: GPL-2.0-only
// netwatch export: subscribes, counts, and serves what it counted to Prometheus.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "commands.h"
#include "event.h"
#include "exit.h"
#include "export.h"
#include "export_address.h"
#include "export_http.h"
#include "live.h"
#include "log.h"
#include "metrics.h"
#include "metrics_events.h"
#include "output.h"
#include "prom.h"
#include "session.h"
#include "stop.h"
#include "subscribe.h"

#define INTERVAL_MS 1000

/* Counting and serving are two threads. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool has_live_page; /* under the lock */

static const char *page(struct output *output, const char *path, const char *query)
{
	static const char live[] = "/live/";
	const char *type = NULL;

	pthread_mutex_lock(&lock);
	if (!strcmp(path, "/metrics")) {
		metrics_page(output);
		type = PROM_TYPE;
	} else if (has_live_page && !strncmp(path, live, strlen(live))) {
		type = live_page(output, path + strlen(live), query);
	}
	pthread_mutex_unlock(&lock);
	return type;
}

static void take(struct session *session, const struct event *event)
{
	int err;

	pthread_mutex_lock(&lock);
	err = metrics_take(event);
	live_take(event);
	pthread_mutex_unlock(&lock);
	if (!err)
		return;
	log_error("out of memory");
	session_fail(session, EXIT_ERROR);
}

/* ------------------------------------------------- what the collector says of itself */

static int take_status(struct session *session, const uint8_t *data, size_t size)
{
	Netwatch__Status *status = netwatch__status__unpack(NULL, size, data);

	(void)session;
	if (!status)
		return EXIT_ERROR;
	pthread_mutex_lock(&lock);
	metrics_take_status(status);
	pthread_mutex_unlock(&lock);
	netwatch__status__free_unpacked(status, NULL);
	return 0;
}

static void tick(struct session *session)
{
	static const struct session_ops ops = {
		.start = answer_ask_status,
		.answer = take_status,
		.number = NETWATCH__REPLY__REPLY_STATUS,
		.event = take,
	};
	struct session status;

	session_run(&status, session->options, &ops);
	session_deinit(&status);
	session_timer(session, session_interval(session->options, INTERVAL_MS), tick);
}

/* ------------------------------------------------------------- the subscription */

static int start(struct session *session, const Netwatch__Hello *hello)
{
	int status = subscribe_start(session, hello);
	bool reports = categories_have(&session->asked, "tcpinfo");

	pthread_mutex_lock(&lock);
	metrics_begin();
	metrics_expect_reports(reports ? (uint64_t)session_interval(session->options, INTERVAL_MS)
				       : 0);
	pthread_mutex_unlock(&lock);
	return status;
}

static void subscribed(struct session *session)
{
	pthread_mutex_lock(&lock);
	metrics_live();
	pthread_mutex_unlock(&lock);
	subscribe_live(session);
	tick(session);
}

static void disconnected(struct session *session)
{
	(void)session;
	pthread_mutex_lock(&lock);
	metrics_down();
	pthread_mutex_unlock(&lock);
}

/* The live page shows single events: whoever knows its address sees what we see. */
static void tell_places(const struct options *options, const struct export_http *http)
{
	const char *where = export_address_text(export_http_address(http));

	pthread_mutex_lock(&lock);
	has_live_page = export_http_is_local(http);
	pthread_mutex_unlock(&lock);
	if (options->quiet)
		return;
	log_info("serving http://%s/metrics", where);
	if (has_live_page)
		log_info("live page: http://%s/live/%s/", where, live_token());
}

static int run(struct options *options, const struct export_address *address)
{
	static const struct session_ops ops = {
		.start = start,
		.stop = subscribe_stop,
		.subscribed = subscribed,
		.event = take,
		.disconnected = disconnected,
	};
	struct export_http *http = NULL;
	struct session session = {.fd = -1};
	int status, err = export_http_start(&http, address, page);

	if (err) {
		log_error("cannot listen at %s: %s", options->listen, strerror(-err));
		return EXIT_ERROR;
	}
	tell_places(options, http);
	status = session_run(&session, options, &ops);
	session_deinit(&session);
	export_http_stop(http);
	return status;
}

int export_run(struct options *options)
{
	struct export_address address;
	int status;

	if (export_address_parse(options->listen, &address)) {
		log_error("bad address \"%s\" in --listen: ADDRESS:PORT, such as %s or [::1]:9477",
			  options->listen, EXPORT_LISTEN);
		return EXIT_USAGE;
	}
	if (metrics_init(options->ports) || live_init()) {
		log_error("out of memory");
		return EXIT_ERROR;
	}
	metrics_events_init();
	options->closed = options->reconnect = true;
	options->out = -1; /* nothing goes to stdout */
	subscribe_prepare(options);
	stop_ignore_pipe(); /* of those who go while the page is sent */
	status = run(options, &address);
	live_deinit();
	metrics_events_deinit();
	metrics_deinit();
	return status;
}
