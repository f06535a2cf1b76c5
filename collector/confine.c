// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/bpf.h>
#include <seccomp.h>

#include "confine.h"

#define OPTIMIZE_TREE 2 /* a binary tree of the calls' numbers, not a list */

/*
 * A name that an architecture lacks is passed over. What only the C library's fallbacks and
 * sanitizers call is here too.
 */
static const int allowed[] = {
	/* clients, the ring's wake-up, the helper thread, the log */
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendto),
	SCMP_SYS(accept4),
	SCMP_SYS(getsockopt), /* who a client is */
	SCMP_SYS(close),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(futex),
	SCMP_SYS(sched_yield),
	SCMP_SYS(rseq), /* a thread that has only just been made */
	SCMP_SYS(set_robust_list),
	SCMP_SYS(restart_syscall), /* after SIGSTOP and SIGCONT */
	/* memory */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(madvise),
	SCMP_SYS(sched_getaffinity), /* malloc counts CPUs */
	/* who and when */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getrandom),
	SCMP_SYS(uname),
	/* CAP_NET_ADMIN, effective for a moment */
	SCMP_SYS(capget),
	SCMP_SYS(capset),
	/* signals and the end, which removes the socket's file */
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(tgkill), /* abort */
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(lstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
};

/* On descriptors that are held, all of them; loading, creating and opening by id is not here. */
static const enum bpf_cmd bpf_commands[] = {
	BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM, BPF_MAP_GET_NEXT_KEY,
	BPF_LINK_CREATE,     BPF_LINK_DETACH,	  BPF_ITER_CREATE,     BPF_OBJ_GET_INFO_BY_FD,
};

static int allow_calls(scmp_filter_ctx filter)
{
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	return err;
}

static int allow_bpf(scmp_filter_ctx filter)
{
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(bpf_commands) / sizeof(bpf_commands[0]); i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(bpf), 1,
				       SCMP_A0_32(SCMP_CMP_EQ, bpf_commands[i], 0));
	return err;
}

static int allow_memory(scmp_filter_ctx filter)
{
	static const int calls[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(calls) / sizeof(calls[0]); i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 1,
				       SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return err ? err : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mremap), 0);
}

int confine(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err;

	if (!filter)
		return -ENOMEM;
	err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!err)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, OPTIMIZE_TREE);
	if (!err)
		err = seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
	if (!err)
		err = allow_calls(filter);
	if (!err)
		err = allow_bpf(filter);
	if (!err)
		err = allow_memory(filter);
	if (!err) /* libevent asks how much there is to read */
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1_32(SCMP_CMP_EQ, FIONREAD, 0));
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}
