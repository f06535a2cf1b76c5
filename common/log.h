/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages for people, on stderr, one line each. Only the programs log; the rest of
 * common/ returns errors. Control characters and bytes that are not UTF-8 are escaped.
 */
#ifndef NETWATCH_LOG_H
#define NETWATCH_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

#define LOG_PRINTF(n) __attribute__((format(printf, n, (n) + 1)))

/* Names the program at the start of each line (kept, not copied) and sets the level. */
void log_init(const char *program, enum log_level level);

/* Calls before() whenever a line is about to be written. NULL: not any more. */
void log_before(void (*before)(void));

/* From now on a line is dropped that stderr has no room for: who serves does not wait for it. */
void log_never_wait(void);

/* Level by name: error, warn, info, debug. 0 or -EINVAL. */
int log_level_parse(const char *name, enum log_level *level);

/* All keep errno. A line longer than 1 KiB is cut. */
void log_error(const char *format, ...) LOG_PRINTF(1);
void log_warn(const char *format, ...) LOG_PRINTF(1);
void log_info(const char *format, ...) LOG_PRINTF(1);
void log_debug(const char *format, ...) LOG_PRINTF(1);

#endif
