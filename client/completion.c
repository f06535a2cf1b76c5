// SPDX-License-Identifier: GPL-2.0-only
// netwatch completion: what the scripts for all shells have in common.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "completion.h"
#include "exit.h"
#include "log.h"

typedef void script_fn(struct output *output, const struct command *commands);

static const struct {
	const char *shell;
	script_fn *script;
} scripts[] = {
	{"bash", completion_bash},
	{"zsh", completion_zsh},
	{"fish", completion_fish},
};

#define SCRIPTS (sizeof(scripts) / sizeof(scripts[0]))

void completion_format(struct output *output, const char *format, ...)
{
	size_t room = OUTPUT_SIZE - output->used;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(output->data + output->used, room, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= room)
		output->err = -EMSGSIZE;
	else
		output->used += (size_t)length;
}

void completion_quoted(struct output *output, const char *text, const char *special,
		       const char *quote)
{
	for (; *text; text++) {
		if (*text == '\'') {
			output_text(output, quote);
			continue;
		}
		if (strchr(special, *text))
			output_char(output, '\\');
		output_char(output, *text);
	}
}

/* Puts a separator behind all but the first, which was written at start. */
static void separate(struct output *output, size_t start, char separator)
{
	if (output->used != start)
		output_char(output, separator);
}

static void put_columns(struct output *output, const struct categories *categories)
{
	static struct columns columns;
	size_t start = output->used;

	columns.count = 0;
	columns_add_all(&columns, categories);
	for (size_t i = 0; i < columns.count; i++) {
		separate(output, start, ' ');
		column_title(output, &columns.items[i]);
	}
}

enum complete completion_operand(struct output *output, const struct command *command, bool *words)
{
	const char *text = command->argument;

	*words = strchr(text, '|');
	for (; *words && *text; text++)
		output_char(output, *text == '|' ? ' ' : *text);
	if (!strcmp(text, "FILE"))
		return COMPLETE_FILES;
	return strcmp(text, "DIR") ? COMPLETE_NOTHING : COMPLETE_DIRECTORIES;
}

bool completion_words(struct output *output, const struct option_row *row)
{
	struct categories categories = {.count = 0};
	size_t start = output->used;

	categories_add_all(&categories);
	for (unsigned i = 0; row->words && row->words[i]; i++)
		completion_format(output, "%s%s", i ? " " : "", row->words[i]);
	for (size_t i = 0; row->complete == COMPLETE_CATEGORIES && i < categories.count; i++) {
		separate(output, start, ' ');
		output_text(output, categories.names[i]);
	}
	if (row->complete == COMPLETE_COLUMNS)
		put_columns(output, &categories);
	return output->used != start;
}

bool completion_is_list(const struct option_row *row)
{
	switch (row->complete) {
	case COMPLETE_FILES:
	case COMPLETE_DIRECTORIES:
		return false;
	case COMPLETE_CATEGORIES:
	case COMPLETE_COLUMNS:
		return true;
	case COMPLETE_NOTHING:
	case COMPLETE_USERS:
		break;
	}
	return row->kind;
}

bool completion_is_common(const struct option_row *row, const struct command *commands)
{
	while (commands->name && row->commands & commands->bit)
		commands++;
	return !commands->name;
}

void completion_commands(struct output *output, const struct command *commands, unsigned mask,
			 char separator)
{
	size_t start = output->used;

	for (; commands->name; commands++) {
		if (!(commands->bit & mask))
			continue;
		separate(output, start, separator);
		output_text(output, commands->name);
	}
}

void completion_long(struct output *output, char separator)
{
	size_t start = output->used;

	for (size_t i = 0; i < options_count; i++) {
		const struct option_row *row = &options_table[i];

		if (!row->name || !row->argument)
			continue;
		separate(output, start, separator);
		completion_format(output, "--%s", row->name);
		for (unsigned k = 0; k < 2 && row->aliases[k]; k++)
			completion_format(output, "%c--%s", separator, row->aliases[k]);
	}
}

void completion_letters(struct output *output)
{
	for (size_t i = 0; i < options_count; i++) {
		if (options_table[i].letter && options_table[i].argument)
			output_char(output, options_table[i].letter);
	}
}

int completion_run(struct options *options)
{
	struct output output;
	size_t i = 0;
	int status;

	while (i < SCRIPTS && strcmp(scripts[i].shell, options->argument))
		i++;
	if (i == SCRIPTS) {
		log_error("no completion for \"%s\", only for %s", options->argument,
			  options->command->argument);
		return EXIT_USAGE;
	}
	if (output_init(&output, STDOUT_FILENO)) {
		log_error("out of memory");
		return EXIT_ERROR;
	}
	scripts[i].script(&output, options->commands);
	status = output_finish(&output);
	output_deinit(&output);
	return status;
}
