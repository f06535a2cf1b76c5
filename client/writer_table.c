// SPDX-License-Identifier: GPL-2.0-only
// Aligned columns. They widen when something does not fit and stay so; a narrow terminal gets
// fewer of them, and what is too long for its row there goes on below. What has no column
// follows as key=value.
#include <ctype.h>
#include <limits.h>
#include <string.h>

#include "categories.h"
#include "color.h"
#include "columns.h"
#include "text.h"
#include "writer.h"

#define GAP	     1	 /* spaces between columns */
#define IPV4_MAX     21	 /* with its port */
#define ENDPOINT_MAX 47	 /* [, 39 of IPv6, ]:, port */
#define CHOSEN_MAX   47	 /* how far a column of --fields widens, */
#define CHOSEN_PART  4	 /* and to which part of the terminal */
#define ONE_CATEGORY 220 /* least width of a terminal that shows a column with one value */
#define UNLIMITED    UINT_MAX

struct cell;
typedef void cell_fn(struct output *output, const struct cell *cell, const struct event *event);

/* A column of the layout that is used without --fields. */
struct preset {
	const char *title;
	unsigned from, below; /* widths of the terminal that show it */
	unsigned width;	      /* at first */
	unsigned most;	      /* how far it widens: a hostile name moves its own line only */
	cell_fn *put;
	const char *field;  /* of the connection */
	const char *second; /* with it: the port of an address, the pid of a comm */
};

/* A column that is shown. */
struct cell {
	cell_fn *put;
	const char *title;	     /* NULL: the name of the column */
	const struct column *column; /* of --fields */
	unsigned width, most;
	int field, second; /* indexes in the connection's schema */
};

static cell_fn cell_time, cell_time_ms, cell_category, cell_leading, cell_endpoint, cell_process,
	cell_field, cell_column;

/* clang-format off */
static const struct preset presets[] = {
	{"TIME", 0, 100, 12, 12, cell_time_ms, NULL, NULL},
	{"TIME", 100, UNLIMITED, 15, 15, cell_time, NULL, NULL},
	{"CATEGORY", 0, UNLIMITED, 8, 16, cell_category, NULL, NULL},
	{"EVENT", 0, UNLIMITED, 11, 16, cell_leading, NULL, NULL},
	{"LOCAL", 0, 120, 15, ENDPOINT_MAX, cell_endpoint, "laddr", "lport"},
	{"LOCAL", 120, UNLIMITED, IPV4_MAX, ENDPOINT_MAX, cell_endpoint, "laddr", "lport"},
	{"REMOTE", 0, 120, 15, ENDPOINT_MAX, cell_endpoint, "raddr", "rport"},
	{"REMOTE", 120, UNLIMITED, IPV4_MAX, ENDPOINT_MAX, cell_endpoint, "raddr", "rport"},
	{"PROCESS", 0, UNLIMITED, 15, 24, cell_process, "comm", "pid"},
	{"ROLE", 120, UNLIMITED, 6, 6, cell_field, "role", NULL},
	{"UID", 140, UNLIMITED, 5, 10, cell_field, "uid", NULL},
	{"CGROUP", 160, UNLIMITED, 6, 40, cell_field, "cgroup", NULL},
	{"NETNS", 220, UNLIMITED, 10, 10, cell_field, "netns", NULL},
	{"ID", 220, UNLIMITED, 8, 20, cell_field, "id", NULL},
	/* never: what its path says better */
	{"CGROUP_ID", UNLIMITED, UNLIMITED, 0, 0, cell_field, "cgroup_id", NULL},
};
/* clang-format on */

#define PRESETS (sizeof(presets) / sizeof(presets[0]))

static struct cell cells[COLUMNS_MAX];
static size_t cell_count;
static const struct time_format *time_format; /* NULL: as the column has it */
static unsigned terminal;		      /* its width */
static unsigned indent;			      /* of the rows that follow: below the second column */
static size_t row;			      /* where it begins in the output */
static uint64_t rest; /* fields of the connection that follow as key=value */
static bool details;  /* what happened, and the rest, as key=value */

static void put_time(struct output *output, const struct event *event,
		     const struct time_format *format)
{
	struct value time;

	if (event_time(event, &time))
		text_time(output, time_format ? time_format : format, time);
}

