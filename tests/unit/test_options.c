// SPDX-License-Identifier: GPL-2.0-only
/* The collector's command line: defaults, sizes, and errors that name what is wrong. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "collector/options.h"

#define GO_ON	  -1
#define ARGS_MAX  8
#define PRINT_MAX 8192

static struct options options;
static char printed[2][PRINT_MAX]; /* stdout, stderr */

/* Runs options_parse with stdout and stderr written down. */
static int parse_argv(int argc, char **argv)
{
	int files[2], saved[2], code;

	for (int i = 0; i < 2; i++) {
		fflush(i ? stderr : stdout);
		files[i] = memfd_create("printed", MFD_CLOEXEC);
		saved[i] = dup(i + 1);
		dup2(files[i], i + 1);
	}
	optind = 0; /* anew */
	code = options_parse(&options, argc, argv);
	for (int i = 0; i < 2; i++) {
		ssize_t n;

		fflush(i ? stderr : stdout);
		n = pread(files[i], printed[i], PRINT_MAX - 1, 0);
		printed[i][n > 0 ? n : 0] = '\0';
		dup2(saved[i], i + 1);
		close(saved[i]);
		close(files[i]);
	}
	return code;
}

static int parse(const char *const args[], int n)
{
	char *argv[ARGS_MAX + 2] = {(char *)(uintptr_t) "netwatch-collector"};

	for (int i = 0; i < n; i++)
		argv[i + 1] = (char *)(uintptr_t)args[i];
	return parse_argv(n + 1, argv);
}

#define PARSE(...)                                                  \
	({                                                          \
		const char *const args[] = {__VA_ARGS__};           \
                                                                    \
		parse(args, (int)(sizeof(args) / sizeof(args[0]))); \
	})

/* Exit 2, nothing on stdout, and stderr names the thing. */
static void check_error(int code, const char *name)
{
	assert_int_equal(code, 2);
	assert_string_equal(printed[0], "");
	if (!strstr(printed[1], name))
		fail_msg("stderr does not name %s: %s", name, printed[1]);
}

static void test_defaults(void **state)
{
	(void)state;
	assert_int_equal(parse(NULL, 0), GO_ON);
	assert_string_equal(options.socket, "/run/netwatch.sock");
	assert_int_equal(options.socket_mode, 0666);
	assert_string_equal(options.group, "netwatch");
	assert_string_equal(options.http_group, "netwatch-http");
	assert_string_equal(options.user, "netwatch");
	assert_int_equal(options.ring, 4 << 20);
	assert_int_equal(options.queue, 1 << 20);
	assert_false(options.kernel_addresses);
	assert_false(options.check);
	assert_false(options.json);
	assert_int_equal(options.log_level, LOG_LEVEL_INFO);
	assert_string_equal(printed[0], "");
	assert_string_equal(printed[1], "");
}

static void test_all(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--socket=/tmp/s", "--socket-mode", "0640", "--group=g",
			       "--http-group=h", "--user=u", "--kernel-addresses",
			       "--log-level=debug"),
			 GO_ON);
	assert_string_equal(options.socket, "/tmp/s");
	assert_int_equal(options.socket_mode, 0640);
	assert_string_equal(options.group, "g");
	assert_string_equal(options.http_group, "h");
	assert_string_equal(options.user, "u");
	assert_true(options.kernel_addresses);
	assert_int_equal(options.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(PARSE("--user=a", "--user=b"), GO_ON); /* the last one counts */
	assert_string_equal(options.user, "b");
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		size_t ring, queue; /* 0: refused */
	} cases[] = {
		{"64K", 64 << 10, 0},
		{"4M", 4 << 20, 4 << 20},
		{"1G", 1 << 30, 1 << 30},
		{"4194304", 4 << 20, 4 << 20},
		{"4096", 4096, 0},
		{"4K", 4096, 0},
		{"4095", 0, 0},
		{"900K", 1 << 20, 900 << 10},
		{"128K", 128 << 10, 128 << 10},
		{"131071", 128 << 10, 0},
		{"5000K", 8 << 20, 5000 << 10}, /* a ring is a power of two */
		{"1048577K", 0, 0},
		{"0", 0, 0},
		{"5G", 0, 0},
		{"-1", 0, 0},
		{"+1M", 0, 0},
		{"4MM", 0, 0},
		{"4MB", 0, 0},
		{"4m", 0, 0},
		{"M", 0, 0},
		{"", 0, 0},
		{" 4M", 0, 0},
		{"4 M", 0, 0},
		{"0x400000", 0, 0},
		{"4.5M", 0, 0},
		{"18014398509481984K", 0, 0}, /* 2^64 */
		{"18014398509486080K", 0, 0}, /* 2^64 + 4M */
		{"17179869188G", 0, 0},	      /* 2^64 - 2^32 */
		{"18446744073709551616", 0, 0},
		{"99999999999999999999999", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char quoted[64];
		int code = PARSE("--ring", cases[i].text);

		snprintf(quoted, sizeof(quoted), "--ring \"%s\"", cases[i].text);
		if (cases[i].ring) {
			assert_int_equal(code, GO_ON);
			assert_int_equal(options.ring, cases[i].ring);
		} else {
			check_error(code, quoted);
		}
		code = PARSE("--queue", cases[i].text);
		snprintf(quoted, sizeof(quoted), "--queue \"%s\"", cases[i].text);
		if (cases[i].queue) {
			assert_int_equal(code, GO_ON);
			assert_int_equal(options.queue, cases[i].queue);
		} else {
			check_error(code, quoted);
		}
	}
}

