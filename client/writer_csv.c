// SPDX-License-Identifier: GPL-2.0-only
// CSV as in RFC 4180, with the newline of this system: a header, and a row for each event.
#include <string.h>

#include "columns.h"
#include "writer.h"

static struct columns columns;
static const struct time_format *time_format;

/* Many readers drop spaces at the ends; and a row of one empty field would be no row at all. */
static bool needs_quotes(const char *data, size_t length)
{
	if (!length)
		return columns.count == 1;
	return data[0] == ' ' || data[length - 1] == ' ' || memchr(data, ',', length) ||
	       memchr(data, '"', length);
}

/* Quotes what was written since start when something in it makes that necessary. */
static void quote(struct output *output, size_t start)
{
	size_t length = output->used - start, quotes = 0;
	char *data = output->data + start, *to;

	if (output->err || !needs_quotes(data, length))
		return;
	for (size_t i = 0; i < length; i++)
		quotes += data[i] == '"';
	if (!output_room(output, quotes + 2))
		return;
	to = data + length + quotes + 2;
	output->used = start + length + quotes + 2;
	*--to = '"';
	for (size_t i = length; i--;) {
		*--to = data[i];
		if (data[i] == '"')
			*--to = '"';
	}
	*--to = '"';
}

static void csv_start(struct output *output, const struct writer_layout *layout)
{
	columns = *layout->columns;
	if (!columns.count)
		columns_add_all(&columns, layout->categories);
	time_format = layout->time ? layout->time : &time_rfc3339;
	for (size_t i = 0; layout->header && i < columns.count; i++) {
		if (i)
			output_char(output, ',');
		column_title(output, &columns.items[i]);
	}
	if (layout->header)
		output_char(output, '\n');
}

static void csv_event(struct output *output, const struct event *event)
{
	for (size_t i = 0; i < columns.count; i++) {
		size_t start;

		if (i)
			output_char(output, ',');
		start = output->used;
		column_value(output, &columns.items[i], event, time_format);
		quote(output, start);
	}
}

const struct writer writer_csv = {
	.name = "csv",
	.help = "a header, and a row for each event",
	.losses = true,
	.columns = true,
	.start = csv_start,
	.event = csv_event,
};
