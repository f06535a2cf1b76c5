// SPDX-License-Identifier: GPL-2.0-only
// Completion for bash. Nothing of the package bash-completion is needed; what it knows about
// other programs is used behind --.
#include "completion.h"

/* clang-format off */
static const char head[] =
	"# bash completion for netwatch, made by: netwatch completion bash\n"
	"\n"
	"# What the argument of option $1 may be. False: it has none.\n"
	"_netwatch_argument()\n"
	"{\n"
	"\tlist= words=\n"
	"\tcase $1 in\n";

static const char after_arguments[] =
	"\t*) return 1 ;;\n"
	"\tesac\n"
	"}\n"
	"\n"
	"# The options of command $1, or of all.\n"
	"_netwatch_options()\n"
	"{\n"
	"\tcase $1 in\n";

static const char after_options[] =
	"\tesac\n"
	"}\n"
	"\n"
	"# Completes $2, a value of that kind, behind $1 in the same word.\n"
	"_netwatch_value()\n"
	"{\n"
	"\tlocal before=$1 value=$2\n"
	"\tif [[ $list ]]; then\n"
	"\t\t[[ $value == *,* ]] && before+=${value%,*}, value=${value##*,}\n"
	"\t\tcompopt -o nospace 2>/dev/null\n"
	"\tfi\n"
	"\tcase $kind in\n"
	"\twordlist)\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -P \"$before\" -W \"$words\" -- \"$value\") ;;\n"
	"\t*)\n"
	"\t\t[[ $kind == user ]] || compopt -o filenames 2>/dev/null\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -P \"$before\" -A \"$kind\" -- \"$value\") ;;\n"
	"\tesac\n"
	"}\n"
	"\n"
	"# Completes COMMAND, which begins with word $1.\n"
	"_netwatch_child()\n"
	"{\n"
	"\tif declare -F _command_offset >/dev/null; then\n"
	"\t\t_command_offset \"$1\"\n"
	"\telif ((COMP_CWORD == $1)); then\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -c -- \"$cur\")\n"
	"\telse\n"
	"\t\tcompopt -o filenames 2>/dev/null\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	"\tfi\n"
	"}\n"
	"\n"
	"_netwatch()\n"
	"{\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} command= operands=0 pending= kind list words i word\n";

static const char scan[] =
	"\n"
	"\tCOMPREPLY=()\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]} pending=\n"
	"\t\tcase $word in\n"
	"\t\t--)\n"
	"\t\t\t[[ \" $parents \" == *\" ${command:-$default} \"* ]] && _netwatch_child $((i + 1))\n"
	"\t\t\treturn ;;\n"
	"\t\t--*)\n"
	"\t\t\t_netwatch_argument \"$word\" || continue\n"
	"\t\t\t[[ ${COMP_WORDS[i + 1]} == = ]] && ((i++))\n"
	"\t\t\t((++i < COMP_CWORD)) || pending=1 ;;\n"
	"\t\t-?*)\n"
	"\t\t\t[[ $word =~ ^-[^-$letters]*[$letters]$ ]] || continue\n"
	"\t\t\t_netwatch_argument \"-${word: -1}\"\n"
	"\t\t\t((++i < COMP_CWORD)) || pending=1 ;;\n"
	"\t\t*)\n"
	"\t\t\tif [[ ! $command && \" $commands \" == *\" $word \"* ]]; then\n"
	"\t\t\t\tcommand=$word\n"
	"\t\t\telse\n"
	"\t\t\t\t((operands++))\n"
	"\t\t\tfi ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\tif [[ $pending ]]; then\n"
	"\t\t_netwatch_value \"\" \"${cur#=}\"\n"
	"\telif [[ $cur == --*=* ]]; then\n"
	"\t\t_netwatch_argument \"${cur%%=*}\" && _netwatch_value \"${cur%%=*}=\" \"${cur#*=}\"\n"
	"\telif [[ $cur =~ ^(-[^-$letters]*[$letters])(.+)$ ]]; then\n"
	"\t\t_netwatch_argument \"-${BASH_REMATCH[1]: -1}\"\n"
	"\t\t_netwatch_value \"${BASH_REMATCH[1]}\" \"${BASH_REMATCH[2]}\"\n"
	"\telif [[ $cur == -* ]]; then\n"
	"\t\t_netwatch_options \"$command\"\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	"\telif [[ ! $command ]]; then\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W \"$commands\" -- \"$cur\")\n"
	"\telif ((!operands)); then\n"
	"\t\tkind=wordlist list= words=\n"
	"\t\tcase $command in\n";

