// SPDX-License-Identifier: GPL-2.0-only
/* netwatch.Filter from clients: limits, values that make no sense, unknown fields, equality. */
#include <errno.h>
#include <stdio.h>

#include "cmocka_all.h"
#include "filter_build.h"
#include "rng.h"

#define INVALID NETWATCH__ERROR__CODE__INVALID
#define LIMIT	NETWATCH__ERROR__CODE__LIMIT

static struct build b;
static Netwatch__Filter *const f = &b.filter;

static int reset(void **state)
{
	(void)state;
	build_init(&b);
	return 0;
}

static struct filter parsed(void)
{
	struct filter_error error = {.message = ""};
	struct filter filter;

	if (build_parse(&b, &filter, &error))
		fail_msg("refused: %s", error.message);
	build_init(&b);
	return filter;
}

/* The message must name the thing. */
static void check_refused(Netwatch__Error__Code code, const char *name)
{
	struct filter_error error = {.message = ""};
	struct filter filter;

	assert_int_equal(build_parse(&b, &filter, &error), -EINVAL);
	assert_int_equal(error.code, code);
	if (strncmp(error.message, name, strlen(name)))
		fail_msg("\"%s\" does not begin with \"%s\"", error.message, name);
	build_init(&b);
}

static Netwatch__PortSet **port_set(int end)
{
	return end == FILTER_LOCAL ? &f->lport : end == FILTER_REMOTE ? &f->rport : &f->port;
}

static Netwatch__PrefixSet **prefix_set(int end)
{
	return end == FILTER_LOCAL ? &f->laddr : end == FILTER_REMOTE ? &f->raddr : &f->addr;
}

static const char *const port_names[] = {"lport: ", "rport: ", "port: "};
static const char *const address_names[] = {"laddr: ", "raddr: ", "addr: "};

static void add_value(enum nw_dimension dimension, enum build_list list, uint32_t value)
{
	Netwatch__NumberSet **sets[] = {
		[NW_UID] = &f->uid, [NW_PID] = &f->pid, [NW_NETNS] = &f->netns};
	char name[16];

	snprintf(name, sizeof(name), "n%u", value);
	if (dimension == NW_COMM)
		build_name(&b, &f->comm, list, name);
	else if (dimension == NW_CGROUP)
		build_number(&b, &f->cgroup, list, value);
	else
		build_number(&b, sets[dimension], list, value);
}

static void test_everything(void **state)
{
	struct filter expected, filter;
	struct filter_error error;

	(void)state;
	memset(&expected, 0, sizeof(expected));
	expected.families = 3;
	expected.roles = 7;
	memset(&filter, 0xff, sizeof(filter));
	assert_int_equal(filter_parse(&filter, NULL, &error), 0);
	assert_memory_equal(&filter, &expected, sizeof(filter));
	memset(&filter, 0xff, sizeof(filter));
	assert_int_equal(build_parse(&b, &filter, &error), 0);
	assert_memory_equal(&filter, &expected, sizeof(filter));
}

static void test_limit_of_ports(void **state)
{
	struct filter filter;

	(void)state;
	for (int end = 0; end < FILTER_ENDS; end++) {
		for (uint32_t i = 1; i <= FILTER_PORTS_MAX; i++)
			build_range(&b, port_set(end), i % 2 ? ANY : NONE, i, i + 1);
		filter = parsed();
		assert_int_equal(filter.ports[end].any, 32);
		assert_int_equal(filter.ports[end].none, 32);
		for (uint32_t i = 1; i <= FILTER_PORTS_MAX + 1; i++)
			build_range(&b, port_set(end), ANY, i, i);
		check_refused(LIMIT, port_names[end]);
	}
	/* of the whole filter, not of each option */
	for (uint32_t i = 1; i <= FILTER_PORTS_MAX; i++)
		build_range(&b, port_set((int)i % 3), ANY, i, i);
	parsed();
	for (uint32_t i = 1; i <= FILTER_PORTS_MAX + 1; i++)
		build_range(&b, port_set((int)i % 3), i % 2 ? ANY : NONE, i, i);
	check_refused(LIMIT, "port: ");
}

