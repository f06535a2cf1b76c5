/* SPDX-License-Identifier: GPL-2.0-only */
/* The COMMAND behind "--": runs as long as the subscription is live, or longer. */
#ifndef NETWATCH_CHILD_H
#define NETWATCH_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct child {
	pid_t pid;     /* 0: was not started */
	int fd;	       /* pidfd: readable at its end; -1: it does not run */
	int status;    /* exit status as a shell has it; 0 while it runs */
	uint64_t sent; /* signals that it got with us, or from us: bits by their numbers */
};

/*
 * Starts words[0] with its arguments, stdout turned to stderr, signals as this program got them.
 * 0, or the exit status for a command that cannot be run, after a message.
 */
int child_start(struct child *child, char *const words[]);

/* While it runs: passes on what ended us since the last call. */
void child_pass_signal(struct child *child);

/* Its pidfd is readable: takes its status. One that died of the signal that ended us ended as
 * asked: 0. */
void child_reap(struct child *child);

/* Waits for its end; signals go on to it. */
void child_wait(struct child *child);

#endif
