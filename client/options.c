// SPDX-License-Identifier: GPL-2.0-only
// Parses the command line, and prints help, by the table of options.
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit.h"
#include "log.h"
#include "options.h"
#include "sock.h"

#define LONG_BASE   256 /* getopt's value of row 0 given by a long name */
#define NAMES_MAX   (2 * OPTIONS_MAX)
#define HELP_COLUMN 30
#define LINE_WIDTH  79

struct getopt_table {
	struct option names[NAMES_MAX + 1];
	char letters[3 * OPTIONS_MAX + 1];
};

static void add_name(struct getopt_table *table, size_t *count, const char *name, size_t row)
{
	assert(*count < NAMES_MAX);
	table->names[(*count)++] = (struct option){
		.name = name,
		.has_arg = options_table[row].argument ? required_argument : no_argument,
		.val = LONG_BASE + (int)row,
	};
}

static void make_table(struct getopt_table *table)
{
	size_t count = 0, used = 0;

	memset(table, 0, sizeof(*table));
	for (size_t i = 0; i < options_count; i++) {
		const struct option_row *row = &options_table[i];

		if (!row->name)
			continue;
		add_name(table, &count, row->name, i);
		for (unsigned k = 0; k < 2 && row->aliases[k]; k++)
			add_name(table, &count, row->aliases[k], i);
		if (row->letter)
			table->letters[used++] = row->letter;
		if (row->letter && row->argument)
			table->letters[used++] = ':';
	}
}

/* Row of what getopt returned, or options_count: it complained. */
static size_t row_of(int value, char **argv)
{
	size_t row = 0;

	if (value >= LONG_BASE)
		return (size_t)(value - LONG_BASE);
	if (value == '?' && strcmp(argv[optind - 1], "-?")) /* or else asked for as such */
		return options_count;
	while (row < options_count && options_table[row].letter != value)
		row++;
	return row;
}

static int take(struct options *options, size_t index, const char *name)
{
	const struct option_row *row = &options_table[index];
	bool negate = options->negate;

	if (negate && !row->kind) {
		log_error("--not turns round the filter after it, and --%s is none", name);
		return -EINVAL;
	}
	options->seen[index] = true;
	return row->set(options, row, name, optarg);
}

static int parse_all(struct options *options, int argc, char **argv)
{
	struct getopt_table table;
	int value, index, err;

	make_table(&table);
	optind = 0; /* starts glibc's getopt anew */
	for (;;) {
		size_t row;

		index = -1;
		value = getopt_long(argc, argv, table.letters, table.names, &index);
		if (value < 0)
			break;
		row = row_of(value, argv);
		if (row == options_count)
			return -EINVAL;
		err = take(options, row,
			   index >= 0 ? table.names[index].name : options_table[row].name);
		if (err)
			return err;
	}
	if (!options->negate)
		return 0;
	log_error("--not turns round the filter after it, and there is none");
	return -EINVAL;
}

/* getopt would end at the command. What we start may want it as it was. */
static int parse_in_any_order(struct options *options, int argc, char **argv)
{
	static const char variable[] = "POSIXLY_CORRECT";
	const char *was = getenv(variable);
	int err;

	unsetenv(variable);
	err = parse_all(options, argc, argv);
	if (was && setenv(variable, was, 1))
		return -ENOMEM;
	return err;
}

static int find_command(struct options *options, int argc, char **argv,
			const struct command *commands)
{
	const struct command *command = commands;

	options->command = commands;
	if (optind == argc)
		return 0;
	while (command->name && strcmp(command->name, argv[optind]))
		command++;
	if (!command->name) {
		log_error("unknown command \"%s\"", argv[optind]);
		return -EINVAL;
	}
	options->command = command;
	options->named = true;
	if (optind + 1 < argc) {
		log_error("unexpected argument \"%s\"", argv[optind + 1]);
		return -EINVAL;
	}
	return 0;
}

static int check_commands(const struct options *options)
{
	for (size_t i = 0; i < options_count; i++) {
		if (!options->seen[i] || options_table[i].commands & options->command->bit)
			continue;
		log_error("--%s is no option of %s", options_table[i].name, options->command->name);
		return -EINVAL;
	}
	return 0;
}

/* The letters add to --events, or else to the default; what they imply is optional. */
static int settle_categories(struct options *options)
{
	struct categories *categories = &options->categories;

	if (!categories->count) {
		categories_add(categories, "conn", true);
		categories_add(categories, "packet", true);
	}
	for (size_t i = 0; i < options_count; i++) {
		const char *names = options->seen[i] ? options_table[i].categories : NULL;
		char name[32];

		for (bool first = true; names; first = false) {
			snprintf(name, sizeof(name), "%.*s", (int)strcspn(names, ","), names);
			categories_add(categories, name, !first);
			names = strchr(names, ',');
			names += names ? 1 : 0;
		}
	}
	if (!options->times)
		return 0;
	if (categories_have(categories, "packet"))
		return categories_add(categories, "packet", false);
	log_error("--time adds to packet events, and --events leaves them out");
	return -EINVAL;
}

