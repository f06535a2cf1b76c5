// SPDX-License-Identifier: GPL-2.0-only
// --help and --usage, made from the table of options.
#include <stdio.h>

#include "exit.h"
#include "options.h"

#define HELP_COLUMN 30
#define LINE_WIDTH  79

static const char child_usage[] = " [-- COMMAND [ARG...]]";

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
		{EXIT_LOSS, "events were lost, and --fail-on-loss was given"},
		{EXIT_VERSION, "versions do not match"},
		{EXIT_PERMISSION, "not permitted"},
		{EXIT_UNAVAILABLE, "this kernel or configuration cannot do it"},
	};

	printf("\nExit status:\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		printf("  %2d  %s\n", rows[i].status, rows[i].meaning);
	printf("With -- COMMAND: its own if that is not 0; 127 when it was not found.\n");
}

/* Behind the program's name. Returns the columns that it took. */
static int put_command(const struct command *command)
{
	return printf(" %s%s%s", command->name, command->argument ? " " : "",
		      command->argument ? command->argument : "");
}

void options_help(const struct options *options)
{
	const struct command *commands = options->commands;

	if (options->named) {
		printf("Usage: netwatch");
		put_command(options->command);
		printf(" [OPTION...]%s\n%s.\n", options->command->takes_child ? child_usage : "",
		       options->command->help);
	} else {
		printf("Usage: netwatch [COMMAND] [OPTION...]%s\n"
		       "Watch TCP connections, through netwatch-collector.\n\nCommands:\n",
		       child_usage);
		for (; commands->name; commands++) {
			int column = printf(" ") + put_command(commands);

			printf("%*s%s\n", HELP_COLUMN - column, "", commands->help);
		}
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

void options_usage(const struct options *options)
{
	const struct command *commands = options->commands;
	int column = printf("Usage: netwatch");
	char item[64];

	if (options->named)
		column += put_command(options->command);
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
	printf("%s%s\n", options->named ? "" : "]",
	       options->command->takes_child ? child_usage : "");
}
