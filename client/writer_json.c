// SPDX-License-Identifier: GPL-2.0-only
// JSON lines: ProtoJSON with the field names of the .proto file, counters as plain numbers.
#include <endian.h>
#include <string.h>

#include "escape.h"
#include "timestamp.h"
#include "writer.h"

#define VALUE_MAX                                                                      \
	TIMESTAMP_MAX /* the longest value but for strings, which need two quotes more \
		       */

/* Bytes that stand for themselves in a string; all others need a look. */
static const bool plain[256] = {
	[' ' ... '!'] = true,
	['#' ... '['] = true,
	[']' ... '~'] = true,
};

/*
 * The kinds of values, each into room of VALUE_MAX bytes, and ESCAPE_JSON_MAX for each byte of a
 * string. They return the end, or NULL: malformed.
 */
typedef char *put_fn(char *to, const struct schema_field *field, struct value value);

static char *put_string(char *to, const struct schema_field *field, struct value value)
{
	const char *text = (const char *)value.data;

	(void)field;
	*to++ = '"';
	for (size_t i = 0; i < value.length;) {
		if (plain[(uint8_t)text[i]])
			*to++ = text[i++];
		else
			i += escape_json_unit(&to, text + i, value.length - i);
	}
	*to++ = '"';
	return to;
}

static char *put_bool(char *to, const struct schema_field *field, struct value value)
{
	(void)field;
	return stpcpy(to, value.number ? "true" : "false");
}

static char *put_unsigned(char *to, const struct schema_field *field, struct value value)
{
	(void)field;
	return output_put_unsigned(to, value.number);
}

static char *put_signed(char *to, const struct schema_field *field, struct value value)
{
	(void)field;
	return output_put_signed(to, (int64_t)value.number);
}

static char *put_id(char *to, const struct schema_field *field, struct value value)
{
	(void)field;
	*to++ = '"';
	to = output_put_unsigned(to, value.number);
	*to++ = '"';
	return to;
}

static char *put_enum(char *to, const struct schema_field *field, struct value value)
{
	const struct schema_name *name = schema_name(field, value.number);

	if (!name)
		return output_put_signed(to, (int64_t)value.number);
	memcpy(to, name->quoted, sizeof(name->quoted)); /* a constant size is quicker */
	return to + name->length;
}

static char *put_timestamp(char *to, const struct schema_field *field, struct value value)
{
	(void)field;
	*to++ = '"';
	to = timestamp_put(to, &time_rfc3339, value);
	if (to)
		*to++ = '"';
	return to;
}

static put_fn *const kinds[SCHEMA_KINDS] = {
	[SCHEMA_BOOL] = put_bool,	    [SCHEMA_UNSIGNED] = put_unsigned,
	[SCHEMA_SIGNED] = put_signed,	    [SCHEMA_ID] = put_id,
	[SCHEMA_ENUM] = put_enum,	    [SCHEMA_STRING] = put_string,
	[SCHEMA_TIMESTAMP] = put_timestamp,
};

/* Room for what comes before a value that is no message, and for that value. */
static char *value_room(struct output *output, size_t before, struct value value)
{
	return output_room(output, before + VALUE_MAX + value.length * ESCAPE_JSON_MAX);
}

static void put_value(struct output *output, char *to, const struct schema_field *field,
		      struct value value)
{
	to = kinds[field->kind](to, field, value);
	if (to)
		output_take(output, to);
	else
		output->err = -EBADMSG;
}

static void put_nested(struct output *output, const struct schema_field *field, struct value value)
{
	struct message message;

	if (message_read(&message, field->message, value.data, value.length))
		output->err = -EBADMSG;
	else
		writer_json_message(output, &message);
}

static void put_array(struct output *output, const struct schema_field *field, struct value value)
{
	struct elements elements = message_elements(field, value);
	struct value element;
	char separator = '[';

	for (; message_next(&elements, &element); separator = ',') {
		char *to;

		output_char(output, separator);
		to = value_room(output, 0, element);
		if (to && kinds[field->kind])
			put_value(output, to, field, element);
		else if (to)
			put_nested(output, field, element);
	}
	output_text(output, separator == '[' ? "[]" : "]");
}

