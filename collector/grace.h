/* SPDX-License-Identifier: GPL-2.0-only */
/* Grace periods, waited for in a thread so that the loop goes on. */
#ifndef NETWATCH_GRACE_H
#define NETWATCH_GRACE_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct grace;

/*
 * wait(arg) blocks until all programs that run have ended; it is called in a thread.
 * passed(arg) is called in the loop after each. NULL with errno set.
 */
struct grace *grace_new(struct event_base *base, int (*wait)(void *arg), void (*passed)(void *arg),
			void *arg);
void grace_free(struct grace *grace);

/* Asks for a grace period that begins after this call; returns its ticket. */
uint64_t grace_begin(struct grace *grace);
/* Has any passed since the last time this was asked? False if one was waited for then, and none
 * has. */
bool grace_serves(struct grace *grace);
/* Has the grace period of this ticket passed? Ticket 0 always has. */
bool grace_passed(const struct grace *grace, uint64_t ticket);

#endif
