// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/netfilter.h>

#include "netfilter.h"

#define PROG_TYPE   32 /* BPF_PROG_TYPE_NETFILTER */
#define ATTACH_TYPE 45 /* BPF_NETFILTER */

/*
 * The kernel keeps INT_MIN and INT_MAX for itself, and lets only one BPF program have a priority:
 * another collector's may have the next one.
 */
#define FIRST (INT_MIN + 1)
#define LAST  (INT_MAX - 1)
#define TRIES 64

static const struct hook {
	const char *name;
	uint32_t family;
	uint32_t number;
	int32_t priority;
} hooks[] = {
	{"ip4/pre_routing", NFPROTO_IPV4, NF_INET_PRE_ROUTING, FIRST},
	{"ip6/pre_routing", NFPROTO_IPV6, NF_INET_PRE_ROUTING, FIRST},
	{"ip4/local_in", NFPROTO_IPV4, NF_INET_LOCAL_IN, LAST},
	{"ip6/local_in", NFPROTO_IPV6, NF_INET_LOCAL_IN, LAST},
	{"ip4/local_out", NFPROTO_IPV4, NF_INET_LOCAL_OUT, FIRST},
	{"ip6/local_out", NFPROTO_IPV6, NF_INET_LOCAL_OUT, FIRST},
};

/* Of union bpf_attr, what BPF_LINK_CREATE takes. */
struct link_create {
	uint32_t program;
	uint32_t target;
	uint32_t attach_type;
	uint32_t flags;
	uint32_t family;
	uint32_t hook;
	int32_t priority;
	uint32_t netfilter_flags;
};

void netfilter_set_type(struct bpf_program *program)
{
	bpf_program__set_type(program, PROG_TYPE);
	bpf_program__set_expected_attach_type(program, ATTACH_TYPE);
}

static const struct hook *find(const char *name)
{
	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		if (!strcmp(hooks[i].name, name))
			return &hooks[i];
	}
	return NULL;
}

int netfilter_link(const char *name, int program)
{
	struct link_create attr = {.program = (uint32_t)program, .attach_type = ATTACH_TYPE};
	const struct hook *hook = find(name);
	long fd;

	if (!hook)
		return -ENOENT;
	attr.family = hook->family;
	attr.hook = hook->number;
	for (int i = 0; i < TRIES; i++) {
		attr.priority = hook->priority + (hook->priority == FIRST ? i : -i);
		fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
		if (fd >= 0)
			return (int)fd;
		if (errno != EBUSY)
			break;
	}
	return -errno;
}

const char *netfilter_refusal(const char *name)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = NF_ACCEPT},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = ATTACH_TYPE);
	int program = bpf_prog_load(PROG_TYPE, NULL, "GPL", insns, 2, &opts), link;

	if (program < 0)
		return "this kernel has no such programs (Linux 6.4)";
	link = netfilter_link(name, program);
	close(program);
	if (link < 0)
		return "this kernel refuses programs at this hook";
	close(link);
	return NULL;
}