static int settle(struct options *options)
{
	const char *reason = filter_finish(&options->filter);

	if (!reason)
		return settle_categories(options);
	log_error("%s", reason);
	return -EINVAL;
}

int options_parse(struct options *options, int argc, char **argv, const struct command *commands)
{
	int err;

	*options = (struct options){.socket = SOCK_DEFAULT_PATH, .writer = &writer_table};
	err = filter_init(&options->filter);
	if (!err)
		err = parse_in_any_order(options, argc, argv);
	if (!err)
		err = find_command(options, argc, argv, commands);
	if (!err)
		err = check_commands(options);
	return err ? err : settle(options);
}

void options_deinit(struct options *options)
{
	filter_deinit(&options->filter);
}

static bool applies(const struct options *options, const struct option_row *row)
{
	return !options->named || row->commands & options->command->bit;
}

/* True when an option below the heading is to be printed. */
static bool heads_any(const struct options *options, size_t heading)
{
	for (size_t i = heading + 1; i < options_count && options_table[i].name; i++) {
		if (applies(options, &options_table[i]))
			return true;
	}
	return false;
}

static void help_row(const struct option_row *row)
{
	int column = 0;

	if (row->letter)
		column += printf("  -%c, --%s", row->letter, row->name);
	else
		column += printf("      --%s", row->name);
	for (unsigned k = 0; k < 2 && row->aliases[k]; k++)
		column += printf(", --%s", row->aliases[k]);
	if (row->argument)
		column += printf(" %s", row->argument);
	if (column >= HELP_COLUMN)
		column = printf("\n") - 1;
	printf("%*s%s\n", HELP_COLUMN - column, "", row->help);
}

static void help_exit(void)
{
	static const struct {
		enum exit_status status;
		const char *meaning;
	} rows[] = {
		{EXIT_OK, "ended as asked: also by Ctrl-C, --count, --duration"},
		{EXIT_ERROR, "error, also a limit of the collector"},
		{EXIT_USAGE, "usage"},
		{EXIT_NO_COLLECTOR, "no collector"},
		{EXIT_DISCONNECTED, "disconnected: the stream ended without our asking"},
		{EXIT_OUTPUT, "could not write the output"},
		{EXIT_VERSION, "versions do not match"},
		{EXIT_PERMISSION, "not permitted"},
		{EXIT_UNAVAILABLE, "this kernel or configuration cannot do it"},
	};

	printf("\nExit status:\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		printf("  %2d  %s\n", rows[i].status, rows[i].meaning);
}

void options_help(const struct options *options, const struct command *commands)
{
	if (options->named) {
		printf("Usage: netwatch %s [OPTION...]\n%s.\n", options->command->name,
		       options->command->help);
	} else {
		printf("Usage: netwatch [COMMAND] [OPTION...]\n"
		       "Watch TCP connections, through netwatch-collector.\n\nCommands:\n");
		for (; commands->name; commands++)
			printf("  %-*s%s\n", HELP_COLUMN - 2, commands->name, commands->help);
	}
	for (size_t i = 0; i < options_count; i++) {
		const struct option_row *row = &options_table[i];

		if (row->name && applies(options, row))
			help_row(row);
		else if (!row->name && heads_any(options, i))
			printf("\n%s\n", row->help);
	}
	help_exit();
}

void options_usage(const struct options *options, const struct command *commands)
{
	int column = printf("Usage: netwatch");
	char item[64];

	if (options->named)
		column += printf(" %s", options->command->name);
	for (size_t i = 0; i < options_count; i++) {
		const struct option_row *row = &options_table[i];
		int length;

		if (!row->name || !applies(options, row))
			continue;
		length =
			snprintf(item, sizeof(item), " [%s%.1s%s--%s%s%s]", row->letter ? "-" : "",
				 row->letter ? &row->letter : "", row->letter ? "|" : "", row->name,
				 row->argument ? " " : "", row->argument ? row->argument : "");
		if (column + length > LINE_WIDTH)
			column = printf("\n               ") - 1;
		column += printf("%s", item);
	}
	for (bool first = true; !options->named && commands->name; commands++, first = false)
		printf("%s%s", first ? "\n               [" : "|", commands->name);
	printf("%s\n", options->named ? "" : "]");
}
