/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The columns of `top`: one table row for each, which says how it is written and compared, how
 * wide it is, and in which order columns go when there is no room for all.
 */
#ifndef NETWATCH_TOP_COLUMNS_H
#define NETWATCH_TOP_COLUMNS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct output;
struct top_row;

#define TOP_UNLIMITED UINT_MAX /* width of what is no terminal */

/* From left to right. */
enum top_column {
	TOP_PROCESS,
	TOP_USER,
	TOP_LOCAL,
	TOP_REMOTE,
	TOP_STATE,
	TOP_ROLE,
	TOP_RATE, /* both directions: an order only, it has no room of its own */
	TOP_RECEIVED,
	TOP_SENT,
	TOP_RTT,
	TOP_CWND,
	TOP_RETRANSMITS,
	TOP_RECENT,
	TOP_BACKLOG,
	TOP_DROPS,
	TOP_AGE,
	TOP_COLUMNS
};

/* Words of --sort, by column, ended by NULL. */
extern const char *const top_column_words[];

/* The first row above the second: the largest number, the first name; see top_table_sort. */
int top_columns_compare(const struct top_row *a, const struct top_row *b, unsigned by);

/* From the beginning: what is as wide as it needs to be by default. */
void top_columns_init(void);

/*
 * Makes room for these rows in so many columns of a terminal: a column widens when something does
 * not fit, up to a limit, and stays so; then columns go until all others fit.
 */
void top_columns_layout(const struct top_row *const *rows, size_t count, unsigned width);

/* The next one to sort by, to the right, or else to the left, of those that are shown. */
enum top_column top_columns_next(enum top_column from, bool right);

/* A line without its end; it may be wider than the terminal if that is very narrow. */
void top_columns_titles(struct output *output, enum top_column sorted);
void top_columns_row(struct output *output, const struct top_row *row);

/* Cuts what was written since start to so many columns. */
void top_columns_cut(struct output *output, size_t start, unsigned width);

/* Name of a state, "-" if there is none. */
const char *top_columns_state(unsigned state);

#endif
