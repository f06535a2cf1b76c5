// SPDX-License-Identifier: GPL-2.0-only
/*
 * See bpfstats.h. Bare bpf(2), so that the benchmark needs no library.
 */
#include "bpfstats.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EMPTY_RUNS 200000

static int bpf(int command, union bpf_attr *attr)
{
	long r = syscall(SYS_bpf, command, attr, sizeof(*attr));

	return r < 0 ? -errno : (int)r;
}

int bpfstats_enable(void)
{
	union bpf_attr attr = {.enable_stats.type = BPF_STATS_RUN_TIME};
	int fd;

	/* Never closed: the kernel measures as long as it is open. */
	fd = bpf(BPF_ENABLE_STATS, &attr);
	return fd < 0 ? fd : 0;
}

/* A socket filter, because its test run goes through the same measure as a tracepoint. */
static int load_empty(void)
{
	static const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insns = (uintptr_t)code,
		.insn_cnt = sizeof(code) / sizeof(code[0]),
		.license = (uintptr_t) "GPL",
	};

	return bpf(BPF_PROG_LOAD, &attr);
}

static int test_run(int program)
{
	static const char frame[64];
	union bpf_attr attr = {
		.test.prog_fd = program,
		.test.data_in = (uintptr_t)frame,
		.test.data_size_in = sizeof(frame),
		.test.repeat = EMPTY_RUNS,
	};

	return bpf(BPF_PROG_TEST_RUN, &attr);
}

int bpfstats_empty(double *ns)
{
	struct bpf_prog_info info = {0};
	union bpf_attr attr = {.info.info = (uintptr_t)&info, .info.info_len = sizeof(info)};
	int program, r;

	program = load_empty();
	if (program < 0)
		return program;
	r = test_run(program);
	attr.info.bpf_fd = program;
	if (!r)
		r = bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
	close(program);
	if (r)
		return r;
	if (!info.run_cnt)
		return -ENODATA;
	*ns = (double)info.run_time_ns / info.run_cnt;
	return 0;
}
