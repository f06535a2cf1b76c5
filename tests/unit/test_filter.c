// SPDX-License-Identifier: GPL-2.0-only
/* What a filter means: one case by hand for each dimension, and for its NOT. */
#include <errno.h>

#include "cmocka_all.h"
#include "filter_build.h"

/* A client's connection, 10.0.0.1:44444 to 192.168.1.2:80. */
static struct nw_row row;

static int reset(void **state)
{
	struct nw_connection *c = &row.connection;

	(void)state;
	memset(&row, 0, sizeof(row));
	c->family = 4;
	inet_pton(AF_INET, "10.0.0.1", c->laddr);
	inet_pton(AF_INET, "192.168.1.2", c->raddr);
	c->lport = 44444;
	c->rport = 80;
	c->uid = 1000;
	c->pid = 77;
	strcpy(c->comm, "curl");
	c->owner = NW_OWNER_USED_SOCKET;
	c->role = NW_ROLE_CLIENT;
	c->netns = 4026531840;
	c->cgroup = row.ancestors[0] = 0x100000300;
	row.ancestors[1] = 200;
	row.ancestors[2] = 1;
	return 0;
}

static bool judge(const struct build *b)
{
	struct filter_error error;
	struct filter filter;

	assert_int_equal(build_parse(b, &filter, &error), 0);
	filter.scope = NETWATCH__SCOPE__ALL;
	return filter_accepts(&filter, &row);
}

/* Does the filter that the statements build accept the row? f is the message. */
#define JUDGE(...)                               \
	({                                       \
		struct build b;                  \
		Netwatch__Filter *f = &b.filter; \
                                                 \
		build_init(&b);                  \
		__VA_ARGS__;                     \
		(void)f;                         \
		judge(&b);                       \
	})

#define ACCEPTS(...) assert_true(JUDGE(__VA_ARGS__))
#define REFUSES(...) assert_false(JUDGE(__VA_ARGS__))

static void test_everything(void **state)
{
	(void)state;
	ACCEPTS();
	row.connection.family = 6;
	row.connection.role = NW_ROLE_UNKNOWN;
	row.connection.owner = NW_OWNER_UNKNOWN;
	memset(row.ancestors, 0, sizeof(row.ancestors));
	ACCEPTS();
}

static void test_local_port(void **state)
{
	(void)state;
	ACCEPTS(build_range(&b, &f->lport, ANY, 44444, 44444));
	ACCEPTS(build_range(&b, &f->lport, ANY, 44000, 44444));
	ACCEPTS(build_range(&b, &f->lport, ANY, 44444, 45000));
	ACCEPTS(build_range(&b, &f->lport, ANY, 1, 2),
		build_range(&b, &f->lport, ANY, 44444, 44444));
	REFUSES(build_range(&b, &f->lport, ANY, 80, 80));
	REFUSES(build_range(&b, &f->lport, ANY, 44445, 65535));
	REFUSES(build_range(&b, &f->lport, ANY, 1, 44443));
	REFUSES(build_range(&b, &f->lport, NONE, 44444, 44444));
	ACCEPTS(build_range(&b, &f->lport, NONE, 80, 80));
	REFUSES(build_range(&b, &f->lport, ANY, 1, 65535),
		build_range(&b, &f->lport, NONE, 44444, 44444));
}

static void test_remote_port(void **state)
{
	(void)state;
	ACCEPTS(build_range(&b, &f->rport, ANY, 80, 80));
	REFUSES(build_range(&b, &f->rport, ANY, 44444, 44444));
	REFUSES(build_range(&b, &f->rport, NONE, 80, 80));
	ACCEPTS(build_range(&b, &f->rport, NONE, 44444, 44444));
	row.connection.rport = 0; /* listening */
	REFUSES(build_range(&b, &f->rport, ANY, 1, 65535));
	ACCEPTS(build_range(&b, &f->rport, NONE, 1, 65535));
}

static void test_either_port(void **state)
{
	(void)state;
	ACCEPTS(build_range(&b, &f->port, ANY, 80, 80));
	ACCEPTS(build_range(&b, &f->port, ANY, 44444, 44444));
	REFUSES(build_range(&b, &f->port, ANY, 443, 443));
	REFUSES(build_range(&b, &f->port, NONE, 80, 80));
	REFUSES(build_range(&b, &f->port, NONE, 44444, 44444));
	ACCEPTS(build_range(&b, &f->port, NONE, 443, 443));
	REFUSES(build_range(&b, &f->port, ANY, 80, 80),
		build_range(&b, &f->port, NONE, 44444, 44444));
}

