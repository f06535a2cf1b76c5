/* SPDX-License-Identifier: GPL-2.0-only */
/* One picture of `top`: the line with the sums, the titles, and the rows. */
#ifndef NETWATCH_TOP_DRAW_H
#define NETWATCH_TOP_DRAW_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "top_columns.h"

struct output;
struct top_row;
struct top_sums;

struct top_picture {
	const struct top_row *const *rows; /* sorted */
	size_t count, first;		   /* of them; the one on top */
	const struct top_sums *sums;
	enum top_column sort;
	bool reverse;
	const char *scope; /* whose sockets these are */
	time_t down;	   /* since when there is no collector, or 0 */
	bool paused, help, header;
	unsigned lines, columns; /* of the terminal; 0: there is none, and no limit */
};

/*
 * Appends it to the output. On a terminal what was there is overwritten, so that nothing flickers.
 * 0 or -errno of the output. *visible: rows that had room.
 */
int top_draw(struct output *output, const struct top_picture *picture, size_t *visible);

#endif
