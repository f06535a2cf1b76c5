// SPDX-License-Identifier: GPL-2.0-only
// The line of progress on stderr.
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "output.h"
#include "progress.h"
#include "session.h"

#define WIDTH_MAX 128

static struct {
	bool wanted;
	uint64_t total;
	int64_t begun, drawn;
	int width; /* of what stands there now */
} progress;

/* A terminal that was stopped must not stop us. */
static void put(const char *text, int length)
{
	struct pollfd terminal = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (poll(&terminal, 1, 0) > 0 && terminal.revents & POLLOUT)
		length = (int)write(STDERR_FILENO, text, (size_t)length);
}

static void clear(void)
{
	char text[WIDTH_MAX + 3];

	if (!progress.width)
		return;
	put(text, snprintf(text, sizeof(text), "\r%*s\r", progress.width, ""));
	progress.width = 0;
}

void progress_begin(uint64_t total)
{
	if (!isatty(STDERR_FILENO))
		return;
	progress.wanted = true;
	progress.total = total;
	progress.begun = progress.drawn = session_now();
	log_before(clear);
}

/* 1234567 bytes are 1.2 MB. */
static void format_bytes(char *text, size_t size, uint64_t bytes)
{
	static const char units[] = "kMGTPE";
	double value = (double)bytes;
	int unit = -1;

	for (; value >= 999.95 && units[unit + 1]; unit++)
		value /= 1000;
	if (unit < 0)
		snprintf(text, size, "%" PRIu64 " B", bytes);
	else
		snprintf(text, size, "%.1f %cB", value, units[unit]);
}

static int format_line(char *line, size_t size, uint64_t events, uint64_t bytes)
{
	uint64_t ms = (uint64_t)(progress.drawn - progress.begun), s = ms / 1000;
	char part[32] = "", amount[32];

	format_bytes(amount, sizeof(amount), bytes);
	if (progress.total)
		snprintf(part, sizeof(part), "%3u%%  ",
			 (unsigned)(bytes < progress.total ? bytes * 100 / progress.total : 100));
	return snprintf(line, size,
			"%s%" PRIu64 " events  %" PRIu64 "/s  %s  %" PRIu64 ":%02" PRIu64
			":%02" PRIu64,
			part, events, ms ? events * 1000 / ms : 0, amount, s / 3600, s / 60 % 60,
			s % 60);
}

void progress_show(uint64_t events, uint64_t bytes)
{
	int64_t now = progress.wanted ? session_now() : 0;
	char line[WIDTH_MAX], text[2 * WIDTH_MAX];
	unsigned columns;
	int width;

	if (!progress.wanted || now - progress.drawn < PROGRESS_MS)
		return;
	progress.drawn = now;
	width = format_line(line, sizeof(line), events, bytes);
	columns = output_columns(STDERR_FILENO);
	if (columns && width >= (int)columns) /* a wrapped line could not be taken away */
		width = (int)columns - 1;
	/* spaces over what is left of a longer one */
	put(text, snprintf(text, sizeof(text), "\r%.*s%*s", width, line,
			   progress.width > width ? progress.width - width : 0, ""));
	progress.width = width;
}

void progress_end(void)
{
	clear();
	progress.wanted = false;
	log_before(NULL);
}

void progress_summary(const struct session *session, const char *name, uint64_t duration_ms)
{
	if (session->options->quiet)
		return;
	log_info("%s: %" PRIu64 " events, %" PRIu64 " lost, %" PRIu64 ".%03" PRIu64 " s", name,
		 session->printed, session->losses.kernel + session->losses.queue,
		 duration_ms / 1000, duration_ms % 1000);
}
