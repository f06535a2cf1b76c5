// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <grp.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "privilege.h"

/* cgroup_skb and netfilter programs are attached on demand, and that needs this one. */
static const cap_value_t kept = CAP_NET_ADMIN;

static int become(uid_t uid, gid_t gid)
{
	if (prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) || setresgid(gid, gid, gid) ||
	    setresuid(uid, uid, uid) || prctl(PR_SET_KEEPCAPS, 0))
		return -errno;
	return 0;
}

/* Nothing can be had back by a later execve. Needs CAP_SETPCAP, so before the others go. */
static int empty_bounding_set(void)
{
	for (cap_value_t cap = 0; cap <= cap_max_bits() - 1; cap++) {
		if (cap != kept && cap_get_bound(cap) > 0 && cap_drop_bound(cap))
			return -errno;
	}
	return 0;
}

static int keep_one(void)
{
	cap_t caps = cap_init(), had = cap_get_proc();
	cap_flag_value_t permitted = CAP_CLEAR;
	int err = 0;

	if (!caps || !had || cap_get_flag(had, kept, CAP_PERMITTED, &permitted) ||
	    (permitted == CAP_SET && cap_set_flag(caps, CAP_PERMITTED, 1, &kept, CAP_SET)) ||
	    cap_set_proc(caps))
		err = -errno;
	cap_free(caps);
	cap_free(had);
	return err;
}

int privilege_drop(uid_t uid, gid_t gid)
{
	int err = 0;

	if (!geteuid()) {
		err = empty_bounding_set();
		if (!err)
			err = become(uid, gid);
	}
	if (!err)
		err = keep_one();
	if (err)
		return err;
	if (cap_reset_ambient() || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_DUMPABLE, 0))
		return -errno;
	return 0;
}

int privilege_raise(bool on)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t permitted = CAP_CLEAR;
	int err = 0;

	if (!caps || cap_get_flag(caps, kept, CAP_PERMITTED, &permitted) ||
	    (permitted == CAP_SET &&
	     (cap_set_flag(caps, CAP_EFFECTIVE, 1, &kept, on ? CAP_SET : CAP_CLEAR) ||
	      cap_set_proc(caps))))
		err = -errno;
	cap_free(caps);
	return err;
}
