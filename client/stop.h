/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When to end: Ctrl-C, SIGTERM, and the end of --duration ask for it; a second one, or one
 * second more, means now. Works also while a write to a full pipe blocks.
 */
#ifndef NETWATCH_STOP_H
#define NETWATCH_STOP_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum stop { STOP_NO, STOP_ASKED, STOP_NOW };

/* Installs the handlers. The signals are blocked but for the three calls below. */
void stop_init(void);

enum stop stop_state(void);

/* Asks now, as Ctrl-C does; no effect when that was done before. */
void stop_ask(void);

/* Asks after that many milliseconds from now. */
void stop_after(uint64_t milliseconds);

/*
 * The signal that ends a child now, once: what ended us, SIGTERM at the end of stop_after's time;
 * 0: none. *send: it is to be sent; a terminal sends its signals to the child by itself.
 */
int stop_take_signal(bool *send);

/* Blocks these as well, also while one of the calls below waits. */
void stop_keep_blocked(const sigset_t *signals);

/* For a child: the signal mask that we were started with, and the signals that we changed. */
const sigset_t *stop_inherited(void);
void stop_defaults(sigset_t *signals);

/* Ends by SIGPIPE no more: who writes gets EPIPE. */
void stop_ignore_pipe(void);

/* Ends the program by SIGPIPE, as a reader of a pipe that is gone does; or returns. */
void stop_by_pipe(void);

/* poll(2) that a stop interrupts (returns -EINTR). timeout in ms, or -1. */
int stop_poll(struct pollfd *fds, nfds_t count, int timeout);

/* open(2) that a stop interrupts: of a FIFO it waits. Descriptor, -ECANCELED, -errno. */
int stop_open(const char *path, int flags, mode_t mode);

/* write(2) that goes on after STOP_ASKED and gives up at STOP_NOW. Bytes, -ECANCELED, -errno. */
ssize_t stop_write(int fd, const void *data, size_t size);

#endif
