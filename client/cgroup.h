/* SPDX-License-Identifier: GPL-2.0-only */
/* Control groups of the unified hierarchy by id (inode number of the directory) and by path. */
#ifndef NETWATCH_CGROUP_H
#define NETWATCH_CGROUP_H

#include <stddef.h>
#include <stdint.h>

/*
 * Path below the root of the hierarchy ("/" for the root itself), valid until the next call,
 * or NULL when it is not known. Unknown ids make it look through the hierarchy again, at
 * most once a second.
 */
const char *cgroup_path(uint64_t id, size_t *length);

/*
 * Id of the cgroup at path: a directory of the hierarchy, or one below its root as
 * cgroup_path tells it. 0, -ENOENT, -ENOTDIR (exists, but is no cgroup), -ENODEV (no
 * hierarchy is mounted here), -errno.
 */
int cgroup_id(const char *path, uint64_t *id);

/*
 * The path of a cgroup that may be another host's, as cgroup_path tells it: without the mount
 * point, and with one slash before each name. The caller frees it; NULL: no memory.
 */
char *cgroup_below_root(const char *path);

#endif
