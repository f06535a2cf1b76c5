// SPDX-License-Identifier: GPL-2.0-only
// The client's command line: what it accepts, what it refuses, and the Filter that it makes.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/event.h"
#include "client/number.h"
#include "client/options.h"
#include "client/ports.h"
#include "client/prefix.h"

#define ARGS_MAX 32

static const struct command commands[] = {
	{"subscribe", COMMAND_SUBSCRIBE, NULL, "", NULL, true},
	{"list", COMMAND_LIST, NULL, "", NULL, false},
	{"status", COMMAND_STATUS, NULL, "", NULL, false},
	{.name = NULL},
};

/* Splits line at spaces; an empty argument is written as ''. The text lives until the next. */
static int parse(struct options *options, const char *line)
{
	static char text[1024], name[] = "netwatch", empty[] = "";
	char *argv[ARGS_MAX] = {name}, *save;
	int argc = 1;

	strcpy(text, line);
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = strcmp(word, "''") ? word : empty;
	return options_parse(options, argc, argv, commands);
}

static void expect_usage(const char *line)
{
	struct options options;

	if (parse(&options, line) != -EINVAL)
		fail_msg("accepted: %s", line);
	options_deinit(&options);
}

static void accepts(struct options *options, const char *line)
{
	if (parse(options, line))
		fail_msg("refused: %s", line);
}

static void ports(void **state)
{
	static const char *const bad[] = {
		"",    "0",   "65536", "80-70", "http", "8 0",	 "-1",
		"80-", "-80", "+80",   "0x50",	"80x",	"1-2-3", "99999999999999999999"};
	uint16_t first, last;

	(void)state;
	assert_null(ports_parse("80", &first, &last));
	assert_int_equal(first, 80);
	assert_int_equal(last, 80);
	assert_null(ports_parse("1-65535", &first, &last));
	assert_int_equal(first, 1);
	assert_int_equal(last, 65535);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(ports_parse(bad[i], &first, &last));
}

static void expect_prefix(const char *text, unsigned size, unsigned length, const char *address)
{
	struct prefix prefix;

	if (prefix_parse(text, &prefix))
		fail_msg("refused: %s", text);
	assert_int_equal(prefix.size, size);
	assert_int_equal(prefix.length, length);
	assert_memory_equal(prefix.address, address, size);
}

