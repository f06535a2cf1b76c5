// SPDX-License-Identifier: GPL-2.0-only
// Takes an Event apart once, for whichever writer prints it.
#include <errno.h>
#include <string.h>

#include "cgroup.h"
#include "event.h"
#include "netwatch.pb-c.h"

#define LOST 3 /* number of netwatch.Event.lost */

static const struct schema *schema;
static const struct schema *connection_schema;
static int time_index, connection_index, cgroup_id_index, cgroup_index;
static uint64_t categories; /* members of Event that are one, one bit each */
static bool recorded;	    /* nothing is added to events */

int event_init(void)
{
	schema = schema_get(&netwatch__event__descriptor);
	connection_schema = schema_get(&netwatch__connection__descriptor);
	if (!schema || !connection_schema)
		return -ENOMEM;
	time_index = schema_find(schema, "time");
	connection_index = schema_find(schema, "connection");
	cgroup_id_index = schema_find(connection_schema, "cgroup_id");
	cgroup_index = schema_find(connection_schema, "cgroup");
	for (unsigned i = 0; i < schema->field_count; i++) {
		if (event_is_category(&schema->fields[i]))
			categories |= 1ull << i;
	}
	return 0;
}

void event_as_recorded(void)
{
	recorded = true;
}

const struct schema *event_schema(void)
{
	return schema;
}

const struct schema *event_connection_schema(void)
{
	return connection_schema;
}

bool event_is_category(const struct schema_field *field)
{
	return field->kind == SCHEMA_MESSAGE && field->message != connection_schema;
}

/* True when its path was added. */
static bool add_cgroup(struct message *connection)
{
	const char *path;
	size_t length;

	if (recorded || !message_has(connection, cgroup_id_index) ||
	    message_has(connection, cgroup_index))
		return false;
	path = cgroup_path(connection->values[cgroup_id_index].number, &length);
	if (!path)
		return false;
	connection->values[cgroup_index].data = (const uint8_t *)path;
	connection->values[cgroup_index].length = length;
	connection->present |= 1ull << cgroup_index;
	return true;
}

static int read_detail(const struct message *top, uint64_t members,
		       const struct schema_field **field, struct message *detail)
{
	int index = __builtin_ctzll(members);
	const struct value *value = &top->values[index];

	*field = &schema->fields[index];
	return message_read(detail, (*field)->message, value->data, value->length);
}

/* members: those that say what happened. */
static int read_details(struct event *event, uint64_t members)
{
	uint64_t others = members & (members - 1);
	int err = 0;

	if (members)
		err = read_detail(&event->top, members, &event->category, &event->detail);
	if (!err && others)
		err = read_detail(&event->top, others, &event->also, &event->also_detail);
	return err;
}

int event_read(struct event *event, const uint8_t *data, size_t size)
{
	struct message *top = &event->top;
	const struct value *value;
	int err = message_read(top, schema, data, size);

	if (err)
		return err;
	event->category = event->also = NULL;
	event->data = data;
	event->size = size;
	event->cgroup_added = false;
	event->connection.present = event->detail.present = event->also_detail.present = 0;
	event->connection.schema = connection_schema;
	if (message_has(top, connection_index)) {
		value = &top->values[connection_index];
		err = message_read(&event->connection, connection_schema, value->data,
				   value->length);
		if (err)
			return err;
		event->cgroup_added = add_cgroup(&event->connection);
	}
	return read_details(event, top->present & categories);
}

bool event_time(const struct event *event, struct value *timestamp)
{
	if (!message_has(&event->top, time_index))
		return false;
	*timestamp = event->top.values[time_index];
	return true;
}

bool event_leads(const struct message *detail)
{
	const struct schema_field *first = detail->present & 1 ? detail->schema->fields : NULL;

	return first && first->kind == SCHEMA_ENUM && !first->repeated;
}

/* The name that a field holds, if it is one. */
static const struct schema_name *single_name(const struct message *message, unsigned i)
{
	const struct schema_field *field = &message->schema->fields[i];

	if (!message_has(message, (int)i) || field->kind != SCHEMA_ENUM || field->repeated)
		return NULL;
	return schema_name(field, message->values[i].number);
}

uint64_t event_rest(const struct message *detail)
{
	uint64_t rest = detail->present;
	const struct schema_name *leading, *name;

	if (!event_leads(detail))
		return rest;
	rest &= ~1ull;
	leading = single_name(detail, 0);
	for (uint64_t bits = leading ? rest : 0; bits; bits &= bits - 1) {
		name = single_name(detail, (unsigned)__builtin_ctzll(bits));
		if (name && !memcmp(name, leading, sizeof(*name)))
			rest &= ~(bits & -bits);
	}
	return rest;
}

static bool repeats(const struct message *detail, const struct message *other, unsigned i)
{
	int index = schema_find(detail->schema, other->schema->fields[i].name);

	return single_name(other, i) && index >= 0 && single_name(detail, (unsigned)index) &&
	       detail->values[index].number == other->values[i].number;
}

uint64_t event_also_rest(const struct event *event)
{
	uint64_t rest = event->also_detail.present;

	for (uint64_t bits = rest; bits; bits &= bits - 1) {
		if (repeats(&event->detail, &event->also_detail, (unsigned)__builtin_ctzll(bits)))
			rest &= ~(bits & -bits);
	}
	return rest;
}

const struct message *event_detail(const struct event *event, const struct schema_field *member)
{
	if (member == event->category)
		return &event->detail;
	return member == event->also ? &event->also_detail : NULL;
}

struct value event_added_path(const struct event *event)
{
	return event->cgroup_added ? event->connection.values[cgroup_index]
				   : (struct value){.data = event->data};
}

uint64_t event_stage(const struct event *event)
{
	if (!event->category ||
	    event->category->message->descriptor != &netwatch__conn__descriptor ||
	    !event_leads(&event->detail))
		return 0;
	return event->detail.values[0].number;
}

bool event_is_lost(const struct event *event)
{
	return event->category && event->category->descriptor->id == LOST;
}
