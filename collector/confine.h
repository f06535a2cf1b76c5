/* SPDX-License-Identifier: GPL-2.0-only */
/* The system calls that are left to a collector that serves: a seccomp filter. */
#ifndef NETWATCH_CONFINE_H
#define NETWATCH_CONFINE_H

/*
 * From now on, in all threads and for good, only what serving takes: reading and writing what is
 * open, accepting clients, memory that is not executable, and of bpf(2) what works on programs
 * and maps that are held: no loading, no new map. No open, no socket, no ioctl but FIONREAD, no
 * process. Everything else fails with EPERM. Needs no_new_privs. 0 or -errno; then nothing has
 * changed.
 */
int confine(void);

#endif