static void test_limit_of_prefixes(void **state)
{
	(void)state;
	for (int end = 0; end < FILTER_ENDS; end++) {
		for (int i = 0; i < FILTER_PREFIXES_MAX; i++)
			build_prefix(&b, prefix_set(end), i % 2 ? ANY : NONE, "10.0.0.0/8");
		parsed();
		for (int i = 0; i < FILTER_PREFIXES_MAX + 1; i++)
			build_prefix(&b, prefix_set(end), i % 2 ? ANY : NONE, "::1");
		check_refused(LIMIT, address_names[end]);
	}
	for (int i = 0; i < FILTER_PREFIXES_MAX + 1; i++)
		build_prefix(&b, prefix_set(i % 3), ANY, "10.0.0.0/8");
	check_refused(LIMIT, "addr: ");
}

static void test_limit_of_values(void **state)
{
	struct filter filter;

	(void)state;
	for (int d = 0; d < NW_DIMENSIONS; d++) {
		for (uint32_t i = 0; i < FILTER_VALUES_MAX; i++)
			add_value(d, i % 4 ? ANY : NONE, i);
		filter = parsed();
		assert_int_equal(filter.values[d].any, 48);
		assert_int_equal(filter.values[d].none, 16);
		for (uint32_t i = 0; i < FILTER_VALUES_MAX + 1; i++)
			add_value(d, i % 4 ? ANY : NONE, i);
		check_refused(LIMIT, filter_dimension_names[d]);
	}
}

static void test_names(void **state)
{
	char name[FILTER_STRING_MAX + 2];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[FILTER_STRING_MAX] = '\0';
	build_name(&b, &f->comm, ANY, name);
	assert_memory_equal(parsed().values[NW_COMM].item[0], "nnnnnnnnnnnnnnn", NW_COMM_SIZE);
	name[FILTER_STRING_MAX] = 'n';
	name[FILTER_STRING_MAX + 1] = '\0';
	build_name(&b, &f->comm, ANY, name);
	check_refused(LIMIT, "comm: ");
	build_name(&b, &f->comm, NONE, "");
	check_refused(INVALID, "comm: ");
}

static void test_ports(void **state)
{
	static const uint32_t bad[][2] = {{0, 0},	   {0, 80},    {80, 70},
					  {65536, 65536},  {1, 65536}, {80, UINT32_MAX},
					  {UINT32_MAX, 80}};
	struct filter filter;

	(void)state;
	for (int end = 0; end < FILTER_ENDS; end++) {
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			build_range(&b, port_set(end), i % 2 ? ANY : NONE, bad[i][0], bad[i][1]);
			check_refused(INVALID, port_names[end]);
		}
		build_range(&b, port_set(end), NONE, 1, 65535);
		build_range(&b, port_set(end), ANY, 80, 4711)->has_last = 0;
		filter = parsed();
		assert_int_equal(filter.ports[end].item[0].first, 80);
		assert_int_equal(filter.ports[end].item[0].last, 80);
		assert_int_equal(filter.ports[end].item[1].first, 1);
		assert_int_equal(filter.ports[end].item[1].last, 65535);
		build_range(&b, port_set(end), ANY, 0, 80)->has_first = 0;
		check_refused(INVALID, port_names[end]);
	}
}

static void check_prefix(const char *text, uint8_t family, const char *address, uint8_t length)
{
	struct filter_prefix want = {.family = family, .length = length};
	struct filter filter;

	build_prefix(&b, &f->laddr, ANY, text);
	filter = parsed();
	inet_pton(family == 4 ? AF_INET : AF_INET6, address, want.address);
	assert_memory_equal(&filter.prefixes[FILTER_LOCAL].item[0], &want, sizeof(want));
}

