/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the probe share: objects and programs. */
#ifndef NETWATCH_PROBE_TABLE_H
#define NETWATCH_PROBE_TABLE_H

#include "probe.h"

#define PROGRAMS_MAX 128 /* of all objects; more is a mistake that probe_open reports */
#define OBJECTS_MAX  16

struct bpf_object;
struct category_hook;

struct program {
	struct bpf_program *bpf;
	const struct category *category;  /* NULL: it serves all */
	const struct category_hook *hook; /* of the category; NULL: it names none like this */
	const char *refusal;		  /* left out; NULL: loaded */
	int link;			  /* file descriptor; < 0: not attached */
};

struct object {
	struct bpf_object *bpf;
	const struct category *category; /* NULL: that of sockets, which is the first */
};

struct probe {
	struct object objects[OBJECTS_MAX];
	size_t n_objects;
	struct program programs[PROGRAMS_MAX];
	size_t n_programs;
	struct probe_outcome outcome;
	struct nw_shared *shared;
	struct nw_ends *ports;
	uint64_t wants; /* attached for these bits of enum nw_want */
	int cgroup;	/* root of cgroup v2, where cgroup_skb programs are attached; or < 0 */
};

/* Programs that are called, not attached; of other pairs NULL. By enum nw_pair. */
extern const char *const probe_bodies[NW_PAIRS];

#endif