static const char tail[] =
	"\t\tesac\n"
	"\t\t_netwatch_value \"\" \"$cur\"\n"
	"\tfi\n"
	"}\n"
	"\n"
	"complete -F _netwatch netwatch\n";
/* clang-format on */

/* As `compgen -A` has it, but for lists of words. */
static const char *const kinds[] = {
	[COMPLETE_NOTHING] = "wordlist",      [COMPLETE_FILES] = "file",
	[COMPLETE_DIRECTORIES] = "directory", [COMPLETE_USERS] = "user",
	[COMPLETE_CATEGORIES] = "wordlist",   [COMPLETE_COLUMNS] = "wordlist",
};

/* -s|--sport|--lport */
static void put_names(struct output *output, const struct option_row *row, const char *separator)
{
	if (row->letter)
		completion_format(output, "-%c%s", row->letter, separator);
	completion_format(output, "--%s", row->name);
	for (unsigned k = 0; k < 2 && row->aliases[k]; k++)
		completion_format(output, "%s--%s", separator, row->aliases[k]);
}

/* The branch for an option with an argument. */
static void put_argument(struct output *output, const struct option_row *row)
{
	output_char(output, '\t');
	put_names(output, row, " | ");
	completion_format(output, ") kind=%s%s", kinds[row->complete],
			  completion_is_list(row) ? " list=1" : "");
	output_text(output, " words=\"");
	completion_words(output, row);
	output_text(output, "\" ;;\n");
}

/* The branch for a command with an argument. */
static void put_operand(struct output *output, const struct command *command)
{
	enum complete complete;
	bool words;

	completion_format(output, "\t\t%s) words=\"", command->name);
	complete = completion_operand(output, command, &words);
	completion_format(output, "\" kind=%s ;;\n", kinds[complete]);
}

/* The branch for a command; mask: the bits of its options. */
static void put_options(struct output *output, const char *command, unsigned mask)
{
	const char *separator = "";

	completion_format(output, "\t%s) words=\"", command);
	for (size_t i = 0; i < options_count; i++) {
		const struct option_row *row = &options_table[i];

		if (!row->name || !(row->commands & mask))
			continue;
		output_text(output, separator);
		put_names(output, row, " ");
		separator = " ";
	}
	output_text(output, "\" ;;\n");
}

/* What the command line is read by. */
static void put_locals(struct output *output, const struct command *commands)
{
	const char *separator = "";

	completion_format(output, "\tlocal default=%s letters=", commands->name);
	completion_letters(output);
	output_text(output, "\n\tlocal commands=\"");
	completion_commands(output, commands, COMMAND_ALL, ' ');
	output_text(output, "\"\n\tlocal parents=\"");
	for (; commands->name; commands++) {
		if (!commands->takes_child)
			continue;
		completion_format(output, "%s%s", separator, commands->name);
		separator = " ";
	}
	output_text(output, "\"\n");
}

void completion_bash(struct output *output, const struct command *commands)
{
	output_text(output, head);
	for (size_t i = 0; i < options_count; i++) {
		if (options_table[i].name && options_table[i].argument)
			put_argument(output, &options_table[i]);
	}
	output_text(output, after_arguments);
	put_options(output, "\"\"", COMMAND_ALL);
	for (const struct command *command = commands; command->name; command++)
		put_options(output, command->name, command->bit);
	output_text(output, after_options);
	put_locals(output, commands);
	output_text(output, scan);
	for (const struct command *command = commands; command->name; command++) {
		if (command->argument)
			put_operand(output, command);
	}
	output_text(output, tail);
}
