/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel side as the collector holds it: objects loaded once, programs attached while
 * somebody wants their events, maps. After loading, nothing here needs a capability
 * (tp_btf, iterators; Linux 6.1 and newer).
 */
#ifndef NETWATCH_PROBE_H
#define NETWATCH_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel_side.h"

struct bpf_program;
struct category;
struct probe;

/* What opening does, in this order. */
enum probe_stage {
	PROBE_BTF,	/* read the kernel's types */
	PROBE_PROGRAMS, /* load programs and maps */
	PROBE_STORAGE,	/* create storage of a socket */
	PROBE_READY,
};

struct probe_outcome {
	enum probe_stage stage; /* that failed; PROBE_READY: none */
	int exit_code;		/* 77 (not permitted), 78 (this kernel cannot) or 1; 0: ready */
	char reason[192];
};

/*
 * Opens and loads all objects. ring_size: bytes, a power of two and at least a page. NULL: no
 * memory. Of a probe whose outcome is not PROBE_READY only the outcome, probe_refusal and
 * probe_hook_refusal may be asked; it must be freed all the same.
 */
struct probe *probe_open(size_t ring_size);
void probe_free(struct probe *probe);
const struct probe_outcome *probe_outcome(const struct probe *probe);

struct nw_shared *probe_shared(struct probe *probe);
struct nw_ends *probe_ports(struct probe *probe);
/* File descriptor of a map by its name; it belongs to the probe. < 0: there is none. */
int probe_map(const struct probe *probe, const char *name);

/*
 * Attaches the programs that these categories need (bits of enum nw_want) and detaches the
 * others; 0: all. 0 or -errno, then it is as it was.
 */
int probe_attach(struct probe *probe, uint64_t wants);

/*
 * Why programs of a hook of that category (NULL: of those that serve all) are left out; NULL:
 * they are loaded. Constants.
 */
const char *probe_hook_refusal(const struct probe *probe, const struct category *category,
			       const char *hook);
/* The same of the category: none of the hooks that it needs is usable. */
const char *probe_refusal(const struct probe *probe, const struct category *category);

/* Is a cgroup v2 hierarchy mounted where the collector was started? */
bool probe_has_cgroups(const struct probe *probe);

/* A program of any object; NULL: there is none of that name, or it is left out. */
struct bpf_program *probe_program(const struct probe *probe, const char *name);

/*
 * Changes of sockets that no program saw, since the start: the kernel skips a program that runs
 * already on a CPU, and its twin too (see struct nw_run). Whose they were nobody knows. On
 * Linux 7 a task that moves between the two may make it one too few.
 */
uint64_t probe_unseen(const struct probe *probe);

/* What the kernel counted of a program since it was loaded; runs only while it measures them. */
struct probe_cost {
	const char *name;
	uint64_t runs, run_ns;
	uint64_t missed; /* calls that it skipped */
};

/* Of programs numbered from 0; of those that are left out, zeros. False: there is none. */
bool probe_cost(const struct probe *probe, size_t number, struct probe_cost *cost);

/* Waits, some 10 ms, until every program that runs now has ended. Of any thread. 0 or -errno. */
int probe_grace(struct probe *probe);

#endif
