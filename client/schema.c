// SPDX-License-Identifier: GPL-2.0-only
// The protobuf descriptors as tables that print quickly: made once per message type.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema.h"

#define SCHEMAS_MAX 64 /* message types; more are not printed */

struct scalar {
	enum schema_kind kind;
	uint8_t wire_type;
	bool zigzag;
	bool narrow; /* 32 bits on the wire, whatever the varint says */
};

/* Floating point and bytes have no place in an event; a unit test holds the schema to that. */
static const struct scalar scalars[] = {
	[PROTOBUF_C_TYPE_INT32] = {SCHEMA_SIGNED, PROTOBUF_C_WIRE_TYPE_VARINT, false, true},
	[PROTOBUF_C_TYPE_SINT32] = {SCHEMA_SIGNED, PROTOBUF_C_WIRE_TYPE_VARINT, true, true},
	[PROTOBUF_C_TYPE_INT64] = {SCHEMA_SIGNED, PROTOBUF_C_WIRE_TYPE_VARINT, false, false},
	[PROTOBUF_C_TYPE_SINT64] = {SCHEMA_SIGNED, PROTOBUF_C_WIRE_TYPE_VARINT, true, false},
	[PROTOBUF_C_TYPE_UINT32] = {SCHEMA_UNSIGNED, PROTOBUF_C_WIRE_TYPE_VARINT, false, true},
	[PROTOBUF_C_TYPE_UINT64] = {SCHEMA_UNSIGNED, PROTOBUF_C_WIRE_TYPE_VARINT, false, false},
	[PROTOBUF_C_TYPE_FIXED32] = {SCHEMA_UNSIGNED, PROTOBUF_C_WIRE_TYPE_32BIT, false, true},
	[PROTOBUF_C_TYPE_FIXED64] = {SCHEMA_ID, PROTOBUF_C_WIRE_TYPE_64BIT, false, false},
	[PROTOBUF_C_TYPE_BOOL] = {SCHEMA_BOOL, PROTOBUF_C_WIRE_TYPE_VARINT, false, false},
	[PROTOBUF_C_TYPE_ENUM] = {SCHEMA_ENUM, PROTOBUF_C_WIRE_TYPE_VARINT, false, true},
	[PROTOBUF_C_TYPE_STRING] = {SCHEMA_STRING, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, false,
				    false},
	[PROTOBUF_C_TYPE_MESSAGE] = {SCHEMA_MESSAGE, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, false,
				     false},
};

static struct schema schemas[SCHEMAS_MAX];
static unsigned schema_count;

static const struct schema *get(const ProtobufCMessageDescriptor *descriptor, unsigned depth);

/* The names of an enum by value. NULL: no memory, or a name or a value is too large. */
static const struct schema_name *get_names(const ProtobufCEnumDescriptor *descriptor)
{
	struct schema_name *names = calloc(SCHEMA_NAMED_MAX + 1, sizeof(*names));

	for (unsigned i = 0; names && i < descriptor->n_values; i++) {
		const ProtobufCEnumValue *value = &descriptor->values[i];
		char quoted[SCHEMA_NAME_SIZE + 1] = "";
		int length = snprintf(quoted, sizeof(quoted), "\"%s\"", value->name);

		if (value->value < 0 || value->value > SCHEMA_NAMED_MAX || length < 0 ||
		    length > SCHEMA_NAME_SIZE) {
			free(names);
			return NULL;
		}
		memcpy(names[value->value].quoted, quoted, SCHEMA_NAME_SIZE);
		names[value->value].length = (uint8_t)length;
	}
	return names;
}

static int prepare_field(struct schema_field *field, const ProtobufCFieldDescriptor *from,
			 unsigned depth)
{
	const struct scalar *scalar = &scalars[from->type];
	const ProtobufCMessageDescriptor *message = from->descriptor;
	int length = snprintf(field->key, sizeof(field->key), ",\"%s\":", from->name);

	if (length < 0 || (size_t)length >= sizeof(field->key))
		return -1;
	field->key_length = (uint8_t)length;
	field->name = from->name;
	field->descriptor = from;
	field->kind = scalar->kind;
	field->wire_type = scalar->wire_type;
	field->zigzag = scalar->zigzag;
	field->narrow = scalar->narrow;
	field->repeated = from->label == PROTOBUF_C_LABEL_REPEATED;
	if (field->kind == SCHEMA_ENUM) {
		field->names = get_names(from->descriptor);
		return field->names ? 0 : -1;
	}
	if (field->kind != SCHEMA_MESSAGE)
		return 0;
	if (!strcmp(message->name, "google.protobuf.Timestamp")) {
		field->kind = SCHEMA_TIMESTAMP;
		return 0;
	}
	if (depth == SCHEMA_DEPTH_MAX) {
		field->kind = SCHEMA_UNSUPPORTED;
		return 0;
	}
	field->message = get(message, depth + 1);
	return field->message ? 0 : -1;
}

static const struct schema *get(const ProtobufCMessageDescriptor *descriptor, unsigned depth)
{
	struct schema_field *fields;
	struct schema *schema;

	for (unsigned i = 0; i < schema_count; i++) {
		if (schemas[i].descriptor == descriptor)
			return &schemas[i];
	}
	if (descriptor->n_fields > SCHEMA_FIELDS_MAX || schema_count == SCHEMAS_MAX)
		return NULL;
	fields = calloc(descriptor->n_fields + 1, sizeof(*fields));
	if (!fields)
		return NULL;
	for (unsigned i = 0; i < descriptor->n_fields; i++) {
		if (prepare_field(&fields[i], &descriptor->fields[i], depth)) {
			free(fields);
			return NULL;
		}
	}
	if (schema_count == SCHEMAS_MAX) { /* used up by the nested ones */
		free(fields);
		return NULL;
	}
	schema = &schemas[schema_count++];
	schema->descriptor = descriptor;
	schema->field_count = descriptor->n_fields;
	schema->fields = fields;
	for (unsigned i = 0; i < descriptor->n_fields; i++) {
		if (descriptor->fields[i].id <= SCHEMA_NUMBER_MAX)
			schema->index[descriptor->fields[i].id] = (uint8_t)(i + 1);
	}
	return schema;
}

const struct schema *schema_get(const ProtobufCMessageDescriptor *descriptor)
{
	return get(descriptor, 0);
}

int schema_find(const struct schema *schema, const char *name)
{
	for (unsigned i = 0; i < schema->field_count; i++) {
		if (!strcmp(schema->fields[i].name, name))
			return (int)i;
	}
	return -1;
}
