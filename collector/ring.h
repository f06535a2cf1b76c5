/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The reader of a BPF ring buffer (BPF_MAP_TYPE_RINGBUF), with its positions: what was
 * reserved before a moment and what after can be told apart. libbpf's reader hides them.
 */
#ifndef NETWATCH_RING_H
#define NETWATCH_RING_H

#include <stddef.h>
#include <stdint.h>

#define RING_RECORD_MAX (64 * 1024) /* bytes, whole pages; no record of ours is longer */

struct ring;

/* NULL with errno set. fd stays the caller's. */
struct ring *ring_new(int fd, size_t size);
void ring_free(struct ring *ring);

/* Position behind the last record reserved so far; counts up and does not wrap. */
uint64_t ring_end(const struct ring *ring);
/* Position of the next record to read. */
uint64_t ring_position(const struct ring *ring);

/*
 * Gives at most budget records that begin before position limit to fn, in order; record is
 * valid during the call. Stops at one that is reserved but not yet submitted. Returns their
 * number.
 */
size_t ring_read(struct ring *ring, uint64_t limit, size_t budget,
		 void (*fn)(void *arg, const void *record, size_t size), void *arg);

#endif
