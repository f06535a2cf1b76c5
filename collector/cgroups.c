// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroups.h"
#include "iterator.h"

#define KNOWN_MAX 65536 /* beyond it all are forgotten, and asked for again */
#define UNKNOWN	  UINT64_MAX

/* A cgroup never moves, and no number is used again. */
struct known {
	uint64_t id;
	uint64_t parent; /* 0: none above it; UNKNOWN: it was asked for in vain */
};

struct cgroups {
	cgroups_ask *ask;
	void *arg;
	void *tree; /* of struct known, of search.h */
	size_t n;   /* in it */
};

static int compare(const void *a, const void *b)
{
	uint64_t x = ((const struct known *)a)->id, y = ((const struct known *)b)->id;

	return x < y ? -1 : x > y;
}

static const struct known *find(const struct cgroups *c, uint64_t id)
{
	struct known key = {.id = id};
	struct known **found = tfind(&key, &c->tree, compare);

	return found ? *found : NULL;
}

/* Without memory it stays unknown, and is asked for again. */
static void add(struct cgroups *c, uint64_t id, uint64_t parent)
{
	struct known *known = find(c, id) ? NULL : malloc(sizeof(*known));

	if (!known)
		return;
	*known = (struct known){.id = id, .parent = parent};
	if (tsearch(known, &c->tree, compare))
		c->n++;
	else
		free(known);
}

static void forget(struct cgroups *c)
{
	tdestroy(c->tree, free);
	c->tree = NULL;
	c->n = 0;
}

void cgroups_see(struct cgroups *c, uint64_t id)
{
	__u64 ids[NW_ANCESTORS];
	int n;

	if (!id || find(c, id))
		return;
	if (c->n >= KNOWN_MAX)
		forget(c);
	n = c->ask(c->arg, id, ids, NW_ANCESTORS);
	if (n <= 0)
		add(c, id, UNKNOWN);
	for (int i = 0; i + 1 < n; i++)
		add(c, ids[i], ids[i + 1]);
	if (n > 0 && n < NW_ANCESTORS)
		add(c, ids[n - 1], 0);
}

bool cgroups_ancestors(const struct cgroups *c, uint64_t id, __u64 ancestors[NW_ANCESTORS])
{
	memset(ancestors, 0, NW_ANCESTORS * sizeof(ancestors[0]));
	for (unsigned i = 0; id && i < NW_ANCESTORS; i++) {
		const struct known *known;

		ancestors[i] = id;
		if (i == NW_ANCESTORS - 1)
			break;
		known = find(c, id);
		if (!known || known->parent == UNKNOWN)
			return false;
		id = known->parent;
	}
	return true;
}

int cgroups_ask_kernel(void *arg, uint64_t id, __u64 *ids, size_t n)
{
	struct iterator iterator;
	int err = iterator_open_cgroup(&iterator, arg, "nw_walk_cgroups", id);
	ssize_t size;

	if (err)
		return err;
	do
		size = read(iterator.fd, ids, n * sizeof(*ids));
	while (size < 0 && errno == EINTR);
	err = size < 0 ? -errno : (int)((size_t)size / sizeof(*ids));
	iterator_close(&iterator);
	return err;
}

struct cgroups *cgroups_new(cgroups_ask *ask, void *arg)
{
	struct cgroups *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->ask = ask;
	c->arg = arg;
	return c;
}

void cgroups_free(struct cgroups *c)
{
	if (!c)
		return;
	forget(c);
	free(c);
}
