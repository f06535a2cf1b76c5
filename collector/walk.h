/* SPDX-License-Identifier: GPL-2.0-only */
/* Walks over the sockets of the host, by BPF iterators. Each takes some ms and blocks. */
#ifndef NETWATCH_WALK_H
#define NETWATCH_WALK_H

#include <sys/queue.h>

struct event_base;
struct nw_full_row;
struct probe;
struct walks;

/*
 * Somebody who wants a walk; embedded. Those who ask at the same time share one. None of
 * these may free a request or ask again, but done, for its own.
 */
struct walk_request {
	/* The walk begins: what it does not show yet happens from now on. NULL: nothing to do */
	void (*begin)(struct walk_request *request);
	/* One TCP socket; each comes once. NULL: rows are not wanted. */
	void (*row)(struct walk_request *request, const struct nw_full_row *row);
	/*
	 * The walk is over; err: 0 or -errno, -EOPNOTSUPP: this kernel has no iterator over
	 * open files, so that only sockets that are being watched came. NULL: nothing to do.
	 */
	void (*done)(struct walk_request *request, int err);

	/* of walk.c */
	TAILQ_ENTRY(walk_request) link; /* walks.asked or .running */
	int state;
};

/*
 * A walk sees each socket that a process holds open, in all network namespaces, then the
 * others that are being watched. While programs are attached it keeps the owners that it
 * finds, and tells events that have been parked for too long.
 *
 * NULL with errno set.
 */
struct walks *walks_new(struct event_base *base, struct probe *probe);
void walks_free(struct walks *walks);

/*
 * Soon, but so that walks take no more than a tenth of a CPU, whoever asks how often.
 * Asking again before it is done changes nothing.
 */
void walks_ask(struct walks *walks, struct walk_request *request);
/* Legal at any time, also when nothing was asked. */
void walks_cancel(struct walks *walks, struct walk_request *request);

/* Deletes what is kept about sockets, at once, where the kernel has the iterator. 0 or -errno. */
int walk_forget(struct probe *probe);

#endif
