/* SPDX-License-Identifier: GPL-2.0-only */
/* Which hooks the running kernel has, and in which form. */
#ifndef NETWATCH_HOOKS_H
#define NETWATCH_HOOKS_H

#include <stddef.h>
#include <stdint.h>

struct bpf_object;
struct btf;

/*
 * Why programs of this section ("tp_btf/...", "iter/...", "fentry/...", "fexit/...",
 * "cgroup_skb/...", "netfilter/...") cannot be used with the kernel of that BTF, as a constant;
 * NULL: they can. Functions and netfilter are tried with an empty program, since a kernel may
 * refuse such programs altogether, or for one function; so this is for set-up, with the privilege
 * to load.
 *
 * For tests, NETWATCH_HIDE_HOOKS in root's environment lists hooks to do without, separated by
 * commas.
 */
const char *hooks_refusal(const struct btf *btf, const char *section);

/*
 * Tells the programs of an object that is not loaded yet how many arguments tracepoints and
 * functions have in this kernel: `const volatile __u32 args_NAME` is set to the number of those
 * of tracepoint NAME, or else of function NAME; 0: the kernel has neither. 0 or -errno.
 */
int hooks_count_arguments(const struct btf *btf, struct bpf_object *object);

/*
 * The memory of a constant (`const volatile`) of an object that is not loaded yet, to be written;
 * NULL: there is none of that name and size.
 */
void *hooks_constant(struct bpf_object *object, const char *name, size_t size);

/* Calls each for every enumerator of an enum of this kernel; none where it has no such enum. */
void hooks_enumerate(const struct btf *btf, const char *name,
		     void (*each)(const char *name, uint32_t value, void *arg), void *arg);

/* Opens the root of the cgroup v2 hierarchy as far as it is mounted here. -ENOENT: it is not. */
int hooks_open_cgroup(void);

#endif
