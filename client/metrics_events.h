/* SPDX-License-Identifier: GPL-2.0-only */
/* Events and the collector's status, turned into metrics. Not for several threads at once. */
#ifndef NETWATCH_METRICS_EVENTS_H
#define NETWATCH_METRICS_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "netwatch.pb-c.h"

struct event;
struct output;

void metrics_events_init(void);
void metrics_events_deinit(void);

/* 0 or -ENOMEM. */
int metrics_take(const struct event *raw);

/* A new subscription begins with the connections that there are; then it is live; then not. */
void metrics_begin(void);
void metrics_live(void);
void metrics_down(void);

/*
 * With reports every interval_ms (0: there are none), a connection of which there is none for some
 * of them is gone, though its end was lost.
 */
void metrics_expect_reports(uint64_t interval_ms);

void metrics_take_status(const Netwatch__Status *status);

/* The whole page. */
void metrics_page(struct output *output);

#endif
