// SPDX-License-Identifier: GPL-2.0-only
// JSON lines: ProtoJSON with the field names of the .proto file, counters as plain numbers.
#include "escape.h"
#include "text.h"
#include "writer.h"

#define UNIT_MAX 6 /* output bytes for one input byte: \uNNNN */

/* Bytes that stand for themselves in a string; all others need a look. */
static const bool plain[256] = {
	[' ' ... '!'] = true,
	['#' ... '['] = true,
	[']' ... '~'] = true,
};

static size_t put_rune(char *to, const char *text, size_t size, uint32_t rune)
{
	static const char hex[] = "0123456789abcdef";

	if (rune == '"' || rune == '\\') {
		to[0] = '\\';
		to[1] = (char)rune;
		return 2;
	}
	if (!escape_dangerous(rune)) {
		memcpy(to, text, size);
		return size;
	}
	/* all dangerous code points are below 0x10000 */
	memcpy(to, "\\u", 2);
	for (unsigned i = 0; i < 4; i++)
		to[2 + i] = hex[rune >> (12 - 4 * i) & 15];
	return UNIT_MAX;
}

/* One code point, or a byte that is none; returns the bytes taken from text. */
static size_t put_unit(char **to, const char *text, size_t size)
{
	uint32_t rune;
	size_t n = escape_utf8(text, size, &rune);

	if (n) {
		*to += put_rune(*to, text, n, rune);
		return n;
	}
	*(*to)++ = '\\'; /* that of escape_bytes' \xNN, itself escaped */
	*to += escape_bytes(*to, UNIT_MAX, text, 1);
	return 1;
}

static void put_string(struct output *output, const char *text, size_t length)
{
	char *start = output_room(output, length * UNIT_MAX + 3);
	char *to = start;

	if (!start)
		return;
	*to++ = '"';
	for (size_t i = 0; i < length;) {
		if (plain[(uint8_t)text[i]])
			*to++ = text[i++];
		else
			i += put_unit(&to, text + i, length - i);
	}
	*to++ = '"';
	output->used += (size_t)(to - start);
}

static void json_bool(struct output *output, const struct schema_field *field, struct value value)
{
	(void)field;
	output_text(output, value.number ? "true" : "false");
}

static void json_unsigned(struct output *output, const struct schema_field *field,
			  struct value value)
{
	(void)field;
	output_unsigned(output, value.number);
}

static void json_signed(struct output *output, const struct schema_field *field, struct value value)
{
	(void)field;
	output_signed(output, (int64_t)value.number);
}

static void json_id(struct output *output, const struct schema_field *field, struct value value)
{
	(void)field;
	output_char(output, '"');
	output_unsigned(output, value.number);
	output_char(output, '"');
}

static void json_enum(struct output *output, const struct schema_field *field, struct value value)
{
	const struct schema_name *name = schema_name(field, value.number);

	if (name)
		output_padded(output, name->quoted, sizeof(name->quoted), name->length);
	else
		output_signed(output, (int64_t)value.number);
}

static void json_string(struct output *output, const struct schema_field *field, struct value value)
{
	(void)field;
	put_string(output, (const char *)value.data, value.length);
}

static void json_timestamp(struct output *output, const struct schema_field *field,
			   struct value value)
{
	(void)field;
	output_char(output, '"');
	text_rfc3339(output, value);
	output_char(output, '"');
}

static void json_message(struct output *output, const struct schema_field *field,
			 struct value value)
{
	struct message message;

	if (message_read(&message, field->message, value.data, value.length))
		output->err = -EBADMSG;
	else
		writer_json_message(output, &message);
}

typedef void json_fn(struct output *output, const struct schema_field *field, struct value value);

static json_fn *const kinds[SCHEMA_KINDS] = {
	[SCHEMA_BOOL] = json_bool,	     [SCHEMA_UNSIGNED] = json_unsigned,
	[SCHEMA_SIGNED] = json_signed,	     [SCHEMA_ID] = json_id,
	[SCHEMA_ENUM] = json_enum,	     [SCHEMA_STRING] = json_string,
	[SCHEMA_TIMESTAMP] = json_timestamp, [SCHEMA_MESSAGE] = json_message,
};

static void put_array(struct output *output, const struct schema_field *field, struct value value)
{
	struct elements elements = message_elements(field, value);
	struct value element;
	char separator = '[';

	for (; message_next(&elements, &element); separator = ',') {
		output_char(output, separator);
		kinds[field->kind](output, field, element);
	}
	output_text(output, separator == '[' ? "[]" : "]");
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
		const struct schema_field *field = &message->schema->fields[i];

		output_padded(output, field->key, sizeof(field->key), field->key_length);
		if (field->repeated)
			put_array(output, field, message->values[i]);
		else
			kinds[field->kind](output, field, message->values[i]);
	}
	close_object(output, start);
}

static void json_event(struct output *output, const struct event *event)
{
	const struct message *top = &event->top;
	size_t start = output->used;

	for (uint64_t bits = top->present; bits; bits &= bits - 1) {
		unsigned i = (unsigned)__builtin_ctzll(bits);
		const struct schema_field *field = &top->schema->fields[i];

		output_padded(output, field->key, sizeof(field->key), field->key_length);
		/* read already, and the connection with its cgroup's path added */
		if (field->message == event->connection.schema)
			writer_json_message(output, &event->connection);
		else if (event->category == field)
			writer_json_message(output, &event->detail);
		else
			kinds[field->kind](output, field, top->values[i]);
	}
	close_object(output, start);
}

const struct writer writer_json = {
	.name = "json",
	.help = "one object per line",
	.losses = true,
	.event = json_event,
};
