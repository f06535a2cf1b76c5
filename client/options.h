/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The command line. One table of options and one of commands make the parser, --help and
 * --usage, so that they cannot differ.
 */
#ifndef NETWATCH_OPTIONS_H
#define NETWATCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "categories.h"
#include "columns.h"
#include "filter_options.h"
#include "writer.h"

#define OPTIONS_MAX 96 /* rows of the table */

struct options;

/* What completes an argument in a shell, where it is none of a few words. */
enum complete {
	COMPLETE_NOTHING,
	COMPLETE_FILES,
	COMPLETE_DIRECTORIES,
	COMPLETE_USERS,
	COMPLETE_CATEGORIES,
	COMPLETE_COLUMNS,
};

struct command {
	const char *name;
	unsigned bit;	      /* in option_row.commands */
	const char *argument; /* what it needs, or NULL: nothing. Help prints it, and completion
				 understands FILE, DIR, and words with | in between */
	const char *help;
	/* Runs it; returns the exit status. */
	int (*run)(struct options *options);
	bool takes_child; /* -- COMMAND */
};

enum {
	COMMAND_SUBSCRIBE = 1 << 0,
	COMMAND_LIST = 1 << 1,
	COMMAND_STATUS = 1 << 2,
	COMMAND_CHECK = 1 << 3,
	COMMAND_FIELDS = 1 << 4,
	COMMAND_COMPLETION = 1 << 5,
	COMMAND_RECORD = 1 << 6,
	COMMAND_REPLAY = 1 << 7,
	COMMAND_LOG = 1 << 8,
	COMMAND_EXPORT = 1 << 9,
	COMMAND_TOP = 1 << 10,
	COMMAND_ALL = -1,
};

struct option_row {
	const char *name;	/* long; NULL: help is a heading */
	const char *aliases[2]; /* other long names */
	char letter;		/* or 0 */
	const char *argument;	/* for help, or NULL: has none */
	const char *help;
	unsigned commands; /* that accept it */
	/*
	 * Takes the argument. 0, or -EINVAL with a message told. name: of the option, as typed
	 * if that was a long one.
	 */
	int (*set)(struct options *options, const struct option_row *row, const char *name,
		   const char *argument);
	size_t target; /* for set: offset of what it sets; in the Filter when there is a kind */
	const struct filter_kind *kind; /* of the options that --not can turn round */
	const char *const *words;	/* what the argument may be, ended by NULL; or NULL */
	enum complete complete;		/* what it may be, where there are no words */
	const char *categories; /* of the letters that add some, separated by commas; only the first
				   has to be offered */
};

struct options {
	const struct command *commands; /* all of them */
	const struct command *command;
	const char *argument; /* of the command, or NULL */
	char **child;	      /* COMMAND and its arguments, with NULL at the end; or NULL */
	int out;	      /* descriptor that events go to: stdout, but of record */
	const char *socket;
	struct filter_options filter;
	struct categories categories;
	const struct writer *writer;
	struct columns columns;		/* of --fields */
	const struct time_format *time; /* or NULL: the writer's own */
	uint64_t count;			/* events to print, or snapshots of top; or 0: all */
	uint64_t duration;		/* milliseconds, or 0: until stopped */
	uint64_t interval;  /* milliseconds between reports, or 0: the collector's default */
	uint64_t max_size;  /* bytes of a log file, or 0: the default */
	uint64_t ports;	    /* of export: listening ports with series of their own */
	const char *listen; /* of export: ADDRESS:PORT */
	uint64_t last;	    /* events of the collector's history, or 0 */
	uint64_t since;	    /* milliseconds of it, or 0 */
	bool closed, no_existing, no_follow, stats, quiet, verbose;
	bool reconnect, fail_on_loss, no_header;
	bool times, extra;
	bool chosen; /* an option says which categories; else they are the default */
	bool help, usage, version;
	bool named; /* the command was typed */

	/* words of the option's row from 1, or 0: not given */
	unsigned format, time_word, color, sort;

	/* Of the parser. */
	bool negate;		/* --not came just before */
	bool seen[OPTIONS_MAX]; /* by row */
};

/* Does the stream begin with the collector's history? Then without what exists. */
static inline bool options_history(const struct options *options)
{
	return options->last || options->since;
}

extern const struct option_row options_table[];
extern const size_t options_count;

/*
 * Parses the command line into options, with commands[0] as the command when none is named
 * (the row without a name ends the table). 0, or -EINVAL with a message told: usage; -ENOMEM.
 * options_deinit is needed in any case.
 */
int options_parse(struct options *options, int argc, char **argv, const struct command *commands);
void options_deinit(struct options *options);

/* Print to stdout, for options->command, or for all when it was not named. */
void options_help(const struct options *options);
void options_usage(const struct options *options);

#endif
