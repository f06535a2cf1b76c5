// SPDX-License-Identifier: GPL-2.0-only
// netwatch top: subscribes to reports and shows them as a table, again and again: on a terminal
// in place, with keys; else one below the other.
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "color.h"
#include "commands.h"
#include "exit.h"
#include "log.h"
#include "output.h"
#include "session.h"
#include "stop.h"
#include "subscribe.h"
#include "top_draw.h"
#include "top_screen.h"
#include "top_table.h"

#define INTERVAL_MS 1000
#define LAG_MS	    100 /* behind the reports of an interval, so that a picture has all of one */

static struct {
	struct top_table table;
	int interval;		  /* ms */
	bool full;		  /* on a terminal */
	int watched;		  /* of top_screen_open, or -1 */
	uint64_t count, pictures; /* to show, or 0: all; shown */
	unsigned ticks;		  /* since the subscription */
	int64_t next;		  /* session_now() of the next tick */
	time_t down;		  /* or 0 */

	/* what keys change */
	enum top_column sort;
	bool reverse, paused, help;
	size_t first, visible; /* rows: on top; in sight */
} top;

static const char *scope_of(const struct session *session)
{
	static const char *const scopes[] = {
		[NETWATCH__SCOPE__NOTHING] = "nothing to see",
		[NETWATCH__SCOPE__OWN] = "your sockets",
		[NETWATCH__SCOPE__ALL] = "all users",
		[NETWATCH__SCOPE__ALL_WITH_HTTP] = "all users",
	};
	unsigned scope = (unsigned)session->scope;

	if (scope < sizeof(scopes) / sizeof(scopes[0]))
		return scopes[scope];
	return "unknown scope";
}

static int draw(struct session *session)
{
	struct top_sums sums = top_table_sums(&top.table);
	struct top_picture picture = {
		.rows = top_table_sort(&top.table, top_columns_compare, top.sort, top.reverse),
		.count = top.table.conns.count,
		.sums = &sums,
		.sort = top.sort,
		.reverse = top.reverse,
		.scope = scope_of(session),
		.down = top.down,
		.paused = top.paused,
		.help = top.help,
		.header = !session->options->no_header,
	};

	if (!picture.rows)
		return -ENOMEM;
	if (top.full) {
		top_screen_enter();
		top_screen_size(&picture.lines, &picture.columns);
	} else if (top.pictures) {
		output_char(&session->output, '\n');
	}
	if (top.first >= picture.count)
		top.first = picture.count ? picture.count - 1 : 0;
	picture.first = top.first;
	return top_draw(&session->output, &picture, &top.visible);
}

static void show(struct session *session)
{
	int err = draw(session);

	if (!err)
		err = output_flush(&session->output);
	if (err == -ENOMEM) {
		log_error("out of memory");
		session_fail(session, EXIT_ERROR);
	} else if (err) {
		session_fail_output(session, err);
	}
}

/* ------------------------------------------------------------------------------- keys */

static void scroll(size_t rows, bool down)
{
	if (down)
		top.first += rows;
	else
		top.first -= rows < top.first ? rows : top.first;
}

static void on_key(enum top_key key)
{
	switch (key) {
	case TOP_KEY_QUIT:
		stop_ask();
		break;
	case TOP_KEY_LEFT:
	case TOP_KEY_RIGHT:
		top.sort = top_columns_next(top.sort, key == TOP_KEY_RIGHT);
		top.reverse = false;
		break;
	case TOP_KEY_UP:
	case TOP_KEY_DOWN:
		scroll(1, key == TOP_KEY_DOWN);
		break;
	case TOP_KEY_PAGE_UP:
	case TOP_KEY_PAGE_DOWN:
		scroll(top.visible, key == TOP_KEY_PAGE_DOWN);
		break;
	case TOP_KEY_HOME:
		top.first = 0;
		break;
	case TOP_KEY_REVERSE:
		top.reverse = !top.reverse;
		break;
	case TOP_KEY_PAUSE:
		top.paused = !top.paused;
		break;
	case TOP_KEY_HELP:
		top.help = !top.help;
		break;
	case TOP_KEY_REDRAW:
		break;
	}
}

/* Also while there is no collector. */
static void ready(struct session *session)
{
	if (top_screen_ready(on_key) && stop_state() == STOP_NO)
		show(session);
}

/* ----------------------------------------------------------------------- the session */

static int start(struct session *session, const Netwatch__Hello *hello)
{
	top_table_clear(&top.table);
	session->losses_told = top.full; /* in the line on top; and at the end */
	return subscribe_start(session, hello);
}

static void tick(struct session *session)
{
	int64_t now = session_now();

	top_table_tick(&top.table);
	top.ticks++;
	top.next += top.interval;
	if (top.next <= now) /* we were stopped */
		top.next = now + top.interval;
	session_timer(session, (int)(top.next - now), tick);
	/* with the second report there are rates */
	if (session->stopping || top.paused || (!top.full && top.ticks < 2))
		return;
	show(session);
	if (++top.pictures == top.count)
		stop_ask();
}

static void subscribed(struct session *session)
{
	if (session->options->verbose)
		top_screen_leave();
	subscribe_live(session);
	session->watched = top.watched;
	top.down = 0;
	top.ticks = 0;
	top.next = session_now() + top.interval + LAG_MS;
	session_timer(session, top.interval + LAG_MS, tick);
	if (top.full)
		show(session);
}

static void take(struct session *session, const struct event *event)
{
	top_table_take(&top.table, &session->output, event);
}

static void disconnected(struct session *session)
{
	if (!top.down)
		top.down = time(NULL);
	if (top.full && session->resume.wanted)
		show(session);
}

static void tell_losses(const struct options *options)
{
	if (top.table.lost)
		log_warn("events were lost: %" PRIu64, top.table.lost);
	if (top.table.gaps && !options->quiet)
		log_info("gaps, of which nobody knows how much was lost: %" PRIu64, top.table.gaps);
}

static int run(struct options *options)
{
	static const struct session_ops ops = {
		.start = start,
		.stop = subscribe_stop,
		.subscribed = subscribed,
		.event = take,
		.disconnected = disconnected,
		.ready = ready,
	};
	struct session session = {.fd = -1};
	int status;

	top.watched = top.full ? top_screen_open() : -1;
	if (top.full && top.watched < 0) {
		log_error("preparing the terminal: %s", strerror(-top.watched));
		return EXIT_ERROR;
	}
	status = session_run(&session, options, &ops);
	top_screen_close();
	session_deinit(&session);
	if (top.full)
		tell_losses(options);
	return status;
}

int top_run(struct options *options)
{
	int status;

	top.full = isatty(options->out);
	top.interval = session_interval(options, INTERVAL_MS);
	if (top.interval > INT_MAX - LAG_MS)
		top.interval = INT_MAX - LAG_MS;
	top.sort = options->sort ? (enum top_column)(options->sort - 1) : TOP_RATE;
	top.count = options->count;
	options->count = 0; /* not of events */
	options->reconnect = true;
	color_init(options->color ? options->color - 1 : COLOR_AUTO, options->out);
	subscribe_prepare(options);
	top_columns_init();
	if (top_table_init(&top.table, top.interval, CONNS_MAX)) {
		log_error("out of memory");
		return EXIT_ERROR;
	}
	status = run(options);
	top_table_deinit(&top.table);
	return status;
}
