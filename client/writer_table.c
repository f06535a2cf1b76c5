// SPDX-License-Identifier: GPL-2.0-only
// Aligned columns. They widen when something does not fit and stay so; a narrow terminal gets
// fewer of them. What has no column follows as key=value.
#include "text.h"
#include "writer.h"

#define GAP	      1	  /* spaces between columns */
#define ENDPOINT_MAX  47  /* [, 39 of IPv6, ]:, port */
#define WIDTH_OF_NONE 200 /* what a file or a pipe gets */

struct column;
typedef void cell_fn(struct output *output, const struct column *column, const struct event *event);

struct column {
	const char *title;
	unsigned from;	/* least width of the terminal that shows it */
	unsigned width; /* at first */
	unsigned most;	/* how far it widens: a hostile name moves its own line only */
	cell_fn *cell;
	const char *field; /* of the connection */
	const char *port;  /* with an address as field */
};

static cell_fn cell_time, cell_category, cell_leading, cell_endpoint, cell_field;

static const struct column columns[] = {
	{"TIME", 0, 15, 15, cell_time, NULL, NULL},
	{"CATEGORY", 0, 8, 16, cell_category, NULL, NULL},
	{"EVENT", 0, 11, 16, cell_leading, NULL, NULL},
	{"LOCAL", 0, 15, ENDPOINT_MAX, cell_endpoint, "laddr", "lport"},
	{"REMOTE", 0, 15, ENDPOINT_MAX, cell_endpoint, "raddr", "rport"},
	{"ROLE", 120, 6, 6, cell_field, "role", NULL},
	{"PID", 100, 7, 7, cell_field, "pid", NULL},
	{"COMM", 100, 15, 15, cell_field, "comm", NULL},
	{"UID", 120, 5, 10, cell_field, "uid", NULL},
	{"NETNS", 160, 10, 10, cell_field, "netns", NULL},
	{"ID", 160, 8, 20, cell_field, "id", NULL},
	/* without a title: key=value, but not where it would only wrap */
	{NULL, WIDTH_OF_NONE, 0, 0, NULL, "cgroup", NULL},
	{NULL, WIDTH_OF_NONE + 1, 0, 0, NULL, "cgroup_id", NULL},
};

#define COUNT (sizeof(columns) / sizeof(columns[0]))

static struct state {
	bool shown;
	unsigned width;
	int field, port; /* indexes in the connection's schema */
} states[COUNT];
static uint64_t rest; /* fields of the connection that follow as key=value */
static int time_index;

static void cell_time(struct output *output, const struct column *column, const struct event *event)
{
	(void)column;
	if (message_has(&event->top, time_index))
		text_time(output, event->top.values[time_index]);
}

static void cell_category(struct output *output, const struct column *column,
			  const struct event *event)
{
	(void)column;
	if (event->category)
		output_text(output, event->category->name);
}

static void cell_leading(struct output *output, const struct column *column,
			 const struct event *event)
{
	const struct message *detail = &event->detail;

	(void)column;
	if (event->category && event_leads(detail))
		text_value(output, &detail->schema->fields[0], detail->values[0]);
}

static void cell_endpoint(struct output *output, const struct column *column,
			  const struct event *event)
{
	const struct state *state = &states[column - columns];

	text_endpoint(output, &event->connection, state->field, state->port);
}

static void cell_field(struct output *output, const struct column *column,
		       const struct event *event)
{
	const struct message *connection = &event->connection;
	int i = states[column - columns].field;

	if (message_has(connection, i))
		text_value(output, &connection->schema->fields[i], connection->values[i]);
}

/* Fills up what was written since start, and widens the column when that was too long. */
static void pad(struct output *output, size_t start, struct state *state, unsigned most)
{
	size_t width;

	if (output->used == start)
		output_char(output, '-');
	width = text_width(output->data + start, output->used - start);
	if (width > state->width)
		state->width = (unsigned)(width < most ? width : most);
	output_spaces(output, (width < state->width ? state->width - width : 0) + GAP);
}

static void trim(struct output *output)
{
	while (output->used > output->line && output->data[output->used - 1] == ' ')
		output->used--;
}

static void prepare(unsigned width)
{
	const struct schema *connection = event_connection_schema();

	time_index = schema_find(event_schema(), "time");
	rest = ~0ull;
	for (unsigned i = 0; i < COUNT; i++) {
		const struct column *column = &columns[i];
		bool wide = (width ? width : WIDTH_OF_NONE) >= column->from;

		states[i].field = column->field ? schema_find(connection, column->field) : -1;
		states[i].port = column->port ? schema_find(connection, column->port) : -1;
		states[i].shown = column->title && wide;
		states[i].width = column->width;
		if (states[i].field >= 0 && (column->title || !wide))
			rest &= ~(1ull << states[i].field);
		if (states[i].port >= 0)
			rest &= ~(1ull << states[i].port);
	}
}

static void table_start(struct output *output, unsigned width)
{
	prepare(width);
	for (unsigned i = 0; i < COUNT; i++) {
		size_t start = output->used;

		if (!states[i].shown)
			continue;
		output_text(output, columns[i].title);
		pad(output, start, &states[i], columns[i].most);
	}
	output_text(output, "DETAILS\n");
}

static void table_event(struct output *output, const struct event *event)
{
	const struct message *detail = &event->detail;
	uint64_t fields = event->category ? event_rest(detail) : 0;

	for (unsigned i = 0; i < COUNT; i++) {
		size_t start = output->used;

		if (!states[i].shown)
			continue;
		columns[i].cell(output, &columns[i], event);
		pad(output, start, &states[i], columns[i].most);
	}
	if (fields) {
		text_fields(output, detail, fields);
		output_char(output, ' ');
	}
	text_fields(output, &event->connection, rest);
	trim(output);
}

const struct writer writer_table = {
	.name = "table",
	.help = "aligned columns",
	.start = table_start,
	.event = table_event,
};
