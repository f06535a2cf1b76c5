// SPDX-License-Identifier: GPL-2.0-only
// Reads protobuf wire bytes, every length checked, into the fields of a schema.
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "schema.h"

#define VARINT_MAX 10 /* bytes of 64 bits */

/* Kept in registers: with a call per field, reading takes twice as long. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

struct reader {
	const uint8_t *at, *end;
};

/* One field as it stands on the wire, whether known or not. */
struct raw {
	uint64_t number;
	unsigned wire_type;
	struct value value;
};

/* Returns the end of the varint that begins at `at`, or NULL: there is none. */
static const uint8_t *long_varint(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
	uint64_t result = 0;

	for (unsigned shift = 0; shift < 7 * VARINT_MAX && at < end; shift += 7) {
		uint8_t byte = *at++;

		result |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*value = result;
			return at;
		}
	}
	return NULL;
}

/* Tags, lengths, names of enums and small numbers have one byte: most have. */
ALWAYS_INLINE bool read_varint(struct reader *reader, uint64_t *value)
{
	const uint8_t *at = reader->at;

	if (at < reader->end && !(*at & 0x80)) {
		*value = *at;
		reader->at = at + 1;
		return true;
	}
	at = long_varint(at, reader->end, value);
	if (at)
		reader->at = at;
	return at;
}

static inline bool read_fixed(struct reader *reader, size_t size, uint64_t *value)
{
	uint64_t little = 0;

	if ((size_t)(reader->end - reader->at) < size)
		return false;
	memcpy(&little, reader->at, size);
	*value = le64toh(little);
	reader->at += size;
	return true;
}

static inline bool read_bytes(struct reader *reader, struct value *value)
{
	uint64_t length;

	if (!read_varint(reader, &length) || length > (uint64_t)(reader->end - reader->at))
		return false;
	value->data = reader->at;
	value->length = length;
	reader->at += length;
	return true;
}

ALWAYS_INLINE bool read_field(struct reader *reader, struct raw *raw)
{
	uint64_t tag;

	if (!read_varint(reader, &tag) || !(tag >> 3))
		return false;
	raw->number = tag >> 3;
	raw->wire_type = tag & 7;
	switch (raw->wire_type) {
	case PROTOBUF_C_WIRE_TYPE_VARINT:
		return read_varint(reader, &raw->value.number);
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		return read_fixed(reader, 8, &raw->value.number);
	case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
		return read_bytes(reader, &raw->value);
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		return read_fixed(reader, 4, &raw->value.number);
	}
	return false;
}

static inline bool packed(const struct schema_field *field, unsigned wire_type)
{
	return field->repeated && wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
}

/* A varint may carry more bits than the field has: the upper ones do not count. */
static inline uint64_t number(const struct schema_field *field, uint64_t wire)
{
	if (field->zigzag)
		wire = wire >> 1 ^ -(wire & 1);
	if (!field->narrow)
		return wire;
	return field->kind == SCHEMA_UNSIGNED ? (uint32_t)wire : (uint64_t)(int64_t)(int32_t)wire;
}

static inline struct value field_value(const struct schema_field *field, const struct value *wire)
{
	if (field->wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
		return *wire;
	return (struct value){.number = number(field, wire->number)};
}

/* A closed enum, as proto2 has it: a value without a name is as good as an unknown field. */
static inline bool known(const struct schema_field *field, struct value value)
{
	return field->kind != SCHEMA_ENUM || schema_name(field, value.number);
}

int message_read(struct message *message, const struct schema *schema, const uint8_t *data,
		 size_t size)
{
	struct reader reader = {data, data + size};
	struct raw raw;

	message->schema = schema;
	message->present = 0;
	while (reader.at < reader.end) {
		const uint8_t *start = reader.at;
		const struct schema_field *field;
		struct value value;
		unsigned index;

		if (!read_field(&reader, &raw))
			return -EBADMSG;
		if (raw.number > SCHEMA_NUMBER_MAX || !schema->index[raw.number])
			continue;
		index = schema->index[raw.number] - 1u;
		field = &schema->fields[index];
		if (field->kind == SCHEMA_UNSUPPORTED ||
		    (raw.wire_type != field->wire_type && !packed(field, raw.wire_type)))
			continue;
		if (field->repeated) {
			value = (struct value){.data = start,
					       .length = (size_t)(reader.end - start)};
			if (message_has(message, (int)index))
				continue;
		} else {
			value = field_value(field, &raw.value);
			if (!known(field, value))
				continue;
		}
		message->values[index] = value;
		message->present |= 1ull << index;
	}
	return 0;
}

const uint8_t *message_locate(const uint8_t *data, size_t size, uint32_t number,
			      struct value *value)
{
	struct reader reader = {data, data + size};
	const uint8_t *start = data, *found = NULL;
	struct raw raw;

	for (; reader.at < reader.end && read_field(&reader, &raw); start = reader.at) {
		if (raw.number != number || raw.wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
			continue;
		found = start;
		*value = raw.value;
	}
	return found;
}

struct elements message_elements(const struct schema_field *field, struct value repeated)
{
	return (struct elements){
		.field = field,
		.at = repeated.data,
		.end = repeated.data + repeated.length,
	};
}

static bool next_of_run(struct elements *elements, struct value *element)
{
	struct reader reader = {elements->run, elements->run_end};
	const struct schema_field *field = elements->field;
	uint64_t wire;
	bool ok;

	do {
		if (field->wire_type == PROTOBUF_C_WIRE_TYPE_VARINT)
			ok = read_varint(&reader, &wire);
		else
			ok = read_fixed(&reader, field->narrow ? 4 : 8, &wire);
		elements->run = ok ? reader.at : elements->run_end;
		if (ok)
			*element = (struct value){.number = number(field, wire)};
	} while (ok && !known(field, *element));
	return ok;
}

bool message_next(struct elements *elements, struct value *element)
{
	const struct schema_field *field = elements->field;
	struct reader reader = {elements->at, elements->end};
	struct raw raw;

	if (elements->run < elements->run_end && next_of_run(elements, element))
		return true;
	while (reader.at < reader.end && read_field(&reader, &raw)) {
		elements->at = reader.at;
		if (raw.number != field->descriptor->id)
			continue;
		if (raw.wire_type == field->wire_type) {
			*element = field_value(field, &raw.value);
			if (known(field, *element))
				return true;
			continue;
		}
		if (!packed(field, raw.wire_type))
			continue;
		elements->run = raw.value.data;
		elements->run_end = raw.value.data + raw.value.length;
		if (raw.value.length && next_of_run(elements, element))
			return true;
	}
	return false;
}

int message_time(struct value value, int64_t *seconds, uint32_t *nanoseconds)
{
	struct reader reader = {value.data, value.data + value.length};
	uint64_t parts[3] = {0};
	struct raw raw;

	while (reader.at < reader.end) {
		if (!read_field(&reader, &raw))
			return -EBADMSG;
		if (raw.number <= 2 && raw.wire_type == PROTOBUF_C_WIRE_TYPE_VARINT)
			parts[raw.number] = raw.value.number;
	}
	if (parts[2] >= 1000000000)
		return -EBADMSG;
	*seconds = (int64_t)parts[1];
	*nanoseconds = (uint32_t)parts[2];
	return 0;
}