static void test_local_address(void **state)
{
	(void)state;
	ACCEPTS(build_prefix(&b, &f->laddr, ANY, "10.0.0.1"));
	ACCEPTS(build_prefix(&b, &f->laddr, ANY, "10.0.0.0/8"));
	ACCEPTS(build_prefix(&b, &f->laddr, ANY, "10.0.0.0/31"));
	ACCEPTS(build_prefix(&b, &f->laddr, ANY, "0.0.0.0/0"));
	ACCEPTS(build_prefix(&b, &f->laddr, ANY, "::ffff:10.0.0.1"));
	ACCEPTS(build_prefix(&b, &f->laddr, ANY, "1.2.3.4"),
		build_prefix(&b, &f->laddr, ANY, "10.0.0.1"));
	REFUSES(build_prefix(&b, &f->laddr, ANY, "10.0.0.2/31"));
	REFUSES(build_prefix(&b, &f->laddr, ANY, "11.0.0.0/8"));
	REFUSES(build_prefix(&b, &f->laddr, ANY, "192.168.1.2"));
	REFUSES(build_prefix(&b, &f->laddr, ANY, "::/0"));
	REFUSES(build_prefix(&b, &f->laddr, ANY, "a00:1::"));
	REFUSES(build_prefix(&b, &f->laddr, NONE, "10.0.0.0/24"));
	ACCEPTS(build_prefix(&b, &f->laddr, NONE, "192.168.1.2"));
	REFUSES(build_prefix(&b, &f->laddr, ANY, "10.0.0.0/8"),
		build_prefix(&b, &f->laddr, NONE, "10.0.0.1"));
}

static void test_remote_address(void **state)
{
	(void)state;
	ACCEPTS(build_prefix(&b, &f->raddr, ANY, "192.168.0.0/16"));
	REFUSES(build_prefix(&b, &f->raddr, ANY, "10.0.0.1"));
	REFUSES(build_prefix(&b, &f->raddr, NONE, "192.168.1.2"));
	ACCEPTS(build_prefix(&b, &f->raddr, NONE, "10.0.0.1"));
}

static void test_either_address(void **state)
{
	(void)state;
	ACCEPTS(build_prefix(&b, &f->addr, ANY, "192.168.1.2"));
	ACCEPTS(build_prefix(&b, &f->addr, ANY, "10.0.0.1"));
	REFUSES(build_prefix(&b, &f->addr, ANY, "127.0.0.1"));
	REFUSES(build_prefix(&b, &f->addr, NONE, "192.168.1.2"));
	REFUSES(build_prefix(&b, &f->addr, NONE, "10.0.0.1"));
	ACCEPTS(build_prefix(&b, &f->addr, NONE, "127.0.0.0/8"));
	REFUSES(build_prefix(&b, &f->addr, ANY, "10.0.0.1"),
		build_prefix(&b, &f->addr, NONE, "192.168.1.2"));
}

static void test_addresses_of_ipv6(void **state)
{
	(void)state;
	row.connection.family = 6;
	inet_pton(AF_INET6, "2001:db8::1", row.connection.laddr);
	inet_pton(AF_INET6, "fe80::2", row.connection.raddr);
	ACCEPTS(build_prefix(&b, &f->laddr, ANY, "2001:db8::/32"));
	ACCEPTS(build_prefix(&b, &f->laddr, ANY, "2001:db8::1"));
	ACCEPTS(build_prefix(&b, &f->laddr, ANY, "::/0"));
	ACCEPTS(build_prefix(&b, &f->addr, ANY, "fe80::/10"));
	REFUSES(build_prefix(&b, &f->laddr, ANY, "2001:db8::/127"),
		build_prefix(&b, &f->laddr, NONE, "2001:db8::1"));
	REFUSES(build_prefix(&b, &f->laddr, ANY, "2001:db8::2"));
	REFUSES(build_prefix(&b, &f->laddr, ANY, "0.0.0.0/0"));
	ACCEPTS(build_prefix(&b, &f->laddr, NONE, "0.0.0.0/0"));
}

static void test_family(void **state)
{
	(void)state;
	ACCEPTS(build_family(&b, 4));
	REFUSES(build_family(&b, 6));
	ACCEPTS(build_family(&b, 6), build_family(&b, 4));
	row.connection.family = 6;
	ACCEPTS(build_family(&b, 6));
	REFUSES(build_family(&b, 4));
}

