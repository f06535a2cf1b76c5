/* SPDX-License-Identifier: GPL-2.0-only */
/* Layer times: packets that wait for what does not happen are told by sweeps (times.bpf.h). */
#ifndef NETWATCH_TIMES_H
#define NETWATCH_TIMES_H

#include <stdbool.h>

struct event_base;
struct probe;
struct times;

/* NULL with errno set. */
struct times *times_new(struct event_base *base, struct probe *probe);
void times_free(struct times *times);

/*
 * Does anybody want layer times? To be told while no slot's bit is set that does. What was kept
 * of packets for those who wanted it before is forgotten.
 */
void times_want(struct times *times, bool wanted);

#endif
