// SPDX-License-Identifier: GPL-2.0-only
// Values as text for people, shared by the formats that are not JSON.
#include <time.h>

#include "escape.h"
#include "text.h"

#define SECONDS_MAX 253402300799 /* end of the year 9999, and of RFC 3339 */

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

	if (name)
		output_bytes(output, name->quoted + 1, name->length - 2u);
	else
		output_signed(output, (int64_t)value.number);
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
	text_time(output, value);
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

/* The date of a second, as that of the previous line, nearly always. */
struct second {
	int64_t seconds;
	size_t length;
	char text[32];
};

static void put_second(struct output *output, struct second *second, int64_t seconds, bool utc)
{
	time_t time = (time_t)seconds;
	struct tm tm;

	if (!second->length || second->seconds != seconds) {
		if (utc)
			gmtime_r(&time, &tm);
		else
			localtime_r(&time, &tm);
		second->length = strftime(second->text, sizeof(second->text),
					  utc ? "%Y-%m-%dT%H:%M:%S." : "%H:%M:%S.", &tm);
		second->seconds = seconds;
	}
	output_padded(output, second->text, sizeof(second->text), second->length);
}

static void put_time(struct output *output, struct second *second, struct value timestamp, bool utc)
{
	uint32_t nanoseconds;
	int64_t seconds;

	if (message_time(timestamp, &seconds, &nanoseconds) || seconds < 0 ||
	    seconds > SECONDS_MAX) {
		output->err = -EBADMSG;
		return;
	}
	put_second(output, second, seconds, utc);
	if (utc)
		output_digits(output, nanoseconds, 9);
	else
		output_digits(output, nanoseconds / 1000, 6);
}

void text_time(struct output *output, struct value timestamp)
{
	static struct second second;

	put_time(output, &second, timestamp, false);
}

void text_rfc3339(struct output *output, struct value timestamp)
{
	static struct second second;

	put_time(output, &second, timestamp, true);
	output_char(output, 'Z');
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

size_t text_width(const char *text, size_t size)
{
	size_t width = 0;

	for (size_t i = 0; i < size; i++)
		width += ((unsigned char)text[i] & 0xc0) != 0x80;
	return width;
}
