// SPDX-License-Identifier: GPL-2.0-only
// Parses the command line by the table of options.
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "export.h"
#include "log.h"
#include "metrics.h"
#include "options.h"
#include "sock.h"

#define LONG_BASE 256 /* getopt's value of row 0 given by a long name */
#define OPERAND	  1   /* its value of what is no option */
#define IN_ORDER  "-" /* begins its letters: operands come as they stand, up to -- */
#define NAMES_MAX (2 * OPTIONS_MAX)

struct getopt_table {
	struct option names[NAMES_MAX + 1];
	char letters[sizeof(IN_ORDER) + 2 * OPTIONS_MAX];
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
	size_t count = 0, used = strlen(IN_ORDER);

	*table = (struct getopt_table){.letters = IN_ORDER};
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

/* The command, or what it needs. */
static int take_operand(struct options *options, const char *word)
{
	const struct command *command = options->commands;

	if (options->named && options->command->argument && !options->argument) {
		options->argument = word;
		return 0;
	}
	if (options->named) {
		log_error("unexpected argument \"%s\"", word);
		return -EINVAL;
	}
	while (command->name && strcmp(command->name, word))
		command++;
	if (!command->name) {
		log_error("unknown command \"%s\"", word);
		return -EINVAL;
	}
	options->command = command;
	options->named = true;
	return 0;
}

/* What stands behind "--". */
static int take_child(struct options *options, char **words)
{
	if (!options->command->takes_child) {
		log_error("%s runs no COMMAND: nothing may follow --", options->command->name);
		return -EINVAL;
	}
	if (!*words) {
		log_error("a COMMAND has to follow --");
		return -EINVAL;
	}
	options->child = words;
	return 0;
}

static int parse_all(struct options *options, int argc, char **argv)
{
	struct getopt_table table;
	int value, index, before, err;

	make_table(&table);
	optind = 0; /* starts glibc's getopt anew */
	for (;;) {
		size_t row;

		index = -1;
		before = optind ? optind : 1;
		value = getopt_long(argc, argv, table.letters, table.names, &index);
		if (value < 0)
			break;
		row = value == OPERAND ? 0 : row_of(value, argv);
		if (row == options_count)
			return -EINVAL;
		if (value == OPERAND)
			err = take_operand(options, optarg);
		else
			err = take(options, row,
				   index >= 0 ? table.names[index].name : options_table[row].name);
		if (err)
			return err;
	}
	if (options->negate) {
		log_error("--not turns round the filter after it, and there is none");
		return -EINVAL;
	}
	/* of what is no option, getopt passes over nothing but "--" */
	return optind == before ? 0 : take_child(options, argv + optind);
}

/* An operand that is missing is not missed by --help. */
static int check_operand(const struct options *options)
{
	const struct command *command = options->command;

	if (!command->argument || options->argument || options->help || options->usage ||
	    options->version)
		return 0;
	log_error("%s needs %s", command->name, command->argument);
	return -EINVAL;
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

/* Adds those of a list. Only the first has to be offered, or with optional not even that. */
static void add_categories(struct categories *categories, const char *names, bool optional)
{
	char name[32];

	for (; names; optional = true) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(names, ","), names);
		categories_add(categories, name, optional);
		names = strchr(names, ',');
		names += names ? 1 : 0;
	}
}

static void add_default(struct categories *categories, const struct command *command)
{
	if (command->bit == COMMAND_TOP)
		add_categories(categories, "tcpinfo", false);
	else
		add_categories(categories,
			       command->bit == COMMAND_EXPORT ? EXPORT_CATEGORIES : "conn,packet",
			       true);
}

/* The letters add to --events, or else to the default; what they imply is optional. */
static int settle_categories(struct options *options)
{
	struct categories *categories = &options->categories;
	bool export = options->command->bit == COMMAND_EXPORT;

	options->chosen = categories->count || options->closed || options->times;
	if (!categories->count)
		add_default(categories, options->command);
	for (size_t i = 0; i < options_count; i++) {
		if (!options->seen[i] || !options_table[i].categories)
			continue;
		options->chosen = true;
		add_categories(categories, options_table[i].categories, false);
	}
	if (!options->times)
		return 0;
	if (export)
		return categories_add(categories, "packet", false);
	if (categories_have(categories, "packet"))
		return categories_add(categories, "packet", false);
	log_error("--time adds to packet events, and --events leaves them out");
	return -EINVAL;
}

/* What would have no effect is a mistake. */
static int settle_interval(const struct options *options)
{
	if (!options->interval || categories_have(&options->categories, "tcpinfo") ||
	    options->command->bit == COMMAND_LOG) /* which rewrites connects.log */
		return 0;
	log_error("--interval is of tcpinfo events, and --extra is not given");
	return -EINVAL;
}

static int settle_format(struct options *options)
{
	if (options->format)
		options->writer = writer_of(options->format - 1);
	if (options->time_word)
		options->time = time_format_of(options->time_word - 1);
	if (!options->columns.count || options->writer->columns)
		return 0;
	log_error("--fields chooses columns of table and csv; %s has none", options->writer->name);
	return -EINVAL;
}

static int settle(struct options *options)
{
	const char *reason =
		filter_options_finish(&options->filter, options->command->bit == COMMAND_REPLAY);
	int err = settle_format(options);

	if (err)
		return err;
	if (reason) {
		log_error("%s", reason);
		return -EINVAL;
	}
	err = settle_categories(options);
	return err ? err : settle_interval(options);
}

int options_parse(struct options *options, int argc, char **argv, const struct command *commands)
{
	int err;

	*options = (struct options){
		.commands = commands,
		.command = commands,
		.socket = SOCK_DEFAULT_PATH,
		.writer = &writer_table,
		.out = STDOUT_FILENO,
		.ports = METRICS_PORTS,
		.listen = EXPORT_LISTEN,
	};
	err = filter_options_init(&options->filter);
	if (!err)
		err = parse_all(options, argc, argv);
	if (!err)
		err = check_operand(options);
	if (!err)
		err = check_commands(options);
	return err ? err : settle(options);
}

void options_deinit(struct options *options)
{
	filter_options_deinit(&options->filter);
}
