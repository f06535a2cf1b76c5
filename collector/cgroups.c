// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroups.h"
#include "event.h"

#define SHARE	  10	/* looking takes at most one part in so many of the time */
#define KNOWN_MAX 65536 /* beyond it all are forgotten, and those that are there found again */
#define UNKNOWN	  UINT64_MAX

/* A cgroup never moves, and no number is used again. */
struct known {
	uint64_t id;
	uint64_t parent; /* 0: none above it; UNKNOWN: it was looked for in vain */
};

struct cgroups {
	int root;	  /* -1: there is no cgroup v2 */
	void *tree;	  /* of struct known, of search.h */
	size_t n;	  /* in it */
	uint64_t missing; /* one that is to be looked for; 0: none */
	uint64_t next_ns; /* CLOCK_MONOTONIC: not looked again earlier */
};

static int compare(const void *a, const void *b)
{
	uint64_t x = ((const struct known *)a)->id, y = ((const struct known *)b)->id;

	return x < y ? -1 : x > y;
}

static struct known *find(const struct cgroups *c, uint64_t id)
{
	struct known key = {.id = id};
	struct known **found = tfind(&key, &c->tree, compare);

	return found ? *found : NULL;
}

/* Without memory it stays unknown. */
static void add(struct cgroups *c, uint64_t id, uint64_t parent)
{
	struct known *known = find(c, id);

	if (known) {
		known->parent = parent;
		return;
	}
	known = malloc(sizeof(*known));
	if (!known)
		return;
	*known = (struct known){.id = id, .parent = parent};
	if (tsearch(known, &c->tree, compare))
		c->n++;
	else
		free(known);
}

/* fd, which is closed: a directory at this depth. Of its entries only directories are cgroups. */
static void look(struct cgroups *c, int fd, uint64_t id, unsigned depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		int below;

		if (entry->d_type != DT_DIR || *entry->d_name == '.')
			continue;
		add(c, entry->d_ino, id);
		below = depth < NW_ANCESTORS
				? openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
				: -1;
		if (below >= 0)
			look(c, below, entry->d_ino, depth + 1);
	}
	closedir(dir);
}

static void look_from_root(struct cgroups *c)
{
	struct stat st;
	int fd = openat(c->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (c->n >= KNOWN_MAX) {
		tdestroy(c->tree, free);
		c->tree = NULL;
		c->n = 0;
	}
	if (fstat(fd, &st)) {
		close(fd);
		return;
	}
	add(c, st.st_ino, 0);
	look(c, fd, st.st_ino, 1);
}

void cgroups_see(struct cgroups *c, uint64_t id)
{
	uint64_t began_ns, end_ns;

	if (id && !find(c, id))
		c->missing = id;
	if (!c->missing || c->root < 0)
		return;
	began_ns = event_monotonic();
	if (began_ns < c->next_ns)
		return;
	look_from_root(c);
	if (!find(c, c->missing))
		add(c, c->missing, UNKNOWN);
	c->missing = 0;
	end_ns = event_monotonic();
	c->next_ns = end_ns + (SHARE - 1) * (end_ns - began_ns);
}

bool cgroups_ancestors(const struct cgroups *c, uint64_t id, __u64 ancestors[NW_ANCESTORS])
{
	memset(ancestors, 0, NW_ANCESTORS * sizeof(ancestors[0]));
	for (unsigned i = 0; id && i < NW_ANCESTORS; i++) {
		const struct known *known = find(c, id);

		ancestors[i] = id;
		if (!known || known->parent == UNKNOWN)
			return false;
		id = known->parent;
	}
	return true;
}

static int open_mount(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *entry;
	int fd = -1;

	while (mounts && fd < 0 && (entry = getmntent(mounts))) {
		if (!strcmp(entry->mnt_type, "cgroup2"))
			fd = open(entry->mnt_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	if (mounts)
		endmntent(mounts);
	return fd;
}

struct cgroups *cgroups_new(const char *root)
{
	struct cgroups *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->root = root ? open(root, O_PATH | O_DIRECTORY | O_CLOEXEC) : open_mount();
	return c;
}

void cgroups_free(struct cgroups *c)
{
	if (!c)
		return;
	tdestroy(c->tree, free);
	if (c->root >= 0)
		close(c->root);
	free(c);
}
