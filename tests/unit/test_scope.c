// SPDX-License-Identifier: GPL-2.0-only
/* Who sees what: the table of the contract, and the kernel's word on a peer. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "collector/scope.h"

#define NOTHING	      NETWATCH__SCOPE__NOTHING
#define OWN	      NETWATCH__SCOPE__OWN
#define ALL	      NETWATCH__SCOPE__ALL
#define ALL_WITH_HTTP NETWATCH__SCOPE__ALL_WITH_HTTP

enum { GROUP = 500, HTTP_GROUP = 501, OTHER = 502, UNMAPPED = 65534 };

#define N_GROUPS 4

static const struct {
	const char *what;
	uid_t uid;
	gid_t gid;
	gid_t groups[N_GROUPS]; /* 0 ends */
	Netwatch__Scope scope;
	Netwatch__Scope without; /* when neither group exists */
} cases[] = {
	{"any user", 1000, OTHER, {0}, OWN, OWN},
	{"other groups", 1000, OTHER, {OTHER, GROUP - 1, HTTP_GROUP + 1}, OWN, OWN},
	{"primary group", 1000, GROUP, {0}, ALL, OWN},
	{"supplementary group", 1000, OTHER, {OTHER, GROUP}, ALL, OWN},
	{"primary http-group", 1000, HTTP_GROUP, {0}, ALL_WITH_HTTP, OWN},
	{"supplementary http-group", 1000, OTHER, {OTHER, 7, HTTP_GROUP}, ALL_WITH_HTTP, OWN},
	{"both groups", 1000, GROUP, {GROUP, HTTP_GROUP}, ALL_WITH_HTTP, OWN},
	{"root", 0, 0, {0}, ALL_WITH_HTTP, ALL_WITH_HTTP},
	{"root in a group", 0, OTHER, {GROUP}, ALL_WITH_HTTP, ALL_WITH_HTTP},
	{"root's group only", 1000, 0, {0}, OWN, OWN},
	{"unmapped", UNMAPPED, OTHER, {0}, NOTHING, NOTHING},
	{"unmapped in a group", UNMAPPED, GROUP, {GROUP, HTTP_GROUP}, NOTHING, NOTHING},
	{"group -1", 1000, (gid_t)-1, {(gid_t)-1}, OWN, OWN},
};

static void test_policy(void **state)
{
	static const struct scope_policy both = {.group = GROUP,
						 .http_group = HTTP_GROUP,
						 .unmapped = UNMAPPED};
	static const struct scope_policy neither = {.group = SCOPE_NO_GROUP,
						    .http_group = SCOPE_NO_GROUP,
						    .unmapped = UNMAPPED};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scope_peer peer = {.uid = cases[i].uid,
					  .gid = cases[i].gid,
					  .groups = cases[i].groups};

		while (peer.n_groups < N_GROUPS && cases[i].groups[peer.n_groups])
			peer.n_groups++;
		if (scope_of(&both, &peer) != cases[i].scope ||
		    scope_of(&neither, &peer) != cases[i].without)
			fail_msg("%s", cases[i].what);
		peer.pid = getpid(); /* changes nothing */
		assert_int_equal(scope_of(&both, &peer), cases[i].scope);
	}
}

static void test_another_unmapped_uid(void **state)
{
	static const struct scope_policy policy = {.group = SCOPE_NO_GROUP,
						   .http_group = SCOPE_NO_GROUP,
						   .unmapped = 4711};
	struct scope_peer peer = {.uid = 4711, .gid = 1};

	(void)state;
	assert_int_equal(scope_of(&policy, &peer), NOTHING);
	peer.uid = UNMAPPED;
	assert_int_equal(scope_of(&policy, &peer), OWN);
}

static void check_peer(int fd, uid_t uid, gid_t gid, const gid_t *groups, size_t n)
{
	struct scope_peer peer;
	gid_t *list = NULL;

	assert_int_equal(scope_peer_of(fd, &peer, &list), 0);
	assert_int_equal(peer.uid, uid);
	assert_int_equal(peer.gid, gid);
	assert_int_equal(peer.pid, getpid());
	assert_int_equal(peer.n_groups, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(peer.groups[i], groups[i]);
	assert_ptr_equal(peer.groups, list);
	free(list);
}

static void test_peer_of_socketpair(void **state)
{
	gid_t *groups;
	int fds[2], n = getgroups(0, NULL);

	(void)state;
	assert_true(n >= 0);
	groups = calloc((size_t)n + 1, sizeof(*groups));
	assert_non_null(groups);
	assert_int_equal(getgroups(n, groups), n);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	check_peer(fds[0], geteuid(), getegid(), groups, (size_t)n);
	check_peer(fds[1], geteuid(), getegid(), groups, (size_t)n);
	close(fds[0]);
	close(fds[1]);
	free(groups);
}

/* As another user with n groups; the groups at the time of connecting count. */
static void check_as(uid_t uid, gid_t gid, size_t n)
{
	static gid_t groups[1000];
	int fds[2];

	for (size_t i = 0; i < n; i++)
		groups[i] = (gid_t)(2000 + i);
	assert_int_equal(setgroups(n, groups), 0);
	assert_int_equal(setegid(gid), 0);
	assert_int_equal(seteuid(uid), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(setegid(0), 0);
	assert_int_equal(setgroups(0, NULL), 0);
	check_peer(fds[0], uid, gid, groups, n);
	close(fds[0]);
	close(fds[1]);
}

static void test_peer_with_many_groups(void **state)
{
	static const size_t numbers[] = {0, 1, 31, 32, 33, 64, 1000};
	gid_t groups[1024];
	int n = getgroups(1024, groups);

	(void)state;
	if (geteuid() || n < 0)
		skip();
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		check_as(1000, 1001, numbers[i]);
	assert_int_equal(setgroups((size_t)n, groups), 0);
}

static void test_no_peer(void **state)
{
	struct scope_peer peer = {.uid = 4711};
	gid_t *groups = NULL;
	int fd = open("/dev/null", 0), tcp = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(scope_peer_of(-1, &peer, &groups), -EBADF);
	assert_int_equal(scope_peer_of(fd, &peer, &groups), -ENOTSOCK);
	assert_true(scope_peer_of(tcp, &peer, &groups) < 0);
	assert_int_equal(peer.uid, 4711);
	assert_null(groups);
	close(fd);
	close(tcp);
}

static void test_names(void **state)
{
	struct group *group = getgrgid(0);

	(void)state;
	assert_non_null(group);
	assert_int_equal(scope_group(group->gr_name), 0);
	assert_int_equal(scope_group("no-such-group-anywhere"), SCOPE_NO_GROUP);
	assert_int_equal(scope_group(""), SCOPE_NO_GROUP);
	assert_true(scope_unmapped_uid() != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_another_unmapped_uid),
		cmocka_unit_test(test_peer_of_socketpair),
		cmocka_unit_test(test_peer_with_many_groups),
		cmocka_unit_test(test_no_peer),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