static void cell_time(struct output *output, const struct cell *cell, const struct event *event)
{
	(void)cell;
	put_time(output, event, &time_of_day);
}

static void cell_time_ms(struct output *output, const struct cell *cell, const struct event *event)
{
	(void)cell;
	put_time(output, event, &time_of_day_ms);
}

static void cell_category(struct output *output, const struct cell *cell, const struct event *event)
{
	(void)cell;
	if (event->category)
		output_text(output, event->category->name);
}

static void cell_leading(struct output *output, const struct cell *cell, const struct event *event)
{
	const struct message *detail = &event->detail;

	(void)cell;
	if (event->category && event_leads(detail))
		text_value(output, &detail->schema->fields[0], detail->values[0]);
}

static void cell_endpoint(struct output *output, const struct cell *cell, const struct event *event)
{
	text_endpoint(output, &event->connection, cell->field, cell->second);
}

static void cell_process(struct output *output, const struct cell *cell, const struct event *event)
{
	text_process(output, &event->connection, cell->field, cell->second);
}

static void cell_field(struct output *output, const struct cell *cell, const struct event *event)
{
	const struct message *connection = &event->connection;
	int i = cell->field;

	if (message_has(connection, i))
		text_value(output, &connection->schema->fields[i], connection->values[i]);
}

static void cell_column(struct output *output, const struct cell *cell, const struct event *event)
{
	column_value(output, cell->column, event, time_format ? time_format : &time_of_day);
}

/*
 * Moves what was written since start to a row of its own when it is too long for this one.
 * Returns where it begins then.
 */
static size_t wrap(struct output *output, size_t start)
{
	size_t length = output->used - start, end = start;
	char *data = output->data;

	while (end > row && data[end - 1] == ' ')
		end--;
	if (end == row || text_width(data + row, output->used - row) <= terminal ||
	    !output_room(output, 1 + indent))
		return start;
	memmove(data + end + 1 + indent, data + start, length);
	data[end] = '\n';
	row = end + 1;
	memset(data + row, ' ', indent);
	output->used = row + indent + length;
	return row + indent;
}

/* Fills up what was written since start, and widens the column when that was too long. */
static void pad(struct output *output, size_t start, struct cell *cell)
{
	size_t width;

	if (output->used == start)
		output_char(output, '-');
	start = wrap(output, start);
	width = text_width(output->data + start, output->used - start);
	if (width > cell->width)
		cell->width = (unsigned)(width < cell->most ? width : cell->most);
	output_spaces(output, (width < cell->width ? cell->width - width : 0) + GAP);
}

static bool is_shown(const struct preset *preset, const struct writer_layout *layout)
{
	unsigned from = preset->from;

	if (preset->put == cell_category && (layout->snapshot || layout->categories->count < 2))
		from = ONE_CATEGORY;
	if (preset->put == cell_time_ms && layout->snapshot) /* the room is worth more */
		return false;
	return terminal >= from && terminal < preset->below;
}

static bool is_time(cell_fn *put)
{
	return put == cell_time || put == cell_time_ms;
}

static void add_preset(const struct preset *preset, const struct writer_layout *layout)
{
	const struct schema *connection = event_connection_schema();
	struct cell *cell = &cells[cell_count];

	*cell = (struct cell){
		.put = preset->put,
		.title = preset->title,
		.width = preset->width,
		.most = preset->most,
		.field = preset->field ? schema_find(connection, preset->field) : -1,
		.second = preset->second ? schema_find(connection, preset->second) : -1,
	};
	if (is_time(cell->put) && time_format)
		cell->width = cell->most = time_format->width;
	if (cell->field >= 0)
		rest &= ~(1ull << cell->field);
	if (cell->second >= 0)
		rest &= ~(1ull << cell->second);
	cell_count += is_shown(preset, layout);
}

/* Columns that the longest value of the field takes, as far as that is known; or 0. */
static unsigned usual_width(const struct schema_field *field)
{
	static const struct {
		const char *name;
		unsigned width;
	} rows[] = {{"laddr", 15}, {"raddr", 15}, {"comm", 15}, {"pid", 7}, {"id", 8}};
	unsigned width = 0;

	for (unsigned i = 0; field->kind == SCHEMA_ENUM && i <= SCHEMA_NAMED_MAX; i++) {
		if (field->names[i].length > width + 2)
			width = field->names[i].length - 2u;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!strcmp(rows[i].name, field->name))
			width = rows[i].width;
	}
	return width;
}

