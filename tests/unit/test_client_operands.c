// SPDX-License-Identifier: GPL-2.0-only
// The client's command line: commands, what stands behind --, words and lists, and the exact
// sentences about what is wrong.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/color.h"
#include "client/event.h"
#include "client/options.h"
#include "log.h"

#define ARGS_MAX 32

static const struct command commands[] = {
	{"subscribe", COMMAND_SUBSCRIBE, NULL, "", NULL, true},
	{"list", COMMAND_LIST, NULL, "", NULL, false},
	{"status", COMMAND_STATUS, NULL, "", NULL, false},
	{"keep", COMMAND_STATUS, "FILE", "", NULL, true},
	{.name = NULL},
};

static struct options options;
static char said[1024]; /* on stderr */

/* Splits line at spaces; an empty argument is written as ''. The text lives until the next. */
static int parse(const char *line)
{
	static char text[1024], name[] = "netwatch", empty[] = "";
	static char *argv[ARGS_MAX];
	int argc = 1, err, saved = dup(STDERR_FILENO), ends[2];
	char *save;
	ssize_t n;

	strcpy(text, line);
	memset(argv, 0, sizeof(argv));
	argv[0] = name;
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = strcmp(word, "''") ? word : empty;
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	err = options_parse(&options, argc, argv, commands);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[1]);
	n = read(ends[0], said, sizeof(said) - 1);
	close(ends[0]);
	said[n > 0 ? n : 0] = '\0';
	return err;
}

static void accepts(const char *line)
{
	if (parse(line))
		fail_msg("refused: %s: %s", line, said);
	assert_string_equal(said, "");
}

/* COMMAND and its arguments, joined with spaces; NULL: none. */
static void expect_child(const char *line, const char *command, const char *words)
{
	char text[256] = "";

	accepts(line);
	assert_string_equal(options.command->name, command);
	for (char **word = options.child; word && *word; word++) {
		strcat(text, *text ? " " : "");
		strcat(text, *word);
	}
	if (words)
		assert_string_equal(text, words);
	else
		assert_null(options.child);
	options_deinit(&options);
}

static void child_behind_dashes(void **state)
{
	(void)state;
	expect_child("", "subscribe", NULL);
	expect_child("-- true", "subscribe", "true");
	expect_child("subscribe -- true", "subscribe", "true");
	expect_child("-a subscribe -q -- curl -s --not -d http://x", "subscribe",
		     "curl -s --not -d http://x");
	expect_child("-qa -- -a", "subscribe", "-a");
	expect_child("-- list", "subscribe", "list");
	expect_child("-- --", "subscribe", "--");
	expect_child("-- a -- b", "subscribe", "a -- b");
	expect_child("-d80 --comm x -- --comm --", "subscribe", "--comm --");
	/* taken by the option before it */
	expect_child("--comm -- -q", "subscribe", NULL);
	expect_child("--comm -- -- --", "subscribe", "--");
	expect_child("-d 80 --comm=-- -- x", "subscribe", "x");
	expect_child("keep file -- x", "keep", "x");
	expect_child("keep -q file -- x y", "keep", "x y");
}

static void options_behind_operands(void **state)
{
	(void)state;
	accepts("-q list -H --color never");
	assert_true(options.quiet && options.no_header);
	assert_int_equal(options.color, COLOR_NEVER + 1);
	options_deinit(&options);
	accepts("keep -v file -q");
	assert_string_equal(options.argument, "file");
	assert_true(options.verbose && options.quiet);
	options_deinit(&options);
	accepts("keep --help");
	assert_null(options.argument);
	options_deinit(&options);
	accepts("--not -d 80 -- x");
	assert_int_equal(options.filter.message->rport->n_none, 1);
	options_deinit(&options);
}

static void aliases(void **state)
{
	static const char *const lines[] = {"-s 80", "--sport 80", "--lport 80", "--sport=80",
					    "-s80"};

	(void)state;
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		accepts(lines[i]);
		assert_int_equal(options.filter.message->lport->any[0]->first, 80);
		options_deinit(&options);
	}
	accepts("--dport 1 --rport 2 -d 3");
	assert_int_equal(options.filter.message->rport->n_any, 3);
	options_deinit(&options);
}

/* Every filter of the table can be turned round, and nothing else. */
static void not_with_each(void **state)
{
	static const struct {
		const char *noun, *value;
	} values[] = {{"port", "80"},
		      {"address", "::1"},
		      {"pid", "7"},
		      {"name", "x"},
		      {"user", "0"},
		      {"role", "client"},
		      {"namespace", "4026531840"}};
	unsigned filters = 0;
	char line[128];

	(void)state;
	for (size_t i = 0; i < options_count; i++) {
		const struct option_row *row = &options_table[i];
		const char *value = row->argument ? "" : NULL;

		if (!row->name)
			continue;
		for (unsigned k = 0; k < sizeof(values) / sizeof(values[0]) && row->kind; k++) {
			if (value && !strcmp(row->kind->noun, values[k].noun))
				value = values[k].value;
		}
		if (row->kind && value && !*value) /* a cgroup has to exist */
			continue;
		snprintf(line, sizeof(line), "--not --%s%s%s", row->name, value ? "=" : "",
			 value ? value : "");
		if (row->kind) {
			accepts(line);
			filters++;
		} else if (parse(line) != -EINVAL) {
			fail_msg("accepted: %s", line);
		}
		options_deinit(&options);
	}
	assert_true(filters >= 12);
}

