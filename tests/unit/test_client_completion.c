// SPDX-License-Identifier: GPL-2.0-only
// What the completion scripts for all shells have in common.
#include <string.h>

#include "cmocka_all.h"

#include "client/completion.h"
#include "client/event.h"

static struct output output;

static void expect(const char *text)
{
	assert_int_equal(output.err, 0);
	assert_int_equal(output.used, strlen(text));
	assert_memory_equal(output.data, text, output.used);
	output.used = 0;
}

/* Row of the option of that name. */
static const struct option_row *find(const char *name)
{
	for (size_t i = 0; i < options_count; i++) {
		if (options_table[i].name && !strcmp(options_table[i].name, name))
			return &options_table[i];
	}
	fail_msg("no option %s", name);
	return NULL;
}

static void quoted(void **state)
{
	(void)state;
	completion_quoted(&output, "a [b] c\\d's", "[]\\", "'\\''");
	expect("a \\[b\\] c\\\\d'\\''s");
	completion_quoted(&output, "a [b] c\\d's", "\\", "\\'");
	expect("a [b] c\\\\d\\'s");
}

static void operands(void **state)
{
	struct command command = {.argument = "one|two"};
	bool words;

	(void)state;
	assert_int_equal(completion_operand(&output, &command, &words), COMPLETE_NOTHING);
	assert_true(words);
	expect("one two");
	command.argument = "FILE";
	assert_int_equal(completion_operand(&output, &command, &words), COMPLETE_FILES);
	assert_false(words);
	command.argument = "DIR";
	assert_int_equal(completion_operand(&output, &command, &words), COMPLETE_DIRECTORIES);
	command.argument = "N";
	assert_int_equal(completion_operand(&output, &command, &words), COMPLETE_NOTHING);
	expect("");
}

static void words(void **state)
{
	(void)state;
	assert_true(completion_words(&output, find("role")));
	expect("client server");
	assert_false(completion_words(&output, find("sport")));
	expect("");
	assert_true(completion_is_list(find("role")));
	assert_true(completion_is_list(find("sport")));
	assert_true(completion_is_list(find("fields")));
	assert_false(completion_is_list(find("output")));
	assert_false(completion_is_list(find("netns")));
}

/* A script that does not fit is told of, not cut. */
static void too_long(void **state)
{
	(void)state;
	output.used = OUTPUT_SIZE - 3;
	completion_format(&output, "%s", "12");
	assert_int_equal(output.err, 0);
	completion_format(&output, "%s", "1");
	assert_int_equal(output.err, -EMSGSIZE);
	output.used = 0;
	output.err = 0;
}

static int setup(void **state)
{
	(void)state;
	return event_init() || output_init(&output, -1);
}

static int teardown(void **state)
{
	(void)state;
	output_deinit(&output);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quoted),
		cmocka_unit_test(operands),
		cmocka_unit_test(words),
		cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
