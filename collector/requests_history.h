/* SPDX-License-Identifier: GPL-2.0-only */
/* Requests for what the collector remembers. */
#ifndef NETWATCH_REQUESTS_HISTORY_H
#define NETWATCH_REQUESTS_HISTORY_H

#include <stdbool.h>

#include "netwatch.pb-c.h"

struct filter;
struct peer;

bool requests_keeps_history(const struct peer *peer);

/*
 * Each begins a replay of what the filter accepts, if that is asked for; false when it was
 * refused. A subscription's part of the history, before it joins its slot; of a list, connections
 * that closed: then done is called.
 */
bool requests_add_history(struct peer *peer, const struct filter *filter,
			  const Netwatch__Subscribe *subscribe);
bool requests_add_closed(struct peer *peer, struct filter *filter, void (*done)(struct peer *peer));

#endif
