/* SPDX-License-Identifier: GPL-2.0-only */
/* From root to an ordinary user with one capability, once, for good. */
#ifndef NETWATCH_PRIVILEGE_H
#define NETWATCH_PRIVILEGE_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Becomes uid and gid without other groups (when started as root; otherwise it stays who it
 * is), keeps only CAP_NET_ADMIN permitted, and that not effective; no_new_privs; not
 * dumpable. 0 or -errno; on failure the program must end: it may be half-dropped.
 */
int privilege_drop(uid_t uid, gid_t gid);

/*
 * Makes CAP_NET_ADMIN effective, for the moment in which it is needed, or not any more; without
 * it permitted, nothing happens. 0 or -errno.
 */
int privilege_raise(bool on);

#endif
