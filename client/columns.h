/* SPDX-License-Identifier: GPL-2.0-only */
/* Columns of a table or of CSV: each is one field of an event, by its name in the schema. */
#ifndef NETWATCH_COLUMNS_H
#define NETWATCH_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>

#include "event.h"
#include "output.h"
#include "timestamp.h"

#define COLUMNS_MAX 192 /* all fields of all categories, and some twice */

struct categories;

enum column_place { COLUMN_TIME, COLUMN_CATEGORY, COLUMN_CONNECTION, COLUMN_DETAIL };

struct column {
	enum column_place place;
	const struct schema_field *category; /* of COLUMN_DETAIL */
	unsigned index;			     /* of the field in the connection, or in the category's
						message */
};

struct columns {
	struct column items[COLUMNS_MAX];
	size_t count;
};

/*
 * Adds the field of that name: time, category, laddr (or connection.laddr), conn.event; the name
 * of a message alone (connection, conn) stands for all its fields. 0, -EINVAL: there is none;
 * -E2BIG: they would be too many.
 */
int columns_add(struct columns *columns, const char *name);

/* All that the categories have: time, category, connection, losses, then each category's. */
void columns_add_all(struct columns *columns, const struct categories *categories);

/* Do they tell of a gap: have they the category, or a field of lost? */
bool columns_tell_losses(const struct columns *columns);

/* Writes the column's name. */
void column_title(struct output *output, const struct column *column);

/* Writes the column's value as text; nothing when the event does not have it. */
void column_value(struct output *output, const struct column *column, const struct event *event,
		  const struct time_format *format);

/* The field that the column shows, or NULL: the time, the category. */
const struct schema_field *column_field(const struct column *column);

#endif
