/* SPDX-License-Identifier: GPL-2.0-only */
/* What a peer may see, by the kernel's word on who it is. */
#ifndef NETWATCH_SCOPE_H
#define NETWATCH_SCOPE_H

#include <stdint.h>
#include <sys/types.h>

#include "netwatch.pb-c.h"

#define SCOPE_NO_GROUP	 ((gid_t)-1) /* of a group that does not exist: grants nothing */
#define SCOPE_GROUPS_MAX 65536	     /* NGROUPS_MAX of Linux */

/* The rules of this collector. */
struct scope_policy {
	gid_t group;	  /* sees all users' sockets */
	gid_t http_group; /* and all HTTP */
	uid_t unmapped;	  /* stands for uids of other user namespaces: sees nothing */
};

struct scope_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;	     /* for messages only: it may be another process's by now */
	const gid_t *groups; /* supplementary */
	size_t n_groups;
};

Netwatch__Scope scope_of(const struct scope_policy *policy, const struct scope_peer *peer);

/*
 * Who is at the other end of a UNIX socket, at the time when it connected (SO_PEERCRED,
 * SO_PEERGROUPS). The caller frees *groups, which peer->groups points to. 0 or -errno.
 */
int scope_peer_of(int fd, struct scope_peer *peer, gid_t **groups);

/* /proc/sys/kernel/overflowuid, or its default when that cannot be read. */
uid_t scope_unmapped_uid(void);

/* The group's number, SCOPE_NO_GROUP when there is none of that name. */
gid_t scope_group(const char *name);

#endif
