// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "scope.h"

#define OVERFLOW_UID 65534 /* DEFAULT_OVERFLOWUID of the kernel */

static bool in_group(const struct scope_peer *peer, gid_t group)
{
	if (group == SCOPE_NO_GROUP)
		return false;
	if (peer->gid == group)
		return true;
	for (size_t i = 0; i < peer->n_groups; i++) {
		if (peer->groups[i] == group)
			return true;
	}
	return false;
}

Netwatch__Scope scope_of(const struct scope_policy *policy, const struct scope_peer *peer)
{
	if (peer->uid == policy->unmapped)
		return NETWATCH__SCOPE__NOTHING;
	if (!peer->uid || in_group(peer, policy->http_group))
		return NETWATCH__SCOPE__ALL_WITH_HTTP;
	if (in_group(peer, policy->group))
		return NETWATCH__SCOPE__ALL;
	return NETWATCH__SCOPE__OWN;
}

int scope_peer_of(int fd, struct scope_peer *peer, gid_t **groups)
{
	socklen_t size = 32 * sizeof(gid_t);
	struct ucred cred;
	socklen_t cred_size = sizeof(cred);
	gid_t *list = NULL, *more;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_size))
		return -errno;
	do {
		more = realloc(list, size);
		if (!more) {
			free(list);
			return -ENOMEM;
		}
		list = more;
		if (!getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, list, &size))
			break;
		if (errno != ERANGE || size > SCOPE_GROUPS_MAX * sizeof(gid_t)) {
			int err = -errno;

			free(list);
			return err;
		}
	} while (1);
	*peer = (struct scope_peer){.uid = cred.uid,
				    .gid = cred.gid,
				    .pid = cred.pid,
				    .groups = list,
				    .n_groups = size / sizeof(gid_t)};
	*groups = list;
	return 0;
}

uid_t scope_unmapped_uid(void)
{
	FILE *file = fopen("/proc/sys/kernel/overflowuid", "re");
	unsigned uid = OVERFLOW_UID;

	if (file) {
		if (fscanf(file, "%u", &uid) != 1)
			uid = OVERFLOW_UID;
		fclose(file);
	}
	return uid;
}

gid_t scope_group(const char *name)
{
	const struct group *group = getgrnam(name);

	return group ? group->gr_gid : SCOPE_NO_GROUP;
}
