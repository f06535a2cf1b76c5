// SPDX-License-Identifier: GPL-2.0-only
// Aligned columns. They widen when something does not fit and stay so; a narrow terminal gets
// fewer of them, and what is too long for its row there goes on below. What has no column
// follows as key=value.
#include <limits.h>

#include "text.h"
#include "writer.h"

#define GAP	     1	 /* spaces between columns */
#define IPV4_MAX     21	 /* with its port */
#define ENDPOINT_MAX 47	 /* [, 39 of IPv6, ]:, port */
#define ONE_CATEGORY 220 /* least width of a terminal that shows a column with one value */
#define UNLIMITED    UINT_MAX

struct column;
typedef void cell_fn(struct output *output, const struct column *column, const struct event *event);

struct column {
	const char *title;
	unsigned from, below; /* widths of the terminal that show it */
	unsigned width;	      /* at first */
	unsigned most;	      /* how far it widens: a hostile name moves its own line only */
	cell_fn *cell;
	const char *field;  /* of the connection */
	const char *second; /* with it: the port of an address, the pid of a comm */
};

static cell_fn cell_time, cell_time_ms, cell_category, cell_leading, cell_endpoint, cell_process,
	cell_field;

/* clang-format off */
static const struct column columns[] = {
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

#define COUNT (sizeof(columns) / sizeof(columns[0]))

static struct state {
	bool shown;
	unsigned width;
	int field, second; /* indexes in the connection's schema */
} states[COUNT];
static unsigned terminal; /* its width */
static unsigned indent;	  /* of the rows that follow: below the second column */
static size_t row;	  /* where it begins in the output */
static uint64_t rest;	  /* fields of the connection that follow as key=value */
static int time_index;

static void cell_time(struct output *output, const struct column *column, const struct event *event)
{
	(void)column;
	if (message_has(&event->top, time_index))
		text_time(output, event->top.values[time_index]);
}

static void cell_time_ms(struct output *output, const struct column *column,
			 const struct event *event)
{
	(void)column;
	if (message_has(&event->top, time_index))
		text_time_ms(output, event->top.values[time_index]);
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

	text_endpoint(output, &event->connection, state->field, state->second);
}

static void cell_process(struct output *output, const struct column *column,
			 const struct event *event)
{
	const struct state *state = &states[column - columns];

	text_process(output, &event->connection, state->field, state->second);
}

static void cell_field(struct output *output, const struct column *column,
		       const struct event *event)
{
	const struct message *connection = &event->connection;
	int i = states[column - columns].field;

	if (message_has(connection, i))
		text_value(output, &connection->schema->fields[i], connection->values[i]);
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
static void pad(struct output *output, size_t start, struct state *state, unsigned most)
{
	size_t width;

	if (output->used == start)
		output_char(output, '-');
	start = wrap(output, start);
	width = text_width(output->data + start, output->used - start);
	if (width > state->width)
		state->width = (unsigned)(width < most ? width : most);
	output_spaces(output, (width < state->width ? state->width - width : 0) + GAP);
}

static bool is_shown(const struct column *column, const struct writer_layout *layout)
{
	unsigned from = column->from;

	if (column->cell == cell_category && !layout->several)
		from = ONE_CATEGORY;
	if (column->cell == cell_time_ms && layout->snapshot) /* the room is worth more */
		return false;
	return terminal >= from && terminal < column->below;
}

static void prepare(const struct writer_layout *layout)
{
	const struct schema *connection = event_connection_schema();

	terminal = layout->width ? layout->width : UNLIMITED - 1;
	time_index = schema_find(event_schema(), "time");
	rest = ~0ull;
	indent = 0;
	for (unsigned i = 0; i < COUNT; i++) {
		const struct column *column = &columns[i];
		struct state *state = &states[i];

		state->field = column->field ? schema_find(connection, column->field) : -1;
		state->second = column->second ? schema_find(connection, column->second) : -1;
		state->shown = is_shown(column, layout);
		state->width = column->width;
		if (state->shown && !indent)
			indent = column->width + GAP;
		if (state->field >= 0)
			rest &= ~(1ull << state->field);
		if (state->second >= 0)
			rest &= ~(1ull << state->second);
	}
}

static void table_start(struct output *output, const struct writer_layout *layout)
{
	prepare(layout);
	row = output->used;
	for (unsigned i = 0; i < COUNT; i++) {
		size_t start = output->used;

		if (!states[i].shown)
			continue;
		output_text(output, columns[i].title);
		pad(output, start, &states[i], columns[i].most);
	}
	output_text(output, "DETAILS\n");
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

static void trim(struct output *output)
{
	while (output->used > output->line && output->data[output->used - 1] == ' ')
		output->used--;
}

static void table_event(struct output *output, const struct event *event)
{
	row = output->used;
	for (unsigned i = 0; i < COUNT; i++) {
		size_t start = output->used;

		if (!states[i].shown)
			continue;
		columns[i].cell(output, &columns[i], event);
		pad(output, start, &states[i], columns[i].most);
	}
	if (event->category)
		put_fields(output, &event->detail, event_rest(&event->detail));
	put_fields(output, &event->connection, rest);
	trim(output);
}

const struct writer writer_table = {
	.name = "table",
	.help = "aligned columns",
	.start = table_start,
	.event = table_event,
};
