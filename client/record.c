// SPDX-License-Identifier: GPL-2.0-only
// netwatch record: the stream of a subscription in a file.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "exit.h"
#include "log.h"
#include "progress.h"
#include "session.h"
#include "stop.h"
#include "subscribe.h"

#define MODE 0600 /* of a new file: it has what only its reader may see */

struct recording {
	struct session session; /* first: its functions get it as such */
	const char *path;	/* NULL: stdout */
	bool created;
	int64_t live_ms; /* when it began; of history alone, when it was asked for */
};

/* What an earlier recording holds is gone only when there is another one. */
static int begin(struct session *session)
{
	const struct recording *recording = (const struct recording *)session;
	struct stat st;

	if (!recording->path || fstat(session->output.fd, &st) || !S_ISREG(st.st_mode))
		return 0;
	return ftruncate(session->output.fd, 0) ? -errno : 0;
}

static void show_progress(struct session *session)
{
	progress_show(session->printed, session->output.written);
	session_timer(session, PROGRESS_MS, show_progress);
}

static void live(struct session *session)
{
	struct recording *recording = (struct recording *)session;
	const struct options *options = session->options;

	subscribe_live(session);
	if (session->account.begun > 1)
		return;
	recording->live_ms = session_now();
	if (options->quiet || options->child) /* COMMAND's output would be written over it */
		return;
	progress_begin(0);
	show_progress(session);
}

/* The descriptor, or -errno. */
static int open_path(struct recording *recording)
{
	int flags = O_WRONLY | O_NOCTTY | O_CLOEXEC;
	int fd = stop_open(recording->path, flags | O_CREAT | O_EXCL, MODE);

	recording->created = fd >= 0;
	return fd == -EEXIST ? stop_open(recording->path, flags, 0) : fd;
}

/* 0 or an exit status, told. */
static int open_file(struct recording *recording, struct options *options)
{
	if (!strcmp(options->argument, "-"))
		recording->path = NULL;
	else
		options->out = open_path(recording);
	if (options->out < 0) {
		if (options->out != -ECANCELED) /* we were told to go */
			log_error("cannot write %s: %s", recording->path, strerror(-options->out));
		return options->out == -ECANCELED ? EXIT_OK : EXIT_OUTPUT;
	}
	if (!isatty(options->out))
		return 0;
	log_error("a recording is binary, and %s is a terminal: send it to a file or a pipe",
		  recording->path ? recording->path : "stdout");
	return EXIT_USAGE;
}

/* Some file systems tell only now that there is no room. */
static int close_file(const struct recording *recording, int status)
{
	int err = close(recording->session.options->out) ? errno : 0;

	if (recording->created && !recording->session.started)
		unlink(recording->path);
	if (!err || status)
		return status;
	log_error("cannot write %s: %s", recording->path, strerror(err));
	return EXIT_OUTPUT;
}

static int record(struct recording *recording, const struct options *options)
{
	static const struct session_ops ops = {
		.start = subscribe_start,
		.stop = subscribe_stop,
		.begin = begin,
		.subscribed = live,
	};
	struct session *session = &recording->session;
	int status = session_run(session, options, &ops);

	progress_end();
	if (recording->path)
		status = close_file(recording, status);
	if ((session->account.begun || session->once) && status != EXIT_OUTPUT)
		progress_summary(session, recording->path ? recording->path : "stdout",
				 (uint64_t)(session_now() - recording->live_ms));
	if (options->stats && (session->account.begun || session->once))
		subscribe_stats(&session->account);
	session_deinit(session);
	return status;
}

int record_run(struct options *options)
{
	struct recording recording = {.path = options->argument, .live_ms = session_now()};
	int status = subscribe_prepare(options);

	options->writer = &writer_recording;
	if (!status)
		status = open_file(&recording, options);
	if (status || options->out < 0)
		return status;
	return record(&recording, options);
}
