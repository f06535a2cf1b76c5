/* SPDX-License-Identifier: GPL-2.0-only */
/* A peer as a reader of a slot. */
#ifndef NETWATCH_SUBSCRIPTION_H
#define NETWATCH_SUBSCRIPTION_H

#include <stdbool.h>

#include <event2/util.h>

#include "netwatch.pb-c.h"

struct peer;
struct reader_ops;

/* Of peer.reader. */
extern const struct reader_ops subscription_ops;

/* Its account so far; final when it has left. */
void subscription_totals(const struct peer *peer, Netwatch__Totals *totals);
/* It wants no more. */
void subscription_end(struct peer *peer);
/* Once a second: the rate. False: the peer is not subscribed. */
bool subscription_count_rate(struct peer *peer);
/* Losses that are not told yet are told here. */
void subscription_close_gap(struct peer *peer);
/* Rows of a walk are over: true, or false when they were too many and it was refused. */
bool subscription_rows_done(struct peer *peer);
/* Of peer.slow. */
void subscription_on_slow(evutil_socket_t fd, short what, void *arg);

#endif
