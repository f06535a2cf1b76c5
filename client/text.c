// SPDX-License-Identifier: GPL-2.0-only
// Values as text for people, shared by the formats that are not JSON.
#include "color.h"
#include "escape.h"
#include "text.h"

void text_escaped(struct output *output, const void *text, size_t length)
{
	size_t size = length * ESCAPE_MAX + 1;
	char *to = output_room(output, size);

	if (to)
		output->used += escape_terminal(to, size, text, length);
}

static void text_bool(struct output *output, const struct schema_field *field, struct value value)
{
	(void)field;
	output_text(output, value.number ? "true" : "false");
}

static void text_unsigned(struct output *output, const struct schema_field *field,
			  struct value value)
{
	(void)field;
	output_unsigned(output, value.number);
}

static void text_signed(struct output *output, const struct schema_field *field, struct value value)
{
	(void)field;
	output_signed(output, (int64_t)value.number);
}

static void text_enum(struct output *output, const struct schema_field *field, struct value value)
{
	const struct schema_name *name = schema_name(field, value.number);
	const char *color = name ? color_of(name->quoted + 1, name->length - 2u) : NULL;

	if (color)
		output_text(output, color);
	if (name)
		output_bytes(output, name->quoted + 1, name->length - 2u);
	else
		output_signed(output, (int64_t)value.number);
	if (color)
		output_text(output, COLOR_END);
}

static void text_string(struct output *output, const struct schema_field *field, struct value value)
{
	(void)field;
	text_escaped(output, value.data, value.length);
}

static void text_timestamp(struct output *output, const struct schema_field *field,
			   struct value value)
{
	(void)field;
	text_time(output, &time_rfc3339, value);
}

static void text_message(struct output *output, const struct schema_field *field,
			 struct value value)
{
	struct message message;

	if (message_read(&message, field->message, value.data, value.length)) {
		output->err = -EBADMSG;
		return;
	}
	output_char(output, '{');
	text_fields(output, &message, message.present);
	output_char(output, '}');
}

typedef void text_fn(struct output *output, const struct schema_field *field, struct value value);

static text_fn *const kinds[SCHEMA_KINDS] = {
	[SCHEMA_BOOL] = text_bool,	     [SCHEMA_UNSIGNED] = text_unsigned,
	[SCHEMA_SIGNED] = text_signed,	     [SCHEMA_ID] = text_unsigned,
	[SCHEMA_ENUM] = text_enum,	     [SCHEMA_STRING] = text_string,
	[SCHEMA_TIMESTAMP] = text_timestamp, [SCHEMA_MESSAGE] = text_message,
};

void text_value(struct output *output, const struct schema_field *field, struct value value)
{
	struct elements elements;
	struct value element;
	bool more = false;

	if (!field->repeated) {
		kinds[field->kind](output, field, value);
		return;
	}
	elements = message_elements(field, value);
	for (; message_next(&elements, &element); more = true) {
		if (more)
			output_char(output, ',');
		kinds[field->kind](output, field, element);
	}
}

/* A list of key=value stays readable by programs only when spaces inside of values stand out. */
static bool needs_quotes(const struct schema_field *field, struct value value)
{
	return field->kind == SCHEMA_STRING && !field->repeated &&
	       (!value.length || memchr(value.data, ' ', value.length) ||
		memchr(value.data, '"', value.length));
}

void text_fields(struct output *output, const struct message *message, uint64_t which)
{
	const char *separator = "";

	for (uint64_t bits = message->present & which; bits; bits &= bits - 1) {
		unsigned i = (unsigned)__builtin_ctzll(bits);
		const struct schema_field *field = &message->schema->fields[i];
		bool quotes = needs_quotes(field, message->values[i]);

		output_text(output, separator);
		separator = " ";
		output_text(output, field->name);
		output_text(output, quotes ? "=\"" : "=");
		text_value(output, field, message->values[i]);
		if (quotes)
			output_char(output, '"');
	}
}

void text_time(struct output *output, const struct time_format *format, struct value timestamp)
{
	char *to = output_room(output, TIMESTAMP_MAX);

	if (!to)
		return;
	to = timestamp_put(to, format, timestamp);
	if (to)
		output_take(output, to);
	else
		output->err = -EBADMSG;
}

void text_endpoint(struct output *output, const struct message *message, int address, int port)
{
	const struct value *host;
	bool ipv6;

	if (!message_has(message, address)) {
		output_char(output, '-');
		return;
	}
	host = &message->values[address];
	ipv6 = memchr(host->data, ':', host->length);
	if (ipv6)
		output_char(output, '[');
	text_escaped(output, host->data, host->length);
	output_text(output, ipv6 ? "]:" : ":");
	if (message_has(message, port))
		output_unsigned(output, message->values[port].number);
	else
		output_char(output, '*');
}

void text_process(struct output *output, const struct message *message, int comm, int pid)
{
	if (message_has(message, comm))
		text_value(output, &message->schema->fields[comm], message->values[comm]);
	else
		output_char(output, '-');
	if (!message_has(message, pid))
		return;
	output_char(output, '[');
	output_unsigned(output, message->values[pid].number);
	output_char(output, ']');
}

/* Bytes of the colour that begins here, or 0. Escapes of others are not in our output. */
static size_t color_length(const char *text, size_t size)
{
	const char *end = *text == '\033' ? memchr(text, 'm', size) : NULL;

	return end ? (size_t)(end - text) + 1 : 0;
}

size_t text_width(const char *text, size_t size)
{
	size_t width = 0, color;

	for (size_t i = 0; i < size; i += color ? color : 1) {
		color = color_length(text + i, size - i);
		width += !color && ((unsigned char)text[i] & 0xc0) != 0x80;
	}
	return width;
}
