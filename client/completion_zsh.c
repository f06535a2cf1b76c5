// SPDX-License-Identifier: GPL-2.0-only
// Completion for zsh: the options of the command that was typed, as specifications of _arguments.
#include <stdio.h>
#include <string.h>

#include "completion.h"

/* clang-format off */
static const char head[] =
	"#compdef netwatch\n"
	"# zsh completion for netwatch, made by: netwatch completion zsh\n"
	"\n"
	"_netwatch_commands() {\n"
	"\tlocal -a known=(\n";

static const char after_commands[] =
	"\t)\n"
	"\t_describe command known\n"
	"}\n"
	"\n"
	"# Is the command one of these, or none yet?\n"
	"_netwatch_in() {\n"
	"\t[[ -z $command || -n ${(M)argv:#$command} ]]\n"
	"}\n"
	"\n"
	"_netwatch() {\n"
	"\tlocal curcontext=$curcontext command= word i\n"
	"\tlocal -a specs\n";

static const char scan[] =
	"\n"
	"\tfor ((i = 2; i < CURRENT; i++)); do\n"
	"\t\tword=$words[i]\n"
	"\t\tif [[ $word == -- ]]; then\n"
	"\t\t\t(( ${parents[(Ie)${command:-$default}]} )) || return 1\n"
	"\t\t\tshift i words\n"
	"\t\t\t((CURRENT -= i))\n"
	"\t\t\t_normal -p netwatch\n"
	"\t\t\treturn\n"
	"\t\telif [[ $word =~ ^-[^-$letters]*[$letters]$ ]] || (( ${arguments[(Ie)$word]} )); then\n"
	"\t\t\t((i++))\n"
	"\t\telif [[ -z $command ]] && (( ${names[(Ie)$word]} )); then\n"
	"\t\t\tcommand=$word\n"
	"\t\tfi\n"
	"\tdone\n"
	"\n"
	"\tspecs=(\n"
	"\t\t'1: :_netwatch_commands'\n";

static const char after_common[] =
	"\t)\n";

static const char tail[] =
	"\t_arguments -s -S : $specs\n"
	"}\n"
	"\n"
	"if [[ $funcstack[1] == _netwatch ]]; then\n"
	"\t_netwatch \"$@\"\n"
	"else\n"
	"\tcompdef _netwatch netwatch\n"
	"fi\n";
/* clang-format on */

/* What is done for an argument that is none of a few words. */
static const char *const actions[] = {
	[COMPLETE_NOTHING] = " ",
	[COMPLETE_FILES] = "_files",
	[COMPLETE_DIRECTORIES] = "_files -/",
	[COMPLETE_USERS] = "_sequence _users",
};

static void put_action(struct output *output, const struct option_row *row)
{
	bool list = completion_is_list(row);

	if (!row->words && row->complete < COMPLETE_CATEGORIES) {
		output_text(output, actions[row->complete]);
		return;
	}
	if (list)
		completion_format(output, "_values -s , %s ", row->argument);
	else
		output_char(output, '(');
	completion_words(output, row);
	if (!list)
		output_char(output, ')');
}

/* One name of the option, with what it says in a menu. */
static void put_spec(struct output *output, const struct option_row *row, const char *name,
		     const char *takes)
{
	completion_format(output, " '*%s%s[", name, row->argument ? takes : "");
	completion_quoted(output, row->help, "[]\\", "'\\''");
	output_char(output, ']');
	if (row->argument) {
		completion_format(output, ":%s:", row->argument);
		put_action(output, row);
	}
	output_char(output, '\'');
}

static void put_specs(struct output *output, const struct option_row *row)
{
	char name[64];

	if (row->letter) {
		snprintf(name, sizeof(name), "-%c", row->letter);
		put_spec(output, row, name, "+");
	}
	snprintf(name, sizeof(name), "--%s", row->name);
	put_spec(output, row, name, "=");
	for (unsigned k = 0; k < 2 && row->aliases[k]; k++) {
		snprintf(name, sizeof(name), "--%s", row->aliases[k]);
		put_spec(output, row, name, "=");
	}
}

static void put_locals(struct output *output, const struct command *commands)
{
	completion_format(output, "\tlocal default=%s letters=", commands->name);
	completion_letters(output);
	output_text(output, "\n\tlocal -a names=(");
	completion_commands(output, commands, COMMAND_ALL, ' ');
	output_text(output, ")\n\tlocal -a parents=(");
	for (; commands->name; commands++) {
		if (commands->takes_child)
			completion_format(output, " %s", commands->name);
	}
	output_text(output, " )\n\tlocal -a arguments=(");
	completion_long(output, ' ');
	output_text(output, ")\n");
}

static void put_commands(struct output *output, const struct command *commands)
{
	for (; commands->name; commands++) {
		completion_format(output, "\t\t'%s:", commands->name);
		completion_quoted(output, commands->help, "\\", "'\\''");
		output_text(output, "'\n");
	}
}

static void put_operand(struct output *output, const struct command *command)
{
	enum complete complete;
	bool words;

	completion_format(output, "\t[[ $command == %s ]] && specs+=( '2:%s:%s", command->name,
			  command->argument, strchr(command->argument, '|') ? "(" : "");
	complete = completion_operand(output, command, &words);
	completion_format(output, "%s' )\n", words ? ")" : actions[complete]);
}

/* What only some commands have: their options, and the words of their argument. */
static void put_special(struct output *output, const struct command *commands)
{
	for (size_t i = 0; i < options_count; i++) {
		const struct option_row *row = &options_table[i];

		if (!row->name || completion_is_common(row, commands))
			continue;
		output_text(output, "\t_netwatch_in ");
		completion_commands(output, commands, row->commands, ' ');
		output_text(output, " && specs+=(");
		put_specs(output, row);
		output_text(output, " )\n");
	}
	for (; commands->name; commands++) {
		if (commands->argument)
			put_operand(output, commands);
	}
}

void completion_zsh(struct output *output, const struct command *commands)
{
	output_text(output, head);
	put_commands(output, commands);
	output_text(output, after_commands);
	put_locals(output, commands);
	output_text(output, scan);
	for (size_t i = 0; i < options_count; i++) {
		if (!options_table[i].name || !completion_is_common(&options_table[i], commands))
			continue;
		output_char(output, '\t');
		put_specs(output, &options_table[i]);
		output_char(output, '\n');
	}
	output_text(output, after_common);
	put_special(output, commands);
	output_text(output, tail);
}