static void prefixes(void **state)
{
	static const char *const bad[] = {"",	     "foo",	 "1.2.3",	"10.0.0.0/33",
					  "::1/129", "1.2.3.4/", "1.2.3.4/-1",	"[1.2.3.4]",
					  "[::1",    "::1 ",	 "1.2.3.4/8/8", "1.2.3.4.5"};
	struct prefix prefix;

	(void)state;
	expect_prefix("10.1.2.3", 4, 32, "\x0a\x01\x02\x03");
	expect_prefix("10.1.2.3/8", 4, 8, "\x0a\0\0\0");
	expect_prefix("10.255.2.3/9", 4, 9, "\x0a\x80\0\0");
	expect_prefix("0.0.0.0/0", 4, 0, "\0\0\0\0");
	expect_prefix("::1", 16, 128, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1");
	expect_prefix("[fe80::1]/64", 16, 64, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
	expect_prefix("::ffff:1.2.3.4/120", 4, 24, "\1\2\3\0");
	expect_prefix("::ffff:1.2.3.4/90", 16, 90, "\0\0\0\0\0\0\0\0\0\0\xff\xc0\0\0\0\0");
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(prefix_parse(bad[i], &prefix));
}

static void durations(void **state)
{
	static const char *const bad[] = {"",
					  "0",
					  "0s",
					  "s",
					  "5 s",
					  "-1s",
					  "1,5s",
					  "5d",
					  "5S",
					  "99999999999999999999s",
					  "9999999999h",
					  ".",
					  ".s",
					  "1.2.3",
					  "0.0",
					  ".0001s",
					  "0.5ms",
					  "1.-5",
					  "1. 5s",
					  "1e3",
					  "+1",
					  "s.5"};
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {{"30", 30000},   {"500ms", 500}, {"5m", 300000},
		    {"1h", 3600000}, {"1.5s", 1500}, {"0.2s", 200},
		    {".5", 500},     {"2.", 2000},   {"0.25m", 15000},
		    {"1.5ms", 1},    {"0.0019", 1},  {"1.999999999999999999999s", 1999}};
	uint64_t ms;

	(void)state;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(number_duration(good[i].text, &ms), 0);
		assert_int_equal(ms, good[i].ms);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_not_equal(number_duration(bad[i], &ms), 0);
}

static void filters(void **state)
{
	Netwatch__Filter *filter;
	struct options options;

	(void)state;
	accepts(&options, "-d 80,8000-8100 --not --rport 8080 --sport 1 --port 9 -d 443 --comm a,b "
			  "--not -p 7 --uid root --uid 1000 --raddr 10.1.2.3/8 --netns 4026531840");
	filter = options.filter.message;
	assert_int_equal(filter->rport->n_any, 3);
	assert_int_equal(filter->rport->any[1]->first, 8000);
	assert_int_equal(filter->rport->any[1]->last, 8100);
	assert_int_equal(filter->rport->any[2]->first, 443);
	assert_false(filter->rport->any[2]->has_last);
	assert_int_equal(filter->rport->n_none, 1);
	assert_int_equal(filter->rport->none[0]->first, 8080);
	assert_int_equal(filter->lport->n_any, 1);
	assert_int_equal(filter->port->n_any, 1);
	assert_string_equal(filter->comm->any[1], "b");
	assert_int_equal(filter->pid->n_any, 0);
	assert_int_equal(filter->pid->none[0], 7);
	assert_int_equal(filter->uid->any[0], 0);
	assert_int_equal(filter->uid->any[1], 1000);
	assert_int_equal(filter->raddr->any[0]->address.len, 4);
	assert_int_equal(filter->raddr->any[0]->length, 8);
	assert_int_equal(filter->netns->any[0], 4026531840u);
	assert_null(filter->cgroup);
	assert_int_equal(filter->n_family + filter->n_role, 0);
	options_deinit(&options);
}

static void choices(void **state)
{
	struct options options;

	(void)state;
	accepts(&options, "-4 --role client");
	assert_int_equal(options.filter.message->n_family, 1);
	assert_int_equal(options.filter.message->family[0], NETWATCH__FAMILY__IPV4);
	assert_int_equal(options.filter.message->role[0], NETWATCH__ROLE__CLIENT);
	options_deinit(&options);
	accepts(&options, "--not -4 --not --role client");
	assert_int_equal(options.filter.message->family[0], NETWATCH__FAMILY__IPV6);
	assert_int_equal(options.filter.message->n_role, 1);
	assert_int_equal(options.filter.message->role[0], NETWATCH__ROLE__SERVER);
	options_deinit(&options);
	accepts(&options, "-4 -6 --role client,server");
	assert_int_equal(options.filter.message->n_family + options.filter.message->n_role, 0);
	options_deinit(&options);
	expect_usage("-4 --not -4");
	expect_usage("--not -4 --not -6");
	expect_usage("--not --role client,server");
}

static void names_are_cut_like_the_kernel_does(void **state)
{
	struct options options;

	(void)state;
	accepts(&options, "--comm 0123456789abcdefghi");
	assert_string_equal(options.filter.message->comm->any[0], "0123456789abcde");
	options_deinit(&options);
	expect_usage("--comm \xff");
}

static void not_binds_to_one_filter(void **state)
{
	struct options options;

	(void)state;
	accepts(&options, "--not -d 80,81 -d 82");
	assert_int_equal(options.filter.message->rport->n_none, 2);
	assert_int_equal(options.filter.message->rport->n_any, 1);
	options_deinit(&options);
	expect_usage("-d 80 --not");
	expect_usage("--not -c 3");
	expect_usage("--not --not -d 80");
	expect_usage("--not -a");
}

static void command_and_options(void **state)
{
	struct options options;

	(void)state;
	accepts(&options, "");
	assert_string_equal(options.command->name, "subscribe");
	assert_string_equal(options.socket, "/run/netwatch.sock");
	assert_ptr_equal(options.writer, &writer_table);
	options_deinit(&options);
	accepts(&options, "--sock /x -c 5 list -o json -v");
	assert_string_equal(options.command->name, "list");
	assert_string_equal(options.socket, "/x");
	assert_ptr_equal(options.writer, &writer_json);
	assert_int_equal(options.count, 5);
	assert_true(options.verbose);
	options_deinit(&options);
	accepts(&options, "-?");
	assert_true(options.help);
	options_deinit(&options);
	accepts(&options, "--dur 2s --no-ex --stats -qa");
	assert_int_equal(options.duration, 2000);
	assert_true(options.no_existing && options.stats && options.quiet && options.closed);
	options_deinit(&options);
}

static void refused(void **state)
{
	static const char *const lines[] = {
		"-d 0",
		"-d 65536",
		"-d 80-70",
		"-d http",
		"-d ''",
		"-d 80,",
		"-d ,80",
		"-d 80,,81",
		"--raddr 1.2.3",
		"--raddr 10.0.0.0/33",
		"--addr foo",
		"-p 0",
		"-p -1",
		"-p 1x",
		"-u no-such-user",
		"-u 4294967295",
		"--role both",
		"--netns no-such-namespace",
		"--cgroup /no/such",
		"--cgroup /proc",
		"-c 0",
		"-c x",
		"--duration 0",
		"-o xml",
		"--events foo",
		"--events ''",
		"--events lost",
		"--events conn,",
		"--bogus",
		"-z",
		"--d 80",
		"-d",
		"frobnicate",
		"list extra",
		"status -c 1",
		"list --duration 1s",
		"list --stats",
		"status -d 80",
		"--events conn -t",
		"list --events conn",
		"--comm ''",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect_usage(lines[i]);
}

static void expect_categories(const char *line, const char *names)
{
	struct options options;
	char text[256] = "";

	accepts(&options, line);
	for (size_t i = 0; i < options.categories.count; i++) {
		strcat(text, options.categories.names[i]);
		strcat(text, options.categories.optional[i] ? "? " : " ");
	}
	assert_string_equal(text, names);
	options_deinit(&options);
}

static void categories(void **state)
{
	static char conn[] = "conn", http[] = "http";
	char *const offered[] = {http, conn};
	struct options options;

	(void)state;
	expect_categories("", "conn? packet? ");
	expect_categories("-r", "conn? packet? retransmit congestion? ");
	expect_categories("--events conn -x", "conn tcpinfo congestion? ");
	expect_categories("-t -i", "conn? packet http ");
	accepts(&options, "");
	assert_null(categories_settle(&options.categories, offered, 2));
	assert_int_equal(options.categories.count, 1);
	options_deinit(&options);
	accepts(&options, "");
	assert_string_equal(categories_settle(&options.categories, offered, 0), "conn");
	options_deinit(&options);
	accepts(&options, "--events conn,packet");
	assert_string_equal(categories_settle(&options.categories, offered, 2), "packet");
	options_deinit(&options);
}

static int setup(void **state)
{
	(void)state;
	return event_init();
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"0", 0}, {"65536", 65536}, {"64K", 65536}, {"3M", 3 << 20}, {"2G", 2ull << 30}};
	static const char *const bad[] = {"",	"K",  "64k", "64KB", "1.5M",
					  "-1", " 1", "1 K", "1T",   "9999999999999G"};
	uint64_t bytes;

	(void)state;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(number_size(good[i].text, &bytes), 0);
		assert_int_equal(bytes, good[i].bytes);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_not_equal(number_size(bad[i], &bytes), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(durations),
		cmocka_unit_test(sizes),
		cmocka_unit_test(filters),
		cmocka_unit_test(choices),
		cmocka_unit_test(names_are_cut_like_the_kernel_does),
		cmocka_unit_test(not_binds_to_one_filter),
		cmocka_unit_test(command_and_options),
		cmocka_unit_test(refused),
		cmocka_unit_test(categories),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
