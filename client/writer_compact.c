// SPDX-License-Identifier: GPL-2.0-only
// One short line for each event: when, who, from where to where, and what happened.

#include "netwatch.pb-c.h"
#include "text.h"
#include "writer.h"

static const struct time_format *time_format;
static int pid_index, comm_index, laddr, lport, raddr, rport, role_index;

static void compact_start(struct output *output, const struct writer_layout *layout)
{
	const struct schema *connection = event_connection_schema();

	(void)output;
	time_format = layout->time ? layout->time : &time_of_day;
	pid_index = schema_find(connection, "pid");
	comm_index = schema_find(connection, "comm");
	laddr = schema_find(connection, "laddr");
	lport = schema_find(connection, "lport");
	raddr = schema_find(connection, "raddr");
	rport = schema_find(connection, "rport");
	role_index = schema_find(connection, "role");
}

/* The arrow goes from client to server. */
static const char *arrow(const struct message *connection)
{
	if (!message_has(connection, role_index))
		return " - ";
	return connection->values[role_index].number == NETWATCH__ROLE__SERVER ? " < " : " > ";
}

static void put_detail(struct output *output, const struct message *detail)
{
	uint64_t rest = event_rest(detail);

	if (event_leads(detail)) {
		output_char(output, ' ');
		text_value(output, &detail->schema->fields[0], detail->values[0]);
	}
	if (!rest)
		return;
	output_char(output, ' ');
	text_fields(output, detail, rest);
}

static void compact_event(struct output *output, const struct event *event)
{
	const struct message *connection = &event->connection;
	struct value time;

	if (event_time(event, &time)) {
		text_time(output, time_format, time);
		output_char(output, ' ');
	}
	if (connection->present) {
		text_process(output, connection, comm_index, pid_index);
		output_char(output, ' ');
		text_endpoint(output, connection, laddr, lport);
		output_text(output, arrow(connection));
		text_endpoint(output, connection, raddr, rport);
		output_char(output, ' ');
	}
	output_text(output, event->category ? event->category->name : "-");
	if (event->category)
		put_detail(output, &event->detail);
	if (event->also) {
		output_char(output, ' ');
		text_fields(output, &event->also_detail, event_also_rest(event));
	}
}

const struct writer writer_compact = {
	.name = "compact",
	.help = "one short line",
	.colors = true,
	.start = compact_start,
	.event = compact_event,
};
