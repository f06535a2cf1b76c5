// SPDX-License-Identifier: GPL-2.0-only
// The C library's search tree, and a list for walks and for the oldest.
#include <search.h>
#include <stdlib.h>

#include "conns.h"

static int compare(const void *a, const void *b)
{
	const struct conns_entry *one = a, *other = b;

	return (one->id > other->id) - (one->id < other->id);
}

void conns_init(struct conns *conns, size_t size, size_t most)
{
	*conns = (struct conns){.size = size, .most = most};
	TAILQ_INIT(&conns->list);
}

void conns_deinit(struct conns *conns)
{
	while (!TAILQ_EMPTY(&conns->list))
		conns_remove(conns, TAILQ_FIRST(&conns->list));
}

void *conns_find(const struct conns *conns, uint64_t id)
{
	const struct conns_entry key = {.id = id};
	struct conns_entry **found = tfind(&key, &conns->tree, compare);

	return found ? *found : NULL;
}

void *conns_get(struct conns *conns, uint64_t id)
{
	struct conns_entry *entry = conns_find(conns, id);

	if (entry || conns->count == conns->most)
		return entry;
	entry = calloc(1, conns->size);
	if (!entry)
		return NULL;
	entry->id = id;
	entry->generation = conns->generation;
	if (!tsearch(entry, &conns->tree, compare)) {
		free(entry);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&conns->list, entry, link);
	conns->count++;
	return entry;
}

void conns_remove(struct conns *conns, void *which)
{
	struct conns_entry *entry = which;

	tdelete(entry, &conns->tree, compare);
	TAILQ_REMOVE(&conns->list, entry, link);
	conns->count--;
	free(entry);
}

void conns_renew(struct conns *conns)
{
	conns->generation++;
}

void conns_remove_old(struct conns *conns)
{
	struct conns_entry *entry, *next;

	for (entry = TAILQ_FIRST(&conns->list); entry; entry = next) {
		next = TAILQ_NEXT(entry, link);
		if (entry->generation != conns->generation)
			conns_remove(conns, entry);
	}
}