static void put_key(struct output *output, const struct schema_field *field)
{
	output_bytes(output, field->key, field->key_length);
}

static void put_member(struct output *output, const struct schema_field *field, struct value value)
{
	char *to;

	if (field->repeated || !kinds[field->kind]) {
		put_key(output, field);
		(field->repeated ? put_array : put_nested)(output, field, value);
		return;
	}
	to = value_room(output, sizeof(field->key), value);
	if (!to)
		return;
	memcpy(to, field->key, sizeof(field->key)); /* a constant size is quicker */
	put_value(output, to + field->key_length, field, value);
}

/* Each key came with a comma before it. Turns the first, at start, into the brace. */
static void close_object(struct output *output, size_t start)
{
	if (output->used == start)
		output_char(output, '{');
	else if (!output->err)
		output->data[start] = '{';
	output_char(output, '}');
}

void writer_json_message(struct output *output, const struct message *message)
{
	size_t start = output->used;

	for (uint64_t bits = message->present; bits; bits &= bits - 1) {
		unsigned i = (unsigned)__builtin_ctzll(bits);

		put_member(output, &message->schema->fields[i], message->values[i]);
	}
	close_object(output, start);
}

void writer_json_text(struct output *output, const char *text)
{
	struct value value = {.data = (const uint8_t *)text, .length = strlen(text)};
	char *to = value_room(output, 0, value);

	if (to)
		output_take(output, put_string(to, NULL, value));
}

/*
 * Connections as they were last written, found by their wire bytes, which differ in the id: most
 * events are of a connection that had one just now, and the connection is most of a line.
 */
#define WRITTEN	    64
#define WRITTEN_KEY 256 /* longest wire bytes and cgroup's path; of others nothing is kept */
#define WRITTEN_MAX 768

struct written {
	size_t wire, path, text;
	uint8_t key[WRITTEN_KEY]; /* wire bytes, path */
	char data[WRITTEN_MAX];
};

static struct written *place_of(struct value wire)
{
	static struct written all[WRITTEN];
	uint32_t id = 0;

	if (wire.length > sizeof(id))
		memcpy(&id, wire.data + 1, sizeof(id)); /* behind the tag */
	return &all[le32toh(id) % WRITTEN];
}

static bool is_same(const struct written *written, struct value wire, struct value path)
{
	return written->text && written->wire == wire.length && written->path == path.length &&
	       !memcmp(written->key, wire.data, wire.length) &&
	       !memcmp(written->key + wire.length, path.data, path.length);
}

/* wire: what the connection was read from. */
static void put_connection(struct output *output, const struct event *event, struct value wire)
{
	struct written *written = place_of(wire);
	struct value path = event_added_path(event);
	size_t start = output->used, size;

	if (is_same(written, wire, path)) {
		output_bytes(output, written->data, written->text);
		return;
	}
	writer_json_message(output, &event->connection);
	size = output->used - start;
	written->text = 0;
	if (output->err || wire.length + path.length > WRITTEN_KEY || size > WRITTEN_MAX)
		return;
	written->wire = wire.length;
	written->path = path.length;
	written->text = size;
	memcpy(written->key, wire.data, wire.length);
	memcpy(written->key + wire.length, path.data, path.length);
	memcpy(written->data, output->data + start, size);
}

static void json_event(struct output *output, const struct event *event)
{
	const struct message *top = &event->top;
	size_t start = output->used;

	for (uint64_t bits = top->present; bits; bits &= bits - 1) {
		unsigned i = (unsigned)__builtin_ctzll(bits);
		const struct schema_field *field = &top->schema->fields[i];
		const struct message *detail = event_detail(event, field);

		if (detail || field->message == event->connection.schema)
			put_key(output, field);
		if (detail)
			writer_json_message(output, detail);
		else if (field->message == event->connection.schema)
			put_connection(output, event, top->values[i]);
		else
			put_member(output, field, top->values[i]);
	}
	close_object(output, start);
}

const struct writer writer_json = {
	.name = "json",
	.help = "one object per line",
	.losses = true,
	.event = json_event,
};