static void test_prefixes(void **state)
{
	(void)state;
	check_prefix("10.1.2.3", 4, "10.1.2.3", 32);
	check_prefix("10.1.2.3/8", 4, "10.0.0.0", 8); /* host bits do not count */
	check_prefix("255.255.255.255/13", 4, "255.248.0.0", 13);
	check_prefix("1.2.3.4/0", 4, "0.0.0.0", 0);
	check_prefix("2001:db8::1", 6, "2001:db8::1", 128);
	check_prefix("2001:db8:ffff::1/33", 6, "2001:db8:8000::", 33);
	check_prefix("ff::1/0", 6, "::", 0);
	check_prefix("::ffff:10.1.2.3", 4, "10.1.2.3", 32); /* v4-mapped */
	check_prefix("::ffff:10.1.2.3/104", 4, "10.0.0.0", 8);
	check_prefix("::ffff:10.1.2.3/96", 4, "0.0.0.0", 0);
	check_prefix("::ffff:10.1.2.3/95", 6, "::fffe:0:0", 95);
	check_prefix("::fffe:10.1.2.3/128", 6, "::fffe:a01:203", 128);
}

static void test_bad_prefixes(void **state)
{
	static const char *const bad[] = {"1.2.3.4/33", "1.2.3.4/128", "1.2.3.4/288", "::1/129",
					  "::1/-1"};
	uint8_t address[32] = {0};

	(void)state;
	for (int end = 0; end < FILTER_ENDS; end++) {
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			build_prefix(&b, prefix_set(end), i % 2 ? ANY : NONE, bad[i]);
			check_refused(INVALID, address_names[end]);
		}
		for (size_t bytes = 0; bytes <= sizeof(address); bytes++) {
			if (bytes == 4 || bytes == 16)
				continue;
			build_prefix_bytes(&b, prefix_set(end), ANY, address, bytes);
			check_refused(INVALID, address_names[end]);
		}
		build_prefix(&b, prefix_set(end), ANY, "1.2.3.4")->has_address = 0;
		check_refused(INVALID, address_names[end]);
	}
}

static void test_kinds(void **state)
{
	static const int bad_families[] = {0, 2, 5, 10, -1}, bad_roles[] = {0, 3, 64, -1};

	(void)state;
	for (size_t i = 0; i < sizeof(bad_families) / sizeof(bad_families[0]); i++) {
		build_family(&b, 4);
		build_family(&b, bad_families[i]);
		check_refused(INVALID, "family: ");
	}
	for (size_t i = 0; i < sizeof(bad_roles) / sizeof(bad_roles[0]); i++) {
		build_role(&b, NETWATCH__ROLE__CLIENT);
		build_role(&b, bad_roles[i]);
		check_refused(INVALID, "role: ");
	}
	build_role(&b, NETWATCH__ROLE__SERVER);
	build_family(&b, 6);
	assert_int_equal(parsed().roles, 1 << NW_ROLE_SERVER);
}

/* An ignored filter would show too much: refused at every level. */
static void test_unknown_fields(void **state)
{
	(void)state;
	build_unknown(&b, &f->base);
	check_refused(INVALID, "filter: field 99 ");
	for (int end = 0; end < FILTER_ENDS; end++) {
		build_range(&b, port_set(end), ANY, 1, 1);
		build_unknown(&b, &(*port_set(end))->base);
		check_refused(INVALID, "port set: field 99 ");
		build_prefix(&b, prefix_set(end), ANY, "::1");
		build_unknown(&b, &(*prefix_set(end))->base);
		check_refused(INVALID, "prefix set: field 99 ");
		for (int list = ANY; list <= NONE; list++) {
			build_unknown(&b, &build_range(&b, port_set(end), list, 1, 1)->base);
			check_refused(INVALID, "port range: field 99 ");
			build_unknown(&b, &build_prefix(&b, prefix_set(end), list, "::1")->base);
			check_refused(INVALID, "prefix: field 99 ");
		}
	}
	for (int d = 0; d < NW_DIMENSIONS; d++) {
		char name[32];

		add_value(d, NONE, 1);
		build_unknown(&b, d == NW_UID	  ? &f->uid->base
				  : d == NW_PID	  ? &f->pid->base
				  : d == NW_NETNS ? &f->netns->base
				  : d == NW_COMM  ? &f->comm->base
						  : &f->cgroup->base);
		snprintf(name, sizeof(name), "%s: field 99 ", filter_dimension_names[d]);
		check_refused(INVALID, name);
	}
}

