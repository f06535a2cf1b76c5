/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Netfilter programs (Linux 6.4), which libbpf does not know yet (1.1). A hook is named
 * "ip4/pre_routing", behind NETFILTER_SECTION. A program sees the packets of one network
 * namespace, that of the process which links it.
 */
#ifndef NETWATCH_NETFILTER_H
#define NETWATCH_NETFILTER_H

struct bpf_program;

#define NETFILTER_SECTION "netfilter/"

/* Of a program that is not loaded yet. */
void netfilter_set_type(struct bpf_program *program);

/*
 * Attaches a loaded program: where IP begins before all others, where it ends behind them. The
 * file descriptor of the link, or -errno.
 */
int netfilter_link(const char *name, int program);

/* Tries it with an empty program. Why not, as a constant; NULL: it works. */
const char *netfilter_refusal(const char *name);

#endif