static void words(void **state)
{
	(void)state;
	accepts("-o csv --time-format delta --color always");
	assert_ptr_equal(options.writer, &writer_csv);
	assert_ptr_equal(options.time, time_format_of(3));
	assert_int_equal(options.color, COLOR_ALWAYS + 1);
	options_deinit(&options);
	accepts("-o pb");
	assert_ptr_equal(options.writer, &writer_pb);
	assert_null(options.time);
	options_deinit(&options);
	accepts("-o json -o table --fields time --fields pid,conn.event");
	assert_ptr_equal(options.writer, &writer_table);
	assert_int_equal(options.columns.count, 3);
	options_deinit(&options);
	accepts("--last 5 --since 1.5m --no-follow --reconnect --fail-on-loss");
	assert_int_equal(options.last, 5);
	assert_int_equal(options.since, 90000);
	assert_true(options.no_follow && options.reconnect && options.fail_on_loss);
	options_deinit(&options);
}

static void sentences(void **state)
{
	static const struct {
		const char *line, *sentence;
	} rows[] = {
		{"--", "a COMMAND has to follow --"},
		{"subscribe -q --", "a COMMAND has to follow --"},
		{"list --", "list runs no COMMAND: nothing may follow --"},
		{"list -- true", "list runs no COMMAND: nothing may follow --"},
		{"subscribe list", "unexpected argument \"list\""},
		{"keep", "keep needs FILE"},
		{"keep -- x", "keep needs FILE"},
		{"keep a b", "unexpected argument \"b\""},
		{"frobnicate", "unknown command \"frobnicate\""},
		{"''", "unknown command \"\""},
		{"--not", "--not turns round the filter after it, and there is none"},
		{"--not -- x", "--not turns round the filter after it, and there is none"},
		{"--not -q", "--not turns round the filter after it, and --quiet is none"},
		{"--not --fields pid",
		 "--not turns round the filter after it, and --fields is none"},
		{"--not --not -d 80", "--not turns round the filter after it, and --not is none"},
		{"--not subscribe", "--not turns round the filter after it, and there is none"},
		{"-o xml", "bad value \"xml\" in --output: table, compact, json, csv, pb"},
		{"-o JSON", "bad value \"JSON\" in --output: table, compact, json, csv, pb"},
		{"-o ''", "bad value \"\" in --output: table, compact, json, csv, pb"},
		{"--time-format iso",
		 "bad value \"iso\" in --time-format: rfc3339, unix, mono, delta"},
		{"--color yes", "bad value \"yes\" in --color: auto, always, never"},
		{"--fields ''", "bad field \"\" in --fields: see netwatch fields"},
		{"--fields pid,", "bad field \"\" in --fields: see netwatch fields"},
		{"--fields pid,foo.bar,time",
		 "bad field \"foo.bar\" in --fields: see netwatch fields"},
		{"-o json --fields pid",
		 "--fields chooses columns of table and csv; json has none"},
		{"--fields pid -o pb", "--fields chooses columns of table and csv; pb has none"},
		{"--last 0", "bad number \"0\" in --last: 1 or more"},
		{"--since x", "bad duration \"x\" in --since: such as 30s, 1.5s, 500ms, 5m or 1h"},
		{"list --reconnect", "--reconnect is no option of list"},
		{"--fail-on-loss list", "--fail-on-loss is no option of list"},
		{"status -H", "--no-header is no option of status"},
		{"status --fields pid", "--fields is no option of status"},
	};
	char line[256];

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (parse(rows[i].line) != -EINVAL)
			fail_msg("accepted: %s", rows[i].line);
		strcpy(line, "netwatch: ");
		strcat(line, rows[i].sentence);
		strcat(line, "\n");
		assert_string_equal(said, line);
		options_deinit(&options);
	}
}

static void too_many_fields(void **state)
{
	char line[1024] = "--fields connection";

	(void)state;
	for (unsigned i = 0; i < 14; i++)
		strcat(line, ",connection");
	assert_int_equal(parse(line), -EINVAL);
	assert_string_equal(said,
			    "netwatch: bad field \"connection\" in --fields: too many columns\n");
	options_deinit(&options);
}

static int setup(void **state)
{
	(void)state;
	log_init("netwatch", LOG_LEVEL_INFO);
	return event_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(child_behind_dashes),
		cmocka_unit_test(options_behind_operands),
		cmocka_unit_test(aliases),
		cmocka_unit_test(not_with_each),
		cmocka_unit_test(words),
		cmocka_unit_test(sentences),
		cmocka_unit_test(too_many_fields),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
