// SPDX-License-Identifier: GPL-2.0-only
// Completion for fish: an entry for each option, under the condition that its command was typed.
#include "completion.h"

/* clang-format off */
static const char head[] =
	"# fish completion for netwatch, made by: netwatch completion fish\n"
	"\n"
	"# The command that was typed, and the same with a colon while its argument is missing; :none yet,\n"
	"# :child behind --.\n"
	"function __netwatch_typed\n";

static const char scan[] =
	"\tset -l words (commandline -opc)\n"
	"\tset -l command\n"
	"\tset -e words[1]\n"
	"\twhile set -q words[1]\n"
	"\t\tset -l word $words[1]\n"
	"\t\tset -e words[1]\n"
	"\t\tif test \"$word\" = --\n"
	"\t\t\tcontains -- \"$command[1]\" $parents ''; and echo :child\n"
	"\t\t\treturn\n"
	"\t\telse if contains -- $word $arguments; or string match -qr -- $letters $word\n"
	"\t\t\tset -q words[1]; and set -e words[1]\n"
	"\t\telse if not set -q command[1]; and contains -- $word $commands\n"
	"\t\t\tset command $word $word:\n"
	"\t\telse if not string match -q -- '-*' $word\n"
	"\t\t\tset command $command[1]\n"
	"\t\tend\n"
	"\tend\n"
	"\tset -q command[1]; or set command :none\n"
	"\tprintf '%s\\n' $command\n"
	"end\n"
	"\n"
	"function __netwatch_in\n"
	"\tfor typed in (__netwatch_typed)\n"
	"\t\tcontains -- $typed $argv; and return\n"
	"\tend\n"
	"\treturn 1\n"
	"end\n"
	"\n"
	"# One more item of a list with commas.\n"
	"function __netwatch_list\n"
	"\tset -l before (commandline -ct | string replace -r -- '^--[^=]*=' '' | string match -r '.*,')\n"
	"\tprintf '%s\\n' \"$before\"$argv\n"
	"end\n"
	"\n"
	"# Completions of the program behind --.\n"
	"function __netwatch_child\n"
	"\tset -l words (commandline -opc)\n"
	"\tset -l at (contains -i -- -- $words)\n"
	"\tset -e words[1..$at]\n"
	"\tset -l line (string join ' ' -- (string escape -- $words) (commandline -ct))\n"
	"\tcomplete -C \"$line\"\n"
	"end\n"
	"\n";
/* clang-format on */

/* How an argument is completed that is none of a few words. */
static const char *const actions[] = {
	[COMPLETE_NOTHING] = " -x",
	[COMPLETE_FILES] = " -r -F",
	[COMPLETE_DIRECTORIES] = " -x -a '(__fish_complete_directories)'",
	[COMPLETE_USERS] = " -x -a '(__netwatch_list (__fish_complete_users))'",
};

static void put_text(struct output *output, const char *key, const char *text)
{
	completion_format(output, " %s '", key);
	completion_quoted(output, text, "\\", "\\'");
	output_char(output, '\'');
}

/* What completes the argument. */
static void put_argument(struct output *output, const struct option_row *row)
{
	bool list = completion_is_list(row);

	if (!row->words && row->complete < COMPLETE_CATEGORIES) {
		output_text(output, actions[row->complete]);
		return;
	}
	output_text(output, list ? " -x -a '(__netwatch_list " : " -x -a '");
	completion_words(output, row);
	output_text(output, list ? ")'" : "'");
}

static void put_row(struct output *output, const struct option_row *row,
		    const struct command *commands)
{
	output_text(output, "complete -c netwatch -n '__netwatch_in :none ");
	completion_commands(output, commands, row->commands, ' ');
	output_char(output, '\'');
	if (row->letter)
		completion_format(output, " -s '%c'", row->letter);
	completion_format(output, " -l %s", row->name);
	for (unsigned k = 0; k < 2 && row->aliases[k]; k++)
		completion_format(output, " -l %s", row->aliases[k]);
	if (row->argument)
		put_argument(output, row);
	put_text(output, "-d", row->help);
	output_char(output, '\n');
}

static void put_operand(struct output *output, const struct command *command)
{
	enum complete complete;
	bool words;

	completion_format(output, "complete -c netwatch -n '__netwatch_in %s:' -a '",
			  command->name);
	complete = completion_operand(output, command, &words);
	completion_format(output, "'%s\n", words ? "" : actions[complete]);
}

static void put_command(struct output *output, const struct command *command)
{
	completion_format(output, "complete -c netwatch -n '__netwatch_in :none' -a %s",
			  command->name);
	put_text(output, "-d", command->help);
	output_char(output, '\n');
	if (command->argument)
		put_operand(output, command);
}

static void put_locals(struct output *output, const struct command *commands)
{
	output_text(output, "\tset -l letters '^-[^-");
	completion_letters(output);
	output_text(output, "]*[");
	completion_letters(output);
	output_text(output, "]$'\n\tset -l arguments ");
	completion_long(output, ' ');
	output_text(output, "\n\tset -l commands ");
	completion_commands(output, commands, COMMAND_ALL, ' ');
	output_text(output, "\n\tset -l parents");
	for (; commands->name; commands++) {
		if (commands->takes_child)
			completion_format(output, " %s", commands->name);
	}
	output_char(output, '\n');
}

void completion_fish(struct output *output, const struct command *commands)
{
	output_text(output, head);
	put_locals(output, commands);
	output_text(output, scan);
	output_text(output, "complete -c netwatch -f\n"
			    "complete -c netwatch -n '__netwatch_in :child' -x "
			    "-a '(__netwatch_child)'\n");
	for (const struct command *command = commands; command->name; command++)
		put_command(output, command);
	for (size_t i = 0; i < options_count; i++) {
		if (options_table[i].name)
			put_row(output, &options_table[i], commands);
	}
}
