/* SPDX-License-Identifier: GPL-2.0-only */
/* Events as frames: a record of the kernel, or a loss, as a delimited netwatch.Reply. */
#ifndef NETWATCH_EVENT_H
#define NETWATCH_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netwatch.pb-c.h"

struct nw_counters;
struct nw_record;
struct nw_row;
struct category;
struct made;

#define EVENT_FRAME_MAX 8192 /* no event of ours is longer; one that were is refused */

/* A frame with its length prefix, ready for the stream. */
struct event_frame {
	const uint8_t *data; /* inside buffer */
	size_t size;
	uint8_t buffer[EVENT_FRAME_MAX];
};

/*
 * Encodes a record of size bytes. unix_offset_ns is what to add to CLOCK_MONOTONIC for
 * Unix time. with_address: show the kernel's address of the socket. 0, or -EBADMSG: no
 * record of a known category, or too long.
 */
int event_from_record(struct event_frame *frame, const struct nw_record *record, size_t size,
		      int64_t unix_offset_ns, bool with_address);

/* The same of an event that records of this category made; redacted: see category.h. */
int event_from_made(struct event_frame *frame, const struct category *category,
		    const struct made *made, int64_t unix_offset_ns, bool with_address,
		    bool redacted);

/*
 * Encodes what a walk found: conn, with the stage EXISTING, and behind it tcpinfo, unless
 * counters is NULL. 0 or -EBADMSG.
 */
int event_from_row(struct event_frame *frame, const struct nw_row *row,
		   const struct nw_counters *counters, bool with_address);

/* Encodes Lost: count events (0: unknown how many) between two Unix times in ns. */
void event_lost(struct event_frame *frame, Netwatch__Lost__Cause cause, uint64_t count,
		uint64_t first_ns, uint64_t last_ns);

/*
 * What to add to CLOCK_MONOTONIC for Unix time, in ns, now. The one of before, as long as it may
 * still be right: so times are as far apart as their events, also if this process is stopped
 * between two looks at clocks. At first 0.
 */
int64_t event_unix_offset(int64_t before);

/* The clock that the kernel's records carry, in ns. */
uint64_t event_monotonic(void);

#endif
