/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Filters for events that come from a recording: what the kernel and the collector decide about
 * live events, decided by the same judge about what the events say of their connections.
 */
#ifndef NETWATCH_JUDGE_H
#define NETWATCH_JUDGE_H

#include <stdbool.h>

#include "filter.h"

struct event;
struct filter_options;

enum verdict {
	JUDGE_ACCEPTS,
	JUDGE_REFUSES, /* the connection */
	JUDGE_FILTERS, /* the HTTP message, which the account counts as filtered */
};

struct judge {
	struct filter filter;
	bool all;			      /* the filter accepts everything */
	bool asks_socket;		      /* for what only a socket has: uid or cgroup */
	const struct filter_options *options; /* for the paths of its cgroups */
};

/*
 * Makes the judge of options, whose cgroups were settled by path, and which are to live as long.
 * 0, or -EINVAL when the filter is beyond a limit or makes no sense, told.
 */
int judge_init(struct judge *judge, const struct filter_options *options);

/*
 * Text is judged as it is shown: of what is not UTF-8 the \xNN, of a target that was cut the
 * beginning.
 */
enum verdict judge_event(const struct judge *judge, const struct event *event);

#endif