static void test_role(void **state)
{
	(void)state;
	ACCEPTS(build_role(&b, NETWATCH__ROLE__CLIENT));
	REFUSES(build_role(&b, NETWATCH__ROLE__SERVER));
	ACCEPTS(build_role(&b, NETWATCH__ROLE__CLIENT), build_role(&b, NETWATCH__ROLE__SERVER));
	row.connection.role = NW_ROLE_UNKNOWN;
	REFUSES(build_role(&b, NETWATCH__ROLE__CLIENT), build_role(&b, NETWATCH__ROLE__SERVER));
}

static void test_uid(void **state)
{
	(void)state;
	ACCEPTS(build_number(&b, &f->uid, ANY, 0), build_number(&b, &f->uid, ANY, 1000));
	REFUSES(build_number(&b, &f->uid, ANY, 0));
	REFUSES(build_number(&b, &f->uid, NONE, 1000));
	ACCEPTS(build_number(&b, &f->uid, NONE, 0));
}

static void test_pid(void **state)
{
	(void)state;
	ACCEPTS(build_number(&b, &f->pid, ANY, 77));
	REFUSES(build_number(&b, &f->pid, ANY, 78));
	REFUSES(build_number(&b, &f->pid, NONE, 77));
	ACCEPTS(build_number(&b, &f->pid, NONE, 78));
}

static void test_comm(void **state)
{
	(void)state;
	ACCEPTS(build_name(&b, &f->comm, ANY, "curl"));
	REFUSES(build_name(&b, &f->comm, ANY, "cur"));
	REFUSES(build_name(&b, &f->comm, ANY, "curl2"));
	REFUSES(build_name(&b, &f->comm, ANY, "Curl"));
	REFUSES(build_name(&b, &f->comm, NONE, "curl"));
	ACCEPTS(build_name(&b, &f->comm, NONE, "wget"));
	memcpy(row.connection.comm, "fifteen-bytes-a", NW_COMM_SIZE);
	ACCEPTS(build_name(&b, &f->comm, ANY, "fifteen-bytes-a"));
	ACCEPTS(build_name(&b, &f->comm, ANY, "fifteen-bytes-and-more"));
}

/* Who has it is not known: no filter that asks for it accepts, nor does its NOT. */
static void test_unknown_owner(void **state)
{
	(void)state;
	row.connection.owner = NW_OWNER_UNKNOWN;
	REFUSES(build_number(&b, &f->pid, ANY, 77));
	REFUSES(build_number(&b, &f->pid, NONE, 78));
	REFUSES(build_name(&b, &f->comm, ANY, "curl"));
	REFUSES(build_name(&b, &f->comm, NONE, "wget"));
	ACCEPTS(build_number(&b, &f->uid, ANY, 1000));
}

static void test_netns(void **state)
{
	(void)state;
	ACCEPTS(build_number(&b, &f->netns, ANY, 4026531840));
	REFUSES(build_number(&b, &f->netns, ANY, 4026531841));
	REFUSES(build_number(&b, &f->netns, NONE, 4026531840));
	ACCEPTS(build_number(&b, &f->netns, NONE, 4026531841));
}

static void test_cgroup(void **state)
{
	(void)state;
	ACCEPTS(build_number(&b, &f->cgroup, ANY, 0x100000300));
	ACCEPTS(build_number(&b, &f->cgroup, ANY, 200)); /* a descendant of it */
	ACCEPTS(build_number(&b, &f->cgroup, ANY, 1));
	REFUSES(build_number(&b, &f->cgroup, ANY, 0x300));
	REFUSES(build_number(&b, &f->cgroup, NONE, 0x100000300));
	REFUSES(build_number(&b, &f->cgroup, NONE, 200));
	ACCEPTS(build_number(&b, &f->cgroup, NONE, 201));
	REFUSES(build_number(&b, &f->cgroup, ANY, 200),
		build_number(&b, &f->cgroup, NONE, 0x100000300));
	ACCEPTS(build_number(&b, &f->cgroup, ANY, 200), build_number(&b, &f->cgroup, NONE, 201));
	memset(row.ancestors, 0, sizeof(row.ancestors));
	REFUSES(build_number(&b, &f->cgroup, ANY, 1));
	ACCEPTS(build_number(&b, &f->cgroup, NONE, 1));
}