/* The same filter in another order, by another spelling. */
static void build_spelling(int spelling)
{
	static const char *const prefixes[][2] = {{"10.1.2.3/8", "2001:db8::1/32"},
						  {"::ffff:10.0.0.0/104", "2001:db8::/32"}};

	for (uint32_t i = 0; i < 10; i++) {
		uint32_t n = spelling ? 9 - i : i;

		for (int end = 0; end < FILTER_ENDS; end++)
			build_range(&b, port_set(end), n % 2, n * 6007 + 1, n * 6007 + 1)
				->has_last = !spelling;
		for (int d = 0; d < NW_DIMENSIONS; d++)
			add_value(d, n % 2, n);
	}
	for (int i = 0; i < 2; i++) {
		for (int end = 0; end < FILTER_ENDS; end++)
			for (int list = ANY; list <= NONE; list++)
				build_prefix(&b, prefix_set(end), list,
					     prefixes[spelling][i ^ spelling]);
		build_role(&b, 1 + (i ^ spelling));
		build_family(&b, 4 + 2 * (i ^ spelling));
	}
}

static void test_equality(void **state)
{
	struct filter one, other;

	(void)state;
	build_spelling(0);
	one = parsed();
	build_spelling(1);
	other = parsed();
	assert_memory_equal(&one, &other, sizeof(one));

	/* a NOT, an end or a dimension makes another filter */
	for (int which = 0; which < 3 * FILTER_ENDS + NW_DIMENSIONS; which++) {
		build_spelling(0);
		if (which < FILTER_ENDS)
			build_range(&b, port_set(which), ANY, 7, 7);
		else if (which < 2 * FILTER_ENDS)
			build_range(&b, port_set(which % FILTER_ENDS), NONE, 7, 7);
		else if (which < 3 * FILTER_ENDS)
			build_prefix(&b, prefix_set(which % FILTER_ENDS), NONE, "::1");
		else
			add_value(which - 3 * FILTER_ENDS, ANY, 100);
		other = parsed();
		assert_memory_not_equal(&one, &other, sizeof(one));
	}
}

/* Whatever bytes come: taken within the limits, or refused with a word; never a crash. */
static void test_broken_bytes(void **state)
{
	struct rng rng = rng_new();
	unsigned taken = 0, refused = 0;
	uint8_t good[4096], bytes[4096];
	size_t size;

	(void)state;
	build_spelling(0);
	size = netwatch__filter__pack(f, good);
	for (int i = 0; i < 50000; i++) {
		struct filter_error error = {.message = ""};
		struct filter filter;
		Netwatch__Filter *message;

		memcpy(bytes, good, size);
		for (uint32_t n = rng_below(&rng, 4); n; n--)
			bytes[rng_below(&rng, (uint32_t)size)] = (uint8_t)rng_next(&rng);
		message = netwatch__filter__unpack(NULL, size, bytes);
		if (!message)
			continue;
		if (filter_parse(&filter, message, &error)) {
			refused++;
			assert_true(error.code == INVALID || error.code == LIMIT);
			assert_true(*error.message);
		} else {
			taken++;
		}
		netwatch__filter__free_unpacked(message, NULL);
	}
	assert_true(taken > 1000 && refused > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_everything, reset),
		cmocka_unit_test_setup(test_limit_of_ports, reset),
		cmocka_unit_test_setup(test_limit_of_prefixes, reset),
		cmocka_unit_test_setup(test_limit_of_values, reset),
		cmocka_unit_test_setup(test_names, reset),
		cmocka_unit_test_setup(test_ports, reset),
		cmocka_unit_test_setup(test_prefixes, reset),
		cmocka_unit_test_setup(test_bad_prefixes, reset),
		cmocka_unit_test_setup(test_kinds, reset),
		cmocka_unit_test_setup(test_unknown_fields, reset),
		cmocka_unit_test_setup(test_equality, reset),
		cmocka_unit_test_setup(test_broken_bytes, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
