// SPDX-License-Identifier: GPL-2.0-only
/* Patterns, held against fnmatch, and in bounded time. */
#include <fnmatch.h>
#include <string.h>

#include "cmocka_all.h"
#include "common/glob.h"
#include "rng.h"

static bool matches(const char *pattern, const char *text)
{
	size_t steps = 1 << 20;

	return glob_matches(pattern, text, strlen(text), &steps);
}

static void test_as_fnmatch(void **state)
{
	static const char pattern_bytes[] = "aab/*?*[]!-", text_bytes[] = "aaabb/-!]";
	struct rng rng = rng_new();
	unsigned matched = 0;

	(void)state;
	for (int i = 0; i < 500000; i++) {
		char pattern[10] = "", text[10] = "";

		for (unsigned n = rng_below(&rng, sizeof(pattern)), j = 0; j < n; j++)
			pattern[j] = pattern_bytes[rng_below(&rng, sizeof(pattern_bytes) - 1)];
		for (unsigned n = rng_below(&rng, sizeof(text)), j = 0; j < n; j++)
			text[j] = text_bytes[rng_below(&rng, sizeof(text_bytes) - 1)];
		/* What POSIX leaves open: a backslash at the end or in brackets, ranges of these.
		 */
		if (strchr(pattern, '\\'))
			continue;
		if (matches(pattern, text) != !fnmatch(pattern, text, 0))
			fail_msg("\"%s\" and \"%s\"", pattern, text);
		matched += matches(pattern, text);
	}
	assert_true(matched > 1000);
}

static void test_escaped(void **state)
{
	(void)state;
	assert_true(matches("\\*", "*"));
	assert_false(matches("\\*", "a"));
	assert_true(matches("a\\[b]", "a[b]"));
	assert_true(matches("[\\]]", "]"));
	assert_true(matches("", ""));
	assert_false(matches("", "a"));
}

static void test_bounded(void **state)
{
	static char text[8192];
	size_t steps = 65536;

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_false(
		glob_matches("*a*a*a*a*a*a*a*a*aaaaaaaaaaaaaaaaaab*", text, sizeof(text), &steps));
	assert_int_equal(steps, 0);
	steps = 2 * sizeof(text);
	assert_true(glob_matches("*a*a*a*aaaa*", text, sizeof(text), &steps));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_fnmatch),
		cmocka_unit_test(test_escaped),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