static void test_history(void **state)
{
	static const char *const bad[] = {"",	"-1",  "+1",	  " 1",
					  "1K", "1.5", "1000001", "99999999999999999999"};

	(void)state;
	assert_int_equal(parse(NULL, 0), GO_ON);
	assert_int_equal(options.history, 0);
	assert_int_equal(PARSE("--history", "1000000"), GO_ON);
	assert_int_equal(options.history, 1000000);
	assert_int_equal(PARSE("--history=5", "--history=0"), GO_ON);
	assert_int_equal(options.history, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char quoted[64];

		snprintf(quoted, sizeof(quoted), "bad --history \"%s\"", bad[i]);
		check_error(PARSE("--history", bad[i]), quoted);
	}
}

static void test_modes(void **state)
{
	static const char *const bad[] = {"",	   "8",
					  "0668",  "1000",
					  "-1",	   "rw",
					  "0666 ", " 666",
					  "0x1b6", "07777777777777777777777777"};

	(void)state;
	assert_int_equal(PARSE("--socket-mode=600"), GO_ON);
	assert_int_equal(options.socket_mode, 0600);
	assert_int_equal(PARSE("--socket-mode=0777"), GO_ON);
	assert_int_equal(options.socket_mode, 0777);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_error(PARSE("--socket-mode", bad[i]), "--socket-mode");
}

static void test_bad_values(void **state)
{
	(void)state;
	check_error(PARSE("--log-level=loud"), "--log-level \"loud\"");
	check_error(PARSE("--log-level="), "--log-level \"\"");
	check_error(PARSE("--socket="), "--socket \"\"");
	check_error(PARSE("--user="), "--user \"\"");
}

/* --output is of --check only, wherever it stands. */
static void test_check(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--check"), GO_ON);
	assert_true(options.check);
	assert_false(options.json);
	assert_int_equal(PARSE("--check", "-o", "json"), GO_ON);
	assert_true(options.check && options.json);
	assert_int_equal(PARSE("-ojson", "--check"), GO_ON);
	assert_true(options.check && options.json);
	assert_int_equal(PARSE("--check", "--output=json", "--output=table"), GO_ON);
	assert_false(options.json);
	check_error(PARSE("--check", "-o", "csv"), "--output \"csv\"");
	check_error(PARSE("--check", "--output="), "--output \"\"");
	check_error(PARSE("-o", "json"), "--check");
	check_error(PARSE("--output=table"), "--check");
	check_error(PARSE("--check", "-o"), "'o'"); /* no argument */
	check_error(PARSE("--check=yes"), "--check");
}

static void test_unknown(void **state)
{
	(void)state;
	check_error(PARSE("--no-such-option"), "--no-such-option");
	check_error(PARSE("-x"), "'x'");
	check_error(PARSE("--ring"), "--ring"); /* no argument */
	check_error(PARSE("--kernel-addresses=yes"), "--kernel-addresses");
	check_error(PARSE("stray"), "\"stray\"");
	check_error(PARSE("--user=u", "--", "stray"), "\"stray\"");
	check_error(PARSE("--log-level=info", "--ring=bad", "--help"), "--ring \"bad\"");
}

static void test_help_and_version(void **state)
{
	static const char *const names[] = {
		"--socket PATH",     "--socket-mode MODE", "--group NAME",
		"--http-group NAME", "--user NAME",	   "--ring SIZE",
		"--queue SIZE",	     "--history N",	   "--kernel-addresses",
		"--log-level LEVEL", "--version",	   "-?, --help",
		"--check",	     "-o, --output FORMAT"};

	(void)state;
	assert_int_equal(PARSE("--help"), 0);
	assert_string_equal(printed[1], "");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_non_null(strstr(printed[0], names[i]));
	assert_int_equal(PARSE("-?"), 0);
	assert_non_null(strstr(printed[0], names[0]));
	assert_string_equal(printed[1], "");
	assert_int_equal(PARSE("--version"), 0);
	assert_int_equal(strncmp(printed[0], "netwatch-collector ", 19), 0);
	assert_string_equal(printed[1], "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_help_and_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
