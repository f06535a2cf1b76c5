/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How far a recording or a replay is: one line on a terminal, written again and again, which is
 * taken away before anything else is written there; and the summary at the end.
 */
#ifndef NETWATCH_PROGRESS_H
#define NETWATCH_PROGRESS_H

#include <stdint.h>

#define PROGRESS_MS 500 /* between two lines */

struct session;

/* From now on, if stderr is a terminal. total: bytes in all, or 0: not known. */
void progress_begin(uint64_t total);

/* Writes the line, if the last one is PROGRESS_MS old. */
void progress_show(uint64_t events, uint64_t bytes);

/* Takes it away for good. */
void progress_end(void);

/*
 * Tells what name holds (of a recording), unless --quiet: events and losses of the session, and
 * how long it took [ms].
 */
void progress_summary(const struct session *session, const char *name, uint64_t duration_ms);

#endif
