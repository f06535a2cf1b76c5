/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which cgroup is below which, for events that are judged when their cgroup may be gone: found by
 * looking through the file system of cgroup v2 when an event names one that is not known.
 */
#ifndef NETWATCH_CGROUPS_H
#define NETWATCH_CGROUPS_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel_side.h"

struct cgroups;

/* root: where cgroup v2 is mounted; NULL: look for it. NULL with errno set: no memory. */
struct cgroups *cgroups_new(const char *root);
void cgroups_free(struct cgroups *cgroups);

/*
 * An event is of this cgroup (an inode number; 0: none). If it is not known, looks through the
 * file system, which takes some ms, but at most a tenth of the time: then at a later event.
 */
void cgroups_see(struct cgroups *cgroups, uint64_t id);

/*
 * The cgroup and those above it, 0 beyond the root, as in struct nw_row. False: it was gone before
 * it was looked for, and only the cgroup itself is there.
 */
bool cgroups_ancestors(const struct cgroups *cgroups, uint64_t id, __u64 ancestors[NW_ANCESTORS]);

#endif
