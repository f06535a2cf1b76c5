/* SPDX-License-Identifier: GPL-2.0-only */
/* stdin, stdout and stderr, which the caller may have closed. */
#ifndef NETWATCH_STREAMS_H
#define NETWATCH_STREAMS_H

/*
 * Those that are closed lead to /dev/null from now on: no file of ours becomes one of them.
 * To be called first. The set of those that were closed, as bits 1 << fd, or -errno.
 */
int streams_open(void);

#endif
