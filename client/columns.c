// SPDX-License-Identifier: GPL-2.0-only
// Names of fields, looked up in the schema.
#include <errno.h>
#include <string.h>

#include "categories.h"
#include "columns.h"
#include "text.h"

static int add(struct columns *columns, struct column column)
{
	if (columns->count == COLUMNS_MAX)
		return -E2BIG;
	columns->items[columns->count++] = column;
	return 0;
}

/* category: NULL for the connection. field: NULL for all. */
static int add_fields(struct columns *columns, const struct schema_field *category,
		      const char *field)
{
	const struct schema *schema = category ? category->message : event_connection_schema();
	int err = -EINVAL;

	for (unsigned i = 0; i < schema->field_count; i++) {
		if (field && strcmp(schema->fields[i].name, field))
			continue;
		err = add(columns, (struct column){
					   .place = category ? COLUMN_DETAIL : COLUMN_CONNECTION,
					   .category = category,
					   .index = i,
				   });
		if (err)
			return err;
	}
	return err;
}

/* The category of an event whose name has that length, or NULL. */
static const struct schema_field *find_category(const char *name, size_t length)
{
	const struct schema *schema = event_schema();

	for (unsigned i = 0; i < schema->field_count; i++) {
		const struct schema_field *field = &schema->fields[i];

		if (event_is_category(field) && strlen(field->name) == length &&
		    !memcmp(field->name, name, length))
			return field;
	}
	return NULL;
}

int columns_add(struct columns *columns, const char *name)
{
	size_t length = strcspn(name, ".");
	const char *field = name[length] ? name + length + 1 : NULL;
	const struct schema_field *category = find_category(name, length);

	if (!strcmp(name, "time"))
		return add(columns, (struct column){.place = COLUMN_TIME});
	if (!strcmp(name, "category"))
		return add(columns, (struct column){.place = COLUMN_CATEGORY});
	if (category)
		return add_fields(columns, category, field);
	if (length == strlen("connection") && !strncmp(name, "connection", length))
		return add_fields(columns, NULL, field);
	return field ? -EINVAL : add_fields(columns, NULL, name);
}

void columns_add_all(struct columns *columns, const struct categories *categories)
{
	const struct schema *schema = event_schema();

	columns_add(columns, "time");
	columns_add(columns, "category");
	columns_add(columns, "connection");
	for (unsigned i = 0; i < schema->field_count; i++) {
		const char *name = schema->fields[i].name;

		if (!strcmp(name, "lost") || categories_have(categories, name))
			columns_add(columns, name);
	}
}

bool columns_tell_losses(const struct columns *columns)
{
	for (size_t i = 0; i < columns->count; i++) {
		const struct column *column = &columns->items[i];

		if (column->place == COLUMN_CATEGORY ||
		    (column->place == COLUMN_DETAIL && !strcmp(column->category->name, "lost")))
			return true;
	}
	return false;
}

const struct schema_field *column_field(const struct column *column)
{
	if (column->place == COLUMN_CONNECTION)
		return &event_connection_schema()->fields[column->index];
	return column->place == COLUMN_DETAIL ? &column->category->message->fields[column->index]
					      : NULL;
}

void column_title(struct output *output, const struct column *column)
{
	if (column->place == COLUMN_DETAIL) {
		output_text(output, column->category->name);
		output_char(output, '.');
	}
	if (column->place == COLUMN_TIME)
		output_text(output, "time");
	else if (column->place == COLUMN_CATEGORY)
		output_text(output, "category");
	else
		output_text(output, column_field(column)->name);
}

static void put_field(struct output *output, const struct schema_field *field, struct value value,
		      const struct time_format *format)
{
	if (field->kind == SCHEMA_TIMESTAMP && !field->repeated && !format->relative)
		text_time(output, format, value);
	else
		text_value(output, field, value);
}

void column_value(struct output *output, const struct column *column, const struct event *event,
		  const struct time_format *format)
{
	const struct message *message = &event->connection;
	struct value time;

	switch (column->place) {
	case COLUMN_TIME:
		if (event_time(event, &time))
			text_time(output, format, time);
		return;
	case COLUMN_CATEGORY:
		output_text(output, event->category->name);
		return;
	case COLUMN_DETAIL:
		message = event_detail(event, column->category);
		if (!message)
			return;
		break;
	case COLUMN_CONNECTION:
		break;
	}
	if (message_has(message, (int)column->index))
		put_field(output, &message->schema->fields[column->index],
			  message->values[column->index], format);
}
