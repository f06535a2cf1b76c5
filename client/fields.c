// SPDX-License-Identifier: GPL-2.0-only
// netwatch fields: all columns that --fields takes. Names, types and order come from the schema,
// meanings and units from the comments of the .proto.
#include <string.h>
#include <unistd.h>

#include "categories.h"
#include "columns.h"
#include "commands.h"
#include "exit.h"
#include "fields.h"
#include "log.h"
#include "options.h"
#include "text.h"
#include "writer.h"

#define GAP	     2
#define VALUE_INDENT 2
#define MEANING_MIN  20 /* columns that meanings take on the narrowest terminal */

static const struct comment comments[] = {
#include "comments.inc"
};

/* Where the columns of the table begin. */
struct layout {
	size_t type, unit, meaning;
	size_t width; /* of the meanings, or 0: they are not wrapped */
};

const struct comment *fields_comment(const char *type, const char *member)
{
	for (size_t i = 0; i < sizeof(comments) / sizeof(comments[0]); i++) {
		if (!strcmp(comments[i].type, type) && !strcmp(comments[i].member, member))
			return &comments[i];
	}
	return NULL;
}

static const struct comment *comment_of(const struct column *column)
{
	static const struct comment category = {
		.member = "category",
		.text = "what happened: the name of the member of Event that is there",
	};
	const char *event = event_schema()->descriptor->name;

	switch (column->place) {
	case COLUMN_TIME:
		return fields_comment(event, "time");
	case COLUMN_CATEGORY:
		return &category;
	case COLUMN_CONNECTION:
		event = event_connection_schema()->descriptor->name;
		break;
	case COLUMN_DETAIL:
		event = column->category->message->descriptor->name;
		break;
	}
	return fields_comment(event, column_field(column)->name);
}

/* The next name that the column's value may be, from *index on; NULL: no more. */
static const struct comment *next_value(const struct column *column, unsigned *index)
{
	const struct schema_field *field = column_field(column);
	const struct schema *schema = event_schema();

	while (column->place == COLUMN_CATEGORY && *index < schema->field_count) {
		field = &schema->fields[(*index)++];
		if (event_is_category(field))
			return fields_comment(schema->descriptor->name, field->name);
	}
	if (field && field->kind == SCHEMA_ENUM && column->place != COLUMN_CATEGORY) {
		const ProtobufCEnumDescriptor *names = field->descriptor->descriptor;

		if (*index < names->n_values)
			return fields_comment(names->name, names->values[(*index)++].name);
	}
	return NULL;
}

/* As JSON and CSV have it. */
static void put_type(struct output *output, const struct column *column)
{
	static const char *const words[SCHEMA_KINDS] = {
		[SCHEMA_UNSUPPORTED] = "unknown",
		[SCHEMA_BOOL] = "boolean",
		[SCHEMA_UNSIGNED] = "number",
		[SCHEMA_SIGNED] = "number",
		[SCHEMA_ID] = "id",
		[SCHEMA_ENUM] = "name",
		[SCHEMA_STRING] = "string",
		[SCHEMA_TIMESTAMP] = "time",
		[SCHEMA_MESSAGE] = "object",
	};
	const struct schema_field *field = column_field(column);

	if (!field) {
		output_text(output, column->place == COLUMN_TIME ? "time" : "name");
		return;
	}
	output_text(output, field->repeated ? "list of " : "");
	output_text(output, words[field->kind]);
	output_text(output, field->repeated ? "s" : "");
}

/* Fills the line, which began at start, with spaces up to column. */
static void pad(struct output *output, size_t start, size_t column)
{
	size_t width = text_width(output->data + start, output->used - start);

	output_spaces(output, width < column ? column - width : 0);
}

/* The words of text, in lines of the layout's width. */
static void put_meaning(struct output *output, const char *text, const struct layout *layout)
{
	size_t used = 0;

	while (*text) {
		size_t length = strcspn(text, " ");
		size_t width = text_width(text, length);
		/* A name that is too long for the column begins before it. */
		size_t beyond = width > layout->width ? width - layout->width : 0;

		if (used && layout->width && used + 1 + width > layout->width) {
			output_char(output, '\n');
			output_spaces(output,
				      layout->meaning - (beyond < layout->meaning ? beyond : 0));
			used = 0;
		}
		if (used)
			output_char(output, ' ');
		output_bytes(output, text, length);
		used += width + (used ? 1 : 0);
		text += length + (text[length] ? 1 : 0);
	}
	output_char(output, '\n');
}