static unsigned first_width(const struct column *column)
{
	const struct schema_field *field = column_field(column);

	if (field)
		return usual_width(field);
	if (column->place == COLUMN_TIME)
		return (time_format ? time_format : &time_of_day)->width;
	return 8;
}

static void add_column(const struct column *column)
{
	unsigned width = first_width(column), most = terminal / CHOSEN_PART;

	most = most < CHOSEN_MAX ? most : CHOSEN_MAX;
	cells[cell_count++] = (struct cell){
		.put = cell_column,
		.column = column,
		.width = width,
		.most = most > width ? most : width,
	};
}

/* One long address must not break all rows after it in a terminal without room for two. */
static void bound_endpoints(void)
{
	unsigned others = 0, endpoints = 0, most;

	for (size_t i = 0; i < cell_count; i++) {
		others += GAP + (cells[i].put == cell_endpoint ? 0 : cells[i].width);
		endpoints += cells[i].put == cell_endpoint;
	}
	most = endpoints && terminal > others ? (terminal - others) / endpoints : 0;
	most = most > IPV4_MAX ? most : IPV4_MAX;
	for (size_t i = 0; i < cell_count; i++) {
		if (cells[i].put == cell_endpoint && cells[i].most > most)
			cells[i].most = most;
	}
}

static void prepare(const struct writer_layout *layout)
{
	static struct columns chosen;

	chosen = *layout->columns;
	time_format = layout->time;
	terminal = layout->width ? layout->width : UNLIMITED - 1;
	rest = ~0ull;
	cell_count = 0;
	details = !chosen.count;
	for (size_t i = 0; details && i < PRESETS; i++)
		add_preset(&presets[i], layout);
	for (size_t i = 0; i < chosen.count; i++)
		add_column(&chosen.items[i]);
	bound_endpoints();
	indent = cells[0].width + GAP;
	if (indent > terminal / 2) /* the rest needs room as well */
		indent = GAP;
}

/* Titles of --fields are the fields' names, in capitals like all others. */
static void put_title(struct output *output, const struct cell *cell)
{
	size_t start = output->used;

	if (cell->title) {
		output_text(output, cell->title);
		return;
	}
	column_title(output, cell->column);
	for (size_t i = start; i < output->used; i++)
		output->data[i] = (char)toupper((unsigned char)output->data[i]);
}

static void trim(struct output *output)
{
	while (output->used > output->line && output->data[output->used - 1] == ' ')
		output->used--;
}

static void put_header(struct output *output)
{
	if (color_is_on())
		output_text(output, COLOR_HEADER);
	for (size_t i = 0; i < cell_count; i++) {
		size_t start = output->used;

		put_title(output, &cells[i]);
		if (output->used - start > cells[i].most)
			cells[i].most = (unsigned)(output->used - start);
		pad(output, start, &cells[i]);
	}
	if (details)
		output_text(output, "DETAILS");
	trim(output);
	if (color_is_on())
		output_text(output, COLOR_END);
	output_char(output, '\n');
}

static void table_start(struct output *output, const struct writer_layout *layout)
{
	prepare(layout);
	row = output->line = output->used;
	if (layout->header)
		put_header(output);
}

static void put_fields(struct output *output, const struct message *message, uint64_t which)
{
	for (uint64_t bits = message->present & which; bits; bits &= bits - 1) {
		size_t start = output->used;

		text_fields(output, message, bits & -bits);
		wrap(output, start);
		output_char(output, ' ');
	}
}

static void table_event(struct output *output, const struct event *event)
{
	row = output->used;
	for (size_t i = 0; i < cell_count; i++) {
		size_t start = output->used;

		cells[i].put(output, &cells[i], event);
		pad(output, start, &cells[i]);
	}
	if (details && event->category)
		put_fields(output, &event->detail, event_rest(&event->detail));
	if (details)
		put_fields(output, &event->also_detail, event_also_rest(event));
	if (details)
		put_fields(output, &event->connection, rest);
	trim(output);
}

const struct writer writer_table = {
	.name = "table",
	.help = "aligned columns",
	.columns = true,
	.colors = true,
	.start = table_start,
	.event = table_event,
};
