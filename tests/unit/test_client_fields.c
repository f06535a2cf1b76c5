// SPDX-License-Identifier: GPL-2.0-only
// What the .proto's comments say of an event's members: all are there, and units agree with names.
#include <string.h>

#include "cmocka_all.h"

#include "client/categories.h"
#include "client/columns.h"
#include "client/fields.h"

/* Numbers that count and measure nothing. */
static const char *const no_unit[] = {"lport", "rport", "pid",	  "uid",   "netns",
				      "seq",   "ack",	"status", "window"};

static bool ends_with(const char *name, const char *end)
{
	size_t length = strlen(name), size = strlen(end);

	return length >= size && !strcmp(name + length - size, end);
}

static void check_unit(const struct schema_field *field, const char *unit)
{
	static const struct {
		const char *end, *unit;
	} ends[] = {{"_us", "us"}, {"_ns", "ns"}, {"_s", "s"}, {"_bytes", "bytes"}};
	bool number = field->kind == SCHEMA_UNSIGNED || field->kind == SCHEMA_SIGNED;
	bool identifier = false;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (ends_with(field->name, ends[i].end))
			assert_string_equal(unit, ends[i].unit);
	}
	for (size_t i = 0; i < sizeof(no_unit) / sizeof(no_unit[0]); i++)
		identifier |= !strcmp(field->name, no_unit[i]);
	if ((!number || identifier) && unit)
		fail_msg("%s has a unit, %s", field->name, unit);
	if (number && !identifier && !unit)
		fail_msg("%s has no unit", field->name);
}

static void check_values(const struct schema_field *field)
{
	const ProtobufCEnumDescriptor *names = field->descriptor->descriptor;

	for (unsigned i = 0; field->kind == SCHEMA_ENUM && i < names->n_values; i++) {
		const struct comment *comment = fields_comment(names->name, names->values[i].name);

		assert_non_null(comment);
		assert_null(comment->unit);
	}
}

static void check_message(const struct schema *schema)
{
	for (unsigned i = 0; i < schema->field_count; i++) {
		const struct schema_field *field = &schema->fields[i];
		const struct comment *comment =
			fields_comment(schema->descriptor->name, field->name);

		assert_non_null(comment);
		assert_true(*comment->text);
		check_unit(field, comment->unit);
		check_values(field);
		if (field->message)
			check_message(field->message);
	}
}

static void every_member_is_documented(void **state)
{
	(void)state;
	check_message(event_schema());
}

static void others_are_not(void **state)
{
	const char *event = event_schema()->descriptor->name;

	(void)state;
	assert_non_null(fields_comment(event, "conn"));
	assert_null(fields_comment(event, "nothing"));
	assert_null(fields_comment("netwatch.Request", "hello"));
}

static void all_categories(void **state)
{
	struct categories categories = {.count = 0};

	(void)state;
	categories_add_all(&categories);
	assert_true(categories_have(&categories, "conn"));
	assert_false(categories_have(&categories, "lost"));
	assert_false(categories_have(&categories, "time"));
	assert_false(categories_have(&categories, "connection"));
}

static int setup(void **state)
{
	(void)state;
	return event_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_member_is_documented),
		cmocka_unit_test(others_are_not),
		cmocka_unit_test(all_categories),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
