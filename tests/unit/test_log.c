// SPDX-License-Identifier: GPL-2.0-only
/* Messages: one line each, by level, with nothing raw in them, and errno kept. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "common/log.h"

static char line[16384]; /* what went to stderr */

/* Runs the statement with stderr written down. */
#define PRINTED(statement)                                                      \
	({                                                                      \
		int file = memfd_create("stderr", MFD_CLOEXEC), saved = dup(2); \
		ssize_t n;                                                      \
                                                                                \
		dup2(file, 2);                                                  \
		statement;                                                      \
		dup2(saved, 2);                                                 \
		close(saved);                                                   \
		n = pread(file, line, sizeof(line) - 1, 0);                     \
		line[n > 0 ? n : 0] = '\0';                                     \
		close(file);                                                    \
		line;                                                           \
	})

static void test_levels(void **state)
{
	(void)state;
	log_init("prog", LOG_LEVEL_WARN);
	assert_string_equal(PRINTED(log_error("e %d", 1)), "prog: e 1\n");
	assert_string_equal(PRINTED(log_warn("w %s", "x")), "prog: w x\n");
	assert_string_equal(PRINTED(log_info("i")), "");
	assert_string_equal(PRINTED(log_debug("d")), "");
	log_init("prog", LOG_LEVEL_ERROR);
	assert_string_equal(PRINTED(log_warn("w")), "");
	log_init("prog", LOG_LEVEL_DEBUG);
	assert_string_equal(PRINTED(log_debug("d")), "prog: d\n");
}

static void test_names(void **state)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	enum log_level level = LOG_LEVEL_INFO;

	(void)state;
	assert_int_equal(log_level_parse("Error", &level), -EINVAL);
	assert_int_equal(log_level_parse("", &level), -EINVAL);
	assert_int_equal(level, LOG_LEVEL_INFO);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(log_level_parse(names[i], &level), 0);
		assert_int_equal(level, i);
	}
}

static void test_untrusted_text(void **state)
{
	(void)state;
	log_init("prog", LOG_LEVEL_INFO);
	assert_string_equal(PRINTED(log_error("%s", "a\nb\x1b[2J\xff \xe2\x80\xae")),
			    "prog: a\\x0ab\\x1b[2J\\xff \\u{202e}\n");
}

static void test_long_line_is_cut(void **state)
{
	static char text[5000];

	(void)state;
	log_init("prog", LOG_LEVEL_INFO);
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(strlen(PRINTED(log_error("%s", text))), strlen("prog: \n") + 1023);
	memset(text, '\x01', sizeof(text) - 1); /* each byte needs four */
	assert_int_equal(strlen(PRINTED(log_error("%s", text))), strlen("prog: \n") + 4 * 1023);
	assert_int_equal(line[strlen(line) - 1], '\n');
}

static void test_errno_is_kept(void **state)
{
	(void)state;
	log_init("prog", LOG_LEVEL_INFO);
	PRINTED({
		close(2);
		errno = ENOENT;
		log_error("to nowhere");
		assert_int_equal(errno, ENOENT);
		log_debug("not at all");
		assert_int_equal(errno, ENOENT);
	});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),	       cmocka_unit_test(test_names),
		cmocka_unit_test(test_untrusted_text), cmocka_unit_test(test_long_line_is_cut),
		cmocka_unit_test(test_errno_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
