// SPDX-License-Identifier: GPL-2.0-only
// The schema, messages read by it, and numbers: what all formats are made of.
#include <inttypes.h>
#include <stdio.h>

#include "cmocka_all.h"

#include "client/event.h"
#include "client/output.h"
#include "client/writer.h"
#include "netwatch.pb-c.h"

static void expect_json(const struct schema *schema, const uint8_t *data, size_t size,
			const char *json)
{
	struct message message;
	struct output output;

	assert_non_null(schema);
	assert_int_equal(output_init(&output, -1), 0);
	assert_int_equal(message_read(&message, schema, data, size), 0);
	writer_json_message(&output, &message);
	output.data[output.used] = '\0';
	assert_string_equal(output.data, json);
	output_deinit(&output);
}

/* A list that arrives packed, or in pieces, is one array all the same. */
static void repeated_fields(void **state)
{
	const struct schema *schema = schema_get(&netwatch__number_set__descriptor);
	static const uint8_t numbers[] = {0x08, 0x05, 0x0a, 0x02, 0x06, 0x07, 0x10, 0x01,
					  0x0a, 0x00, 0x08, 0x80, 0x80, 0x80, 0x80, 0x20};

	(void)state;
	expect_json(schema, numbers, sizeof(numbers), "{\"any\":[5,6,7,8589934592],\"none\":[1]}");
}

/* Values that an enum does not know are not in the array, wherever they stand. */
static void repeated_enum(void **state)
{
	const struct schema *schema = schema_get(&netwatch__filter__descriptor);
	static const uint8_t roles[] = {0x58, 0x01, 0x58, 0x09, 0x5a, 0x05, 0x09, 0x02,
					0x80, 0x01, 0x01, 0x58, 0x09, 0x5a, 0x01, 0x09};

	(void)state;
	expect_json(schema, roles, sizeof(roles), "{\"role\":[\"CLIENT\",\"SERVER\",\"CLIENT\"]}");
}

static void check_number(uint64_t number)
{
	char expected[32], text[OUTPUT_NUMBER_MAX + 1];

	snprintf(expected, sizeof(expected), "%" PRIu64, number);
	*output_put_unsigned(text, number) = '\0';
	assert_string_equal(text, expected);
	snprintf(expected, sizeof(expected), "%" PRId64, (int64_t)number);
	*output_put_signed(text, (int64_t)number) = '\0';
	assert_string_equal(text, expected);
}

static void numbers(void **state)
{
	uint64_t power = 1;

	(void)state;
	check_number(0);
	for (unsigned i = 0; i < 20; i++, power *= 10) {
		check_number(power - 1);
		check_number(power);
		check_number(power + 1);
	}
	for (unsigned i = 0; i < 64; i++) {
		check_number(1ull << i);
		check_number((1ull << i) - 1);
		check_number(-(1ull << i));
	}
}

static void check_names(const struct schema_field *field)
{
	const ProtobufCEnumDescriptor *descriptor = field->descriptor->descriptor;

	for (unsigned i = 0; i < descriptor->n_values; i++)
		assert_non_null(schema_name(field, (uint64_t)descriptor->values[i].value));
}

static void check_kinds(const struct schema *schema)
{
	for (unsigned i = 0; i < schema->field_count; i++) {
		const struct schema_field *field = &schema->fields[i];

		assert_int_not_equal(field->kind, SCHEMA_UNSUPPORTED);
		assert_true(field->descriptor->id <= SCHEMA_NUMBER_MAX);
		if (field->kind == SCHEMA_ENUM)
			check_names(field);
		if (field->kind == SCHEMA_MESSAGE)
			check_kinds(field->message);
	}
}

/* Whoever adds a field to the .proto hears of it here when the client could not print it. */
static void every_field_can_be_printed(void **state)
{
	const struct schema *status = schema_get(&netwatch__status__descriptor);

	(void)state;
	assert_non_null(status);
	check_kinds(status);
	check_kinds(event_schema());
}

static int setup(void **state)
{
	(void)state;
	return event_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repeated_fields),
		cmocka_unit_test(repeated_enum),
		cmocka_unit_test(numbers),
		cmocka_unit_test(every_field_can_be_printed),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
