/* SPDX-License-Identifier: GPL-2.0-only */
/* Which hooks the running kernel has. */
#ifndef NETWATCH_HOOKS_H
#define NETWATCH_HOOKS_H

struct btf;

/*
 * Why programs of this section ("tp_btf/...", "iter/...") cannot be used with the kernel of
 * that BTF, as a constant; NULL: they can.
 *
 * For tests, NETWATCH_HIDE_HOOKS in root's environment lists hooks to do without, separated by
 * commas.
 */
const char *hooks_refusal(const struct btf *btf, const char *section);

#endif