static void test_and(void **state)
{
	(void)state;
	ACCEPTS(build_range(&b, &f->rport, ANY, 80, 80), build_family(&b, 4),
		build_prefix(&b, &f->addr, ANY, "10.0.0.0/8"), build_number(&b, &f->pid, ANY, 77));
	REFUSES(build_range(&b, &f->rport, ANY, 80, 80), build_number(&b, &f->pid, ANY, 78));
	REFUSES(build_range(&b, &f->rport, ANY, 81, 81), build_number(&b, &f->pid, ANY, 77));
	REFUSES(build_range(&b, &f->lport, ANY, 44444, 44444),
		build_range(&b, &f->rport, ANY, 443, 443));
}

static void test_scope(void **state)
{
	struct filter_error error;
	struct filter filter;

	(void)state;
	assert_int_equal(filter_parse(&filter, NULL, &error), 0);
	assert_false(filter_accepts(&filter, &row)); /* NOTHING, unless told otherwise */
	filter.scope = NETWATCH__SCOPE__OWN;
	filter.owner = 1001;
	assert_false(filter_accepts(&filter, &row));
	filter.owner = 1000;
	assert_true(filter_accepts(&filter, &row));
	filter.scope = NETWATCH__SCOPE__ALL;
	filter.owner = 0;
	assert_true(filter_accepts(&filter, &row));
	filter.scope = NETWATCH__SCOPE__ALL_WITH_HTTP;
	assert_true(filter_accepts(&filter, &row));
	filter.scope = 4;
	assert_false(filter_accepts(&filter, &row));
}

/* One may name uids that one may see; and rule out any. */
static void test_check_scope(void **state)
{
	static const struct {
		Netwatch__Scope scope;
		uint32_t owner, any[2];
		int result;
	} cases[] = {
		{NETWATCH__SCOPE__OWN, 1000, {1000, 1000}, 0},
		{NETWATCH__SCOPE__OWN, 1001, {1000, 1000}, -EPERM},
		{NETWATCH__SCOPE__OWN, 1001, {1001, 1000}, -EPERM},
		{NETWATCH__SCOPE__NOTHING, 1000, {1000, 1000}, -EPERM},
		{NETWATCH__SCOPE__ALL, 0, {1000, 0}, 0},
		{NETWATCH__SCOPE__ALL_WITH_HTTP, 0, {1000, 0}, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter_error error = {.message = ""};
		struct filter filter;
		struct build b;

		build_init(&b);
		build_number(&b, &b.filter.uid, NONE, 4711);
		assert_int_equal(build_parse(&b, &filter, &error), 0);
		filter.scope = cases[i].scope;
		filter.owner = cases[i].owner;
		assert_int_equal(filter_check_scope(&filter, &error), 0);
		for (int k = 0; k < 2; k++)
			build_number(&b, &b.filter.uid, ANY, cases[i].any[k]);
		assert_int_equal(build_parse(&b, &filter, &error), 0);
		filter.scope = cases[i].scope;
		filter.owner = cases[i].owner;
		assert_int_equal(filter_check_scope(&filter, &error), cases[i].result);
		if (!cases[i].result)
			continue;
		assert_int_equal(error.code, NETWATCH__ERROR__CODE__PERMISSION);
		assert_non_null(strstr(error.message, "uid 1000"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_everything, reset),
		cmocka_unit_test_setup(test_local_port, reset),
		cmocka_unit_test_setup(test_remote_port, reset),
		cmocka_unit_test_setup(test_either_port, reset),
		cmocka_unit_test_setup(test_local_address, reset),
		cmocka_unit_test_setup(test_remote_address, reset),
		cmocka_unit_test_setup(test_either_address, reset),
		cmocka_unit_test_setup(test_addresses_of_ipv6, reset),
		cmocka_unit_test_setup(test_family, reset),
		cmocka_unit_test_setup(test_role, reset),
		cmocka_unit_test_setup(test_uid, reset),
		cmocka_unit_test_setup(test_pid, reset),
		cmocka_unit_test_setup(test_comm, reset),
		cmocka_unit_test_setup(test_unknown_owner, reset),
		cmocka_unit_test_setup(test_netns, reset),
		cmocka_unit_test_setup(test_cgroup, reset),
		cmocka_unit_test_setup(test_and, reset),
		cmocka_unit_test_setup(test_scope, reset),
		cmocka_unit_test(test_check_scope),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
