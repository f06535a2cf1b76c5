/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The protobuf schema prepared for printing, and messages read by it from their wire bytes.
 * Nothing is unpacked or allocated per message: strings stay where they were received.
 */
#ifndef NETWATCH_SCHEMA_H
#define NETWATCH_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#define SCHEMA_FIELDS_MAX 64  /* of one message: width of message.present */
#define SCHEMA_NUMBER_MAX 255 /* highest field number; higher ones count as unknown */
#define SCHEMA_KEY_SIZE	  48  /* of ,"name": with its padding */
#define SCHEMA_NAME_SIZE  31  /* of a value's name in an enum, quoted */
#define SCHEMA_NAMED_MAX  63  /* highest value of an enum; a schema with a higher one is refused */
#define SCHEMA_DEPTH_MAX  8   /* nested messages; deeper ones are not printed */

enum schema_kind {
	SCHEMA_UNSUPPORTED, /* skipped like an unknown field */
	SCHEMA_BOOL,
	SCHEMA_UNSIGNED,
	SCHEMA_SIGNED,
	SCHEMA_ID, /* fixed64: a number too long for a double, so a string in JSON */
	SCHEMA_ENUM,
	SCHEMA_STRING,
	SCHEMA_TIMESTAMP,
	SCHEMA_MESSAGE,
	SCHEMA_KINDS
};

/* A value of an enum. */
struct schema_name {
	uint8_t length;		       /* of quoted, or 0: no such value */
	char quoted[SCHEMA_NAME_SIZE]; /* "NAME", as JSON has it, without terminator */
};

struct schema;

struct schema_field {
	const char *name;
	const ProtobufCFieldDescriptor *descriptor;
	const struct schema *message;	 /* of SCHEMA_MESSAGE */
	const struct schema_name *names; /* of SCHEMA_ENUM: by value, up to SCHEMA_NAMED_MAX */
	enum schema_kind kind;
	uint8_t wire_type;
	bool repeated;
	bool zigzag;
	bool narrow; /* 32 bits */
	uint8_t key_length;
	char key[SCHEMA_KEY_SIZE];
};

struct schema {
	const ProtobufCMessageDescriptor *descriptor;
	unsigned field_count;
	struct schema_field *fields;
	uint8_t index[SCHEMA_NUMBER_MAX + 1]; /* by field number: index + 1, or 0 */
};

/* What a field holds: a number, or bytes inside the received message. */
struct value {
	union {
		uint64_t number;
		const uint8_t *data; /* of a repeated field: the rest of its message */
	};
	size_t length;
};

struct message {
	const struct schema *schema;
	uint64_t present; /* one bit for each field, by index */
	struct value values[SCHEMA_FIELDS_MAX];
};

/* The schema of descriptor, made at the first call and kept. NULL: no memory, or too large. */
const struct schema *schema_get(const ProtobufCMessageDescriptor *descriptor);

/* Index of the field of that name, or -1. */
int schema_find(const struct schema *schema, const char *name);

/*
 * Reads the wire bytes of one message. Fields that the schema does not know, or that have
 * another wire type or a value that their enum does not know, are skipped; of a field that
 * comes twice, the last counts. 0 or -EBADMSG.
 */
int message_read(struct message *message, const struct schema *schema, const uint8_t *data,
		 size_t size);

/*
 * Finds the last field of that number that has bytes. Returns where it begins with its tag, and
 * its value; NULL: there is none.
 */
const uint8_t *message_locate(const uint8_t *data, size_t size, uint32_t number,
			      struct value *value);

/* True when the field of that index (-1: none) is there. */
static inline bool message_has(const struct message *message, int index)
{
	return index >= 0 && message->present >> index & 1;
}

/* A walk over a repeated field, packed or not. */
struct elements {
	const struct schema_field *field;
	const uint8_t *at, *end;      /* rest of the message */
	const uint8_t *run, *run_end; /* rest of a packed run */
};

struct elements message_elements(const struct schema_field *field, struct value repeated);
bool message_next(struct elements *elements, struct value *element);

/* Reads a Timestamp. 0, or -EBADMSG, also for nanoseconds beyond a second. */
int message_time(struct value value, int64_t *seconds, uint32_t *nanoseconds);

/* Name of an enum's value, or NULL when this schema does not know it. */
static inline const struct schema_name *schema_name(const struct schema_field *field,
						    uint64_t value)
{
	if (value > SCHEMA_NAMED_MAX || !field->names[value].length)
		return NULL;
	return &field->names[value];
}

#endif
