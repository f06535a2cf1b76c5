// SPDX-License-Identifier: GPL-2.0-only
// Looks through the cgroup2 file system, and remembers what it found.
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "cgroup.h"

#define CGROUP_ROOT "/sys/fs/cgroup" /* where most hosts have it mounted */
#define SLOTS	    8192	     /* of the hash table, a power of two */
#define PATHS_MAX   4096 /* remembered at once; beyond it all are forgotten and found again */

struct entry {
	uint64_t id;
	char *path; /* NULL: free */
	size_t length;
};

static struct entry table[SLOTS];
static unsigned used;
static const struct entry *last;

/* Where the hierarchy is mounted, or NULL. */
static const char *mount_point(void)
{
	static char path[PATH_MAX];
	char line[2 * PATH_MAX];
	FILE *file;

	if (*path)
		return path;
	file = fopen("/proc/self/mountinfo", "re");
	while (file && !*path && fgets(line, sizeof(line), file)) {
		if (strstr(line, " - cgroup2 "))
			sscanf(line, "%*s %*s %*s %*s %4095s", path);
	}
	if (file)
		fclose(file);
	return *path ? path : NULL;
}

static struct entry *find(uint64_t id)
{
	size_t slot = (id * 0x9e3779b97f4a7c15u) >> 51;

	while (table[slot].path && table[slot].id != id)
		slot = (slot + 1) % SLOTS;
	return &table[slot];
}

static void forget(void)
{
	for (unsigned i = 0; i < SLOTS; i++)
		free(table[i].path);
	memset(table, 0, sizeof(table));
	used = 0;
	last = NULL;
}

static void remember(uint64_t id, const char *path)
{
	struct entry *entry = find(id);

	if (entry->path || used == PATHS_MAX)
		return;
	entry->path = strdup(*path ? path : "/");
	if (!entry->path)
		return;
	entry->id = id;
	entry->length = strlen(entry->path);
	used++;
}

/* path has PATH_MAX bytes; what lies deeper than that stays unknown. root: length of the mount. */
static void walk(char *path, size_t length, size_t root)
{
	DIR *dir = opendir(path);
	struct dirent *child;

	while (dir && (child = readdir(dir))) {
		size_t name = strlen(child->d_name);

		if (child->d_type != DT_DIR || !strcmp(child->d_name, "..") ||
		    length + name + 2 > PATH_MAX)
			continue;
		if (!strcmp(child->d_name, ".")) {
			remember(child->d_ino, path + root);
			continue;
		}
		path[length] = '/';
		memcpy(path + length + 1, child->d_name, name + 1);
		walk(path, length + 1 + name, root);
		path[length] = '\0';
	}
	if (dir)
		closedir(dir);
}

static void look_again(void)
{
	static time_t looked;
	struct timespec now;
	const char *root = mount_point();
	char path[PATH_MAX];

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (!root || (looked && now.tv_sec == looked))
		return;
	looked = now.tv_sec;
	if (used == PATHS_MAX)
		forget();
	strcpy(path, root);
	walk(path, strlen(path), strlen(path));
}

const char *cgroup_path(uint64_t id, size_t *length)
{
	const struct entry *entry = last;

	if (!entry || entry->id != id) {
		entry = find(id);
		if (!entry->path) {
			look_again();
			entry = find(id);
		}
		if (!entry->path)
			return NULL;
		last = entry;
	}
	*length = entry->length;
	return entry->path;
}

static int directory_id(const char *path, uint64_t *id)
{
	struct statfs fs;
	struct stat st;

	if (statfs(path, &fs) || stat(path, &st))
		return -errno;
	if (fs.f_type != CGROUP2_SUPER_MAGIC || !S_ISDIR(st.st_mode))
		return -ENOTDIR;
	*id = st.st_ino;
	return 0;
}

/* What follows the prefix, if that ends where a name ends; else all of path. */
static const char *behind(const char *path, const char *prefix)
{
	size_t length = strlen(prefix);

	if (strncmp(path, prefix, length) || (path[length] && path[length] != '/'))
		return path;
	return path + length;
}

char *cgroup_below_root(const char *path)
{
	const char *rest = behind(path, mount_point() ?: CGROUP_ROOT);
	char *below = malloc(strlen(path) + 2), *to = below;

	if (!below)
		return NULL;
	path = rest == path ? behind(path, CGROUP_ROOT) : rest;
	while (*(path += strspn(path, "/"))) {
		size_t length = strcspn(path, "/");

		*to++ = '/';
		to = (char *)mempcpy(to, path, length);
		path += length;
	}
	if (to == below)
		*to++ = '/';
	*to = '\0';
	return below;
}

int cgroup_id(const char *path, uint64_t *id)
{
	const char *root = mount_point();
	char below[2 * PATH_MAX];
	int err = *path == '/' ? directory_id(path, id) : -ENOENT;

	if (err && !root)
		return -ENODEV;
	if (!err || strlen(path) >= PATH_MAX)
		return err;
	snprintf(below, sizeof(below), "%s/%s", root, path);
	return directory_id(below, id) ? err : 0;
}
