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
struct probe;

/* The hook of one program. */
struct probe_hook {
	const char *hook;   /* "tp_btf/tcp_rcv_space_adjust" */
	const char *reason; /* why it is left out; NULL: it is loaded */
};

/*
 * Opens and loads all objects. ring_size: bytes, a power of two and at least a page. NULL on
 * failure, with *exit_code 77 (not permitted), 78 (this kernel cannot) or 1, after a log
 * message that says why.
 */
struct probe *probe_open(size_t ring_size, int *exit_code);
void probe_free(struct probe *probe);

struct nw_shared *probe_shared(struct probe *probe);
struct nw_ends *probe_ports(struct probe *probe);
/* File descriptor of a map by its name; it belongs to the probe. */
int probe_map(const struct probe *probe, const char *name);

/*
 * Attaches the programs that these categories need (bits of enum nw_want) and detaches the
 * others; 0: all. 0 or -errno, then it is as it was.
 */
int probe_attach(struct probe *probe, uint64_t wants);

/* Does this kernel offer the category: has it a hook? */
bool probe_offers(const struct probe *probe, const char *category);

/* The hooks of a category's programs and of those that serve all; fills at most max. */
size_t probe_hooks(const struct probe *probe, const char *category, struct probe_hook *hooks,
		   size_t max);

/* A program of the object of sockets, NULL: there is none of that name. */
struct bpf_program *probe_program(const struct probe *probe, const char *name);

/* Waits, some 10 ms, until every program that runs now has ended. Of any thread. 0 or -errno. */
int probe_grace(struct probe *probe);

#endif
