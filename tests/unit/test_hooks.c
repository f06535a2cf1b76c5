// SPDX-License-Identifier: GPL-2.0-only
/* What is said of hooks, held against the running kernel; those on functions take root. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/btf.h>

#include "cmocka_all.h"
#include "collector/hooks.h"

static struct btf *btf;

static int load(void **state)
{
	(void)state;
	btf = btf__load_vmlinux_btf();
	return btf ? 0 : -1;
}

static int unload(void **state)
{
	(void)state;
	btf__free(btf);
	return 0;
}

static void expect(const char *section, const char *refusal)
{
	const char *said = hooks_refusal(btf, section);

	if (!refusal)
		assert_null(said);
	else if (!said || !strstr(said, refusal))
		fail_msg("%s: \"%s\", not \"%s\"", section, said ? said : "usable", refusal);
}

static void test_what_is_there(void **state)
{
	(void)state;
	expect("tp_btf/kfree_skb", NULL);
	expect("iter/tcp", NULL);
}

static void test_what_is_not(void **state)
{
	(void)state;
	expect("tp_btf/no_such", "no such tracepoint");
	expect("tp_btf/kfree_sk", "no such tracepoint");
	expect("iter/no_such", "no such iterator");
	expect("fentry/no_such", "no such function");
	expect("fexit/no_such", "no such function");
}

/* Without privilege a function is there and refused, never thought usable. */
static void test_function_is_tried(void **state)
{
	const char *said = hooks_refusal(btf, "fentry/tcp_v4_rcv");

	(void)state;
	if (geteuid() && !said)
		fail_msg("usable without privilege");
	if (said)
		assert_non_null(strstr(said, "refuses"));
}

static void test_hidden(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	setenv("NETWATCH_HIDE_HOOKS", "tp_btf/kfree_skb,iter/tcp", 1);
	expect("tp_btf/kfree_skb", "hidden");
	expect("iter/tcp", "hidden");
	expect("tp_btf/consume_skb", NULL);
	unsetenv("NETWATCH_HIDE_HOOKS");
	expect("tp_btf/kfree_skb", NULL);
}

static void test_cgroup(void **state)
{
	int fd = hooks_open_cgroup();

	(void)state;
	if (fd < 0) {
		expect("cgroup_skb/ingress", "cgroup v2");
		return;
	}
	/* every cgroup v2 directory has it, and no other */
	assert_int_equal(faccessat(fd, "cgroup.controllers", R_OK, 0), 0);
	close(fd);
	expect("cgroup_skb/ingress", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_there),
		cmocka_unit_test(test_what_is_not),
		cmocka_unit_test(test_function_is_tried),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_cgroup),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
