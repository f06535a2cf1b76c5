/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The events of one slot on their way to its readers: encoded once, gathered in blocks,
 * handed on by reference. And the account of each reader.
 */
#ifndef NETWATCH_STREAM_H
#define NETWATCH_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "dispatch.h"

#define BLOCK_SIZE  (64 * 1024) /* a full block goes out at once */
#define BLOCK_WHOLE (16 * 1024) /* a UNIX socket takes so much whole, or nothing of it */

struct nw_row;
struct filter_error;

/* Frames of events, shared between readers. */
struct block {
	unsigned references;
	uint32_t events;
	uint64_t first_ns, last_ns; /* Unix time of the first and last event */
	size_t used;
	bool reserve; /* no memory for another one: holds BLOCK_WHOLE, and nobody may keep it */
	uint8_t data[BLOCK_SIZE];
};

void block_unref(struct block *block);

struct reader;

/* What a reader is told. None of these may free the reader but left and refused. */
struct reader_ops {
	/* A socket that existed before, accepted by the filter. */
	void (*row)(struct reader *reader, const struct nw_row *row);
	/* Here in the stream: what came before was not this reader's. NULL: nothing to do */
	void (*joined)(struct reader *reader);
	/* From now on every matching event is delivered or counted. */
	void (*live)(struct reader *reader);
	/* Instead of live. */
	void (*refused)(struct reader *reader, const struct filter_error *why);
	/* Delivers a block (keeping it needs a reference) and counts its events in delivered or
	 * lost_queue. */
	void (*block)(struct reader *reader, struct block *block);
	/* Here in the stream, count events found the ring full between these Unix times. */
	void (*lost)(struct reader *reader, uint64_t count, uint64_t first_ns, uint64_t last_ns);
	/* After slots_leave: nothing more comes, the account is final. */
	void (*left)(struct reader *reader);
};

/* One subscription; embedded in its peer. Set by the peer: */
struct reader {
	const struct reader_ops *ops;
	uint32_t uid;  /* of the client, for limits */
	bool existing; /* wants rows */
	bool seamless; /* what happened before it joined was told in full to other slots */

	/* the account */
	uint64_t delivered;   /* events, by ops->block */
	uint64_t lost_queue;  /* events, by ops->block */
	uint64_t lost_kernel; /* events */
	uint64_t matched_base;
	uint64_t filtered_base;

	/* of slots.c and stream.c */
	struct slot *slot;
	struct filter *queued; /* while it waits for a slot */
	uint64_t start_ns;     /* CLOCK_MONOTONIC */
	uint64_t end_ns;       /* 0: it has not left */
	int state;
	struct dispatch_mark join, leave;
	bool joined;		  /* in stream.readers, not in slot.waiting */
	TAILQ_ENTRY(reader) link; /* slot.waiting or stream.readers */
};

TAILQ_HEAD(reader_list, reader);

struct stream {
	struct reader_list readers;
	struct block *block; /* being filled; NULL: empty */
	uint64_t matched;    /* events with this slot's bit */
	uint64_t filtered;   /* of them, dropped by its filter in the collector */
	uint64_t lost;	     /* events lost in the ring, told so far */
};

void stream_init(struct stream *stream);
void stream_deinit(struct stream *stream);

/* Appends the frame of one event. Needs no memory: there is one block in reserve. */
void stream_event(struct stream *stream, const uint8_t *frame, size_t size, uint64_t unix_ns);
/* The same of an event that the slot's filter drops. */
void stream_filtered(struct stream *stream);
/* The same of an event that the history takes. */
void stream_remembered(struct stream *stream);
/* Hands what is gathered to the readers. */
void stream_flush(struct stream *stream);
/* The total of events lost in the ring is now `total`: tells the readers what is new. */
void stream_lost(struct stream *stream, uint64_t total, uint64_t first_ns, uint64_t last_ns);

void stream_join(struct stream *stream, struct reader *reader);
void stream_leave(struct stream *stream, struct reader *reader);

/* Events that carried this reader's bit since it joined. */
uint64_t stream_matched(const struct stream *stream, const struct reader *reader);
/* Of these, those that the slot's filter dropped here. */
uint64_t stream_filtered_of(const struct stream *stream, const struct reader *reader);

#endif