static void put_row(struct output *output, const struct column *column, const struct layout *layout)
{
	const struct comment *comment = comment_of(column), *value;
	size_t start = output->used;
	unsigned index = 0;

	column_title(output, column);
	pad(output, start, layout->type);
	put_type(output, column);
	pad(output, start, layout->unit);
	output_text(output, comment->unit ? comment->unit : "-");
	pad(output, start, layout->meaning);
	put_meaning(output, comment->text, layout);
	while ((value = next_value(column, &index))) {
		start = output->used;
		output_spaces(output, VALUE_INDENT);
		output_text(output, value->member);
		pad(output, start, layout->meaning);
		put_meaning(output, value->text, layout);
	}
}

static void widen(size_t *widest, size_t width)
{
	if (width > *widest)
		*widest = width;
}

/* Writes everything once, to see how wide it is, and takes it back. */
static struct layout measure(struct output *output, const struct columns *columns)
{
	size_t name = strlen("NAME"), type = strlen("TYPE"), unit = strlen("UNIT");
	size_t terminal = output_columns(output->fd), start = output->used;
	struct layout layout;

	for (size_t i = 0; i < columns->count; i++) {
		const struct comment *comment = comment_of(&columns->items[i]);

		column_title(output, &columns->items[i]);
		widen(&name, output->used - start);
		output->used = start;
		put_type(output, &columns->items[i]);
		widen(&type, output->used - start);
		output->used = start;
		widen(&unit, comment->unit ? strlen(comment->unit) : 0);
	}
	layout.type = name + GAP;
	layout.unit = layout.type + type + GAP;
	layout.meaning = layout.unit + unit + GAP;
	layout.width = terminal;
	if (terminal)
		layout.width = terminal < layout.meaning + MEANING_MIN ? MEANING_MIN
								       : terminal - layout.meaning;
	return layout;
}

static void put_table(struct output *output, const struct columns *columns)
{
	struct layout layout = measure(output, columns);
	size_t start = output->used;

	output_text(output, "NAME");
	pad(output, start, layout.type);
	output_text(output, "TYPE");
	pad(output, start, layout.unit);
	output_text(output, "UNIT");
	pad(output, start, layout.meaning);
	output_text(output, "MEANING\n");
	for (size_t i = 0; i < columns->count; i++)
		put_row(output, &columns->items[i], &layout);
}

static void put_member(struct output *output, const char *key, const char *text)
{
	output_text(output, key);
	writer_json_text(output, text);
}

static void put_object(struct output *output, const struct column *column)
{
	const struct comment *comment = comment_of(column), *value;
	const char *separator = ",\"values\":[";
	unsigned index = 0;

	output_text(output, "{\"name\":\"");
	column_title(output, column);
	output_text(output, "\",\"type\":\"");
	put_type(output, column);
	output_char(output, '"');
	if (comment->unit)
		put_member(output, ",\"unit\":", comment->unit);
	put_member(output, ",\"meaning\":", comment->text);
	for (; (value = next_value(column, &index)); separator = ",") {
		output_text(output, separator);
		put_member(output, "{\"name\":", value->member);
		put_member(output, ",\"meaning\":", value->text);
		output_char(output, '}');
	}
	output_text(output, index ? "]}\n" : "}\n");
}

int fields_run(struct options *options)
{
	struct categories categories = {.count = 0};
	static struct columns columns;
	struct output output;
	int status;

	if (options->writer != &writer_table && options->writer != &writer_json) {
		log_error("fields come out as table or json, not as %s", options->writer->name);
		return EXIT_USAGE;
	}
	if (output_init(&output, STDOUT_FILENO)) {
		log_error("out of memory");
		return EXIT_ERROR;
	}
	categories_add_all(&categories);
	columns_add_all(&columns, &categories);
	if (options->writer == &writer_table)
		put_table(&output, &columns);
	for (size_t i = 0; options->writer == &writer_json && i < columns.count; i++)
		put_object(&output, &columns.items[i]);
	status = output_finish(&output);
	output_deinit(&output);
	return status;
}
