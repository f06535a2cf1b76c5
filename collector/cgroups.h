/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which cgroup is below which, for events that are judged when their cgroup may be gone: the kernel
 * is asked when an event names one that is not known.
 */
#ifndef NETWATCH_CGROUPS_H
#define NETWATCH_CGROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel_side.h"

struct cgroups;

/*
 * Asks the kernel for ids (inode numbers): the cgroup `id` and those above it, as far as there is
 * room for n. How many, all but n being the whole way to the root; or -errno: -ENOENT: it is gone.
 */
typedef int cgroups_ask(void *arg, uint64_t id, __u64 *ids, size_t n);

/* NULL: no memory. */
struct cgroups *cgroups_new(cgroups_ask *ask, void *arg);
void cgroups_free(struct cgroups *cgroups);

/* An event is of this cgroup (0: none). One that is not known is asked for, once, some 20 us. */
void cgroups_see(struct cgroups *cgroups, uint64_t id);

/*
 * The cgroup and those above it, 0 beyond the root, as in struct nw_row. False: it was gone before
 * it was asked for, and only the cgroup itself is there.
 */
bool cgroups_ancestors(const struct cgroups *cgroups, uint64_t id, __u64 ancestors[NW_ANCESTORS]);

/* A cgroups_ask; arg: struct probe. -EOPNOTSUPP: this kernel lacks the iterator. */
int cgroups_ask_kernel(void *arg, uint64_t id, __u64 *ids, size_t n);

#endif
