/* SPDX-License-Identifier: GPL-2.0-only */
/* A set of connections by their id, in the order in which they came, of bounded size. */
#ifndef NETWATCH_CONNS_H
#define NETWATCH_CONNS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define CONNS_MAX 65536

/* The first member of what is kept of each. */
struct conns_entry {
	uint64_t id;
	unsigned generation; /* when it was last told of */
	TAILQ_ENTRY(conns_entry) link;
};

struct conns {
	size_t size, most, count; /* bytes of an entry; entries */
	unsigned generation;	  /* of new entries */
	void *tree;
	TAILQ_HEAD(conns_list, conns_entry) list;
};

/* Of entries of size bytes, at most so many. */
void conns_init(struct conns *conns, size_t size, size_t most);
void conns_deinit(struct conns *conns);

/* The entry of that id, or NULL. */
void *conns_find(const struct conns *conns, uint64_t id);

/* The entry of that id, made with zeros if it is not there. NULL: too many, or no memory. */
void *conns_get(struct conns *conns, uint64_t id);

void conns_remove(struct conns *conns, void *entry);

/* All are told of again from here on; then those that were not are removed. */
void conns_renew(struct conns *conns);
void conns_remove_old(struct conns *conns);

#endif
