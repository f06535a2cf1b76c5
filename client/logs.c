// SPDX-License-Identifier: GPL-2.0-only
// netwatch log DIR: connects.log, packets.log and err.log, in Prometheus' text format.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "commands.h"
#include "event.h"
#include "exit.h"
#include "log.h"
#include "logs.h"
#include "subscribe.h"

#define INTERVAL_MS  1000
#define SIZE_DEFAULT (64ull << 20)

enum { PACKETS, ERRORS, FILES };

static const struct {
	const char *name, *metric, *help;
} descriptions[FILES] = {
	[PACKETS] = {"packets.log", "packet",
		     "A TCP segment, or a line of HTTP; times in microseconds, time in seconds "
		     "since 1970."},
	[ERRORS] = {"err.log", "error",
		    "A TCP segment that is wrong, a reset, or a drop; time in seconds since 1970."},
};

static struct {
	const struct options *options;
	int dir, interval;
	struct logfile files[FILES];
} logs;

static void tell(const char *name, int err)
{
	log_error("cannot write %s/%s: %s", logs.options->argument, name,
		  err == -EINVAL ? "not a regular file" : strerror(-err));
}

void logs_fail(struct session *session, const char *name, int err)
{
	if (err != -ECANCELED) /* we were told to go while it waits */
		tell(name, err);
	session_fail(session, err == -ECANCELED ? EXIT_OK : EXIT_OUTPUT);
}

static const struct {
	size_t member; /* of Netwatch__Event: what happened, if it is there */
	/* one of them */
	void (*take)(struct session *session, const Netwatch__Event *event);
	int (*put)(struct logfile *file, const Netwatch__Event *event);
	unsigned file; /* for put */
} takers[] = {
	{offsetof(Netwatch__Event, lost), .take = logs_on_lost},
	{offsetof(Netwatch__Event, conn), .take = logs_on_conn},
	{offsetof(Netwatch__Event, tcpinfo), .take = logs_on_tcpinfo},
	{offsetof(Netwatch__Event, retransmit), .take = logs_on_retransmit},
	{offsetof(Netwatch__Event, packet), .put = logs_put_packet, .file = PACKETS},
	{offsetof(Netwatch__Event, http), .put = logs_put_http, .file = PACKETS},
	{offsetof(Netwatch__Event, error), .put = logs_put_error, .file = ERRORS},
};

static void put(struct session *session, unsigned taker, const Netwatch__Event *event)
{
	struct logfile *file = &logs.files[takers[taker].file];
	int err = takers[taker].put(file, event);

	if (err)
		logs_fail(session, file->name, err);
}

void logs_take(struct session *session, const struct event *raw)
{
	Netwatch__Event *event = netwatch__event__unpack(NULL, raw->size, raw->data);

	if (!event) {
		log_error("out of memory");
		session_fail(session, EXIT_ERROR);
		return;
	}
	for (unsigned i = 0; i < sizeof(takers) / sizeof(takers[0]) && !session->ended; i++) {
		if (!*(void **)((char *)event + takers[i].member))
			continue;
		if (takers[i].take)
			takers[i].take(session, event);
		else
			put(session, i, event);
	}
	netwatch__event__free_unpacked(event, NULL);
}

/* Before the program waits, all is out. */
static void flush(struct session *session)
{
	for (unsigned i = 0; i < FILES; i++) {
		int err = logfile_flush(&logs.files[i]);

		if (err)
			logs_fail(session, logs.files[i].name, err);
	}
}

static void write_connects(struct session *session)
{
	int err = logs_connects_write(logs.dir);

	if (err)
		logs_fail(session, LOGS_CONNECTS, err);
}

static void tick(struct session *session)
{
	logs_connects_catch_up(session);
	write_connects(session);
	session_timer(session, logs.interval, tick);
}

static int start(struct session *session, const Netwatch__Hello *hello)
{
	logs_connects_begin();
	return subscribe_start(session, hello);
}

static void subscribed(struct session *session)
{
	logs_connects_live();
	write_connects(session); /* before we say so */
	session_timer(session, logs.interval, tick);
	subscribe_live(session);
}

static int open_directory(void)
{
	logs.dir = open(logs.options->argument, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (logs.dir >= 0 && !flock(logs.dir, LOCK_EX | LOCK_NB))
		return 0;
	if (logs.dir >= 0 && errno == EWOULDBLOCK) {
		log_error("another netwatch log keeps its files in %s", logs.options->argument);
		return EXIT_ERROR;
	}
	log_error("cannot write to %s: %s", logs.options->argument, strerror(errno));
	return EXIT_OUTPUT;
}

static int open_files(void)
{
	uint64_t limit = logs.options->max_size ? logs.options->max_size : SIZE_DEFAULT;
	int status = open_directory();

	for (unsigned i = 0; i < FILES && !status; i++) {
		int err = logfile_open(&logs.files[i], logs.dir, descriptions[i].name,
				       descriptions[i].metric, descriptions[i].help, limit);

		if (!err)
			continue;
		tell(descriptions[i].name, err);
		status = EXIT_OUTPUT;
	}
	return status;
}

static int close_files(int status)
{
	for (unsigned i = 0; i < FILES; i++) {
		int err = logfile_close(&logs.files[i]);

		if (!err || status)
			continue;
		tell(descriptions[i].name, err);
		status = EXIT_OUTPUT;
	}
	if (logs.dir >= 0)
		close(logs.dir);
	return status;
}

static int run(void)
{
	static const struct session_ops ops = {
		.start = start,
		.stop = subscribe_stop,
		.subscribed = subscribed,
		.event = logs_take,
		.settled = flush,
	};
	struct session session;
	int status = session_run(&session, logs.options, &ops);

	if (session.account.begun && status != EXIT_OUTPUT) {
		session.status = status;
		write_connects(&session);
		status = session.status;
	}
	if (logs.options->stats && session.account.begun)
		subscribe_stats(&session.account);
	session_deinit(&session);
	return status;
}

int log_run(struct options *options)
{
	int status;

	logs.options = options;
	logs.interval = session_interval(options, INTERVAL_MS);
	for (unsigned i = 0; i < FILES; i++)
		logs.files[i].fd = -1;
	logs_connects_init(options,
			   options->extra || categories_have(&options->categories, "retransmit"));
	options->out = -1;	/* nothing goes to stdout */
	options->closed = true; /* or else nobody tells that a connection is gone */
	if (!categories_have(&options->categories, "tcpinfo"))
		options->interval = 0;
	status = subscribe_prepare(options);
	if (!status)
		status = open_files();
	if (!status)
		status = run();
	status = close_files(status);
	logs_connects_deinit();
	return status;
}
