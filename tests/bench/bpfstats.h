/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's own measure of BPF programs: run time and count of each program, to be read
 * from /proc/PID/fdinfo of whoever holds it. Needs CAP_BPF and CAP_SYS_ADMIN.
 */
#ifndef NETWATCH_BENCH_BPFSTATS_H
#define NETWATCH_BENCH_BPFSTATS_H

/* Switches the measure on, until this process ends. 0 or -errno. */
int bpfstats_enable(void);

/*
 * What the measure charges a program that does nothing, in nanoseconds per run, into *ns:
 * to be subtracted from other programs' figures. 0 or -errno.
 */
int bpfstats_empty(double *ns);

#endif
