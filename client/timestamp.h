/* SPDX-License-Identifier: GPL-2.0-only */
/* Points in time as people and programs want them. */
#ifndef NETWATCH_TIMESTAMP_H
#define NETWATCH_TIMESTAMP_H

#include "schema.h"

#define TIMESTAMP_MAX 64 /* bytes of any of the forms */

struct time_format {
	unsigned width; /* columns that it takes, or nearly always */
	bool relative;	/* to the one before, so for the time of events only */
	/*
	 * Writes a time of 1970 to 9999 into room of TIMESTAMP_MAX bytes; returns the end, or NULL:
	 * it cannot be written.
	 */
	char *(*put)(char *to, int64_t seconds, uint32_t nanoseconds);
};

/* Local time of day, HH:MM:SS.uuuuuu, or with milliseconds only; UTC with date as in RFC 3339. */
extern const struct time_format time_of_day, time_of_day_ms, time_rfc3339;

/* Words of --time-format, ended by NULL, and what they mean. */
extern const char *const time_format_words[];
const struct time_format *time_format_of(unsigned index);

/* Writes a Timestamp by format. Returns the end, or NULL: no such time. */
char *timestamp_put(char *to, const struct time_format *format, struct value timestamp);

#endif
