/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the ring to the streams of the slots, in order. A mark is something that happens at
 * a position of the ring, between the records that were reserved before it was set and
 * those after; what was lost until then is told before it.
 */
#ifndef NETWATCH_DISPATCH_H
#define NETWATCH_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>

struct dispatch;
struct event_base;
struct nw_shared;
struct ring;
struct stream;

/* ring_fd: the map of ring. NULL with errno set. */
struct dispatch *dispatch_new(struct event_base *base, struct ring *ring, int ring_fd,
			      struct nw_shared *shared);
void dispatch_free(struct dispatch *dispatch);

/* While stopped the ring is not read and nothing wakes the collector. */
void dispatch_start(struct dispatch *dispatch);
void dispatch_stop(struct dispatch *dispatch);

/* Records with this slot's bit go to stream from now on; losses until now are not its. */
void dispatch_open(struct dispatch *dispatch, unsigned slot, struct stream *stream,
		   bool with_address);
void dispatch_close(struct dispatch *dispatch, unsigned slot);

/* Calls reached(arg) when everything before the ring's end of now has been handed on. */
void dispatch_mark(struct dispatch *dispatch, void (*reached)(void *arg), void *arg);
/* Marks of this arg do nothing any more. */
void dispatch_forget(struct dispatch *dispatch, const void *arg);

#endif
