/* SPDX-License-Identifier: GPL-2.0-only */
/* A run of a BPF iterator: read its fd to the end. */
#ifndef NETWATCH_ITERATOR_H
#define NETWATCH_ITERATOR_H

#include <stdint.h>

struct bpf_link;
struct probe;

struct iterator {
	struct bpf_link *link;
	int fd; /* < 0: closed */
};

/*
 * map: whose elements it iterates over; NULL: none. Needs no capability. 0; -errno;
 * -EOPNOTSUPP: this kernel lacks the iterator.
 */
int iterator_open(struct iterator *iterator, const struct probe *probe, const char *program,
		  const char *map);
/* The same over a cgroup and those above it; -ENOENT: there is none of that id. */
int iterator_open_cgroup(struct iterator *iterator, const struct probe *probe, const char *program,
			 uint64_t id);
/* Legal for a closed one. */
void iterator_close(struct iterator *iterator);

#endif
