/* SPDX-License-Identifier: GPL-2.0-only */
/* Completion scripts for shells, made from the tables of commands and options. */
#ifndef NETWATCH_COMPLETION_H
#define NETWATCH_COMPLETION_H

#include "options.h"
#include "output.h"

/* Each writes its script. */
void completion_bash(struct output *output, const struct command *commands);
void completion_zsh(struct output *output, const struct command *commands);
void completion_fish(struct output *output, const struct command *commands);

void completion_format(struct output *output, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Text for between single quotes: special characters get a backslash, and a quote is written so. */
void completion_quoted(struct output *output, const char *text, const char *special,
		       const char *quote);

/* The words that the row's argument may be, separated by spaces. False: there are none. */
bool completion_words(struct output *output, const struct option_row *row);

/*
 * What the command's argument may be. When it is one of a few words, they are written, separated
 * by spaces, and *words is true.
 */
enum complete completion_operand(struct output *output, const struct command *command, bool *words);

/* Is the argument a list with commas? (Names of files are not: they may have some.) */
bool completion_is_list(const struct option_row *row);

/* Is it an option of all commands? */
bool completion_is_common(const struct option_row *row, const struct command *commands);

/* Names of the commands with a bit in mask, with separator in between. */
void completion_commands(struct output *output, const struct command *commands, unsigned mask,
			 char separator);

/* All long options with an argument, with separator in between; all such letters. */
void completion_long(struct output *output, char separator);
void completion_letters(struct output *output);

#endif
