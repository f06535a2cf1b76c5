// SPDX-License-Identifier: GPL-2.0-only
// Times in every form, from 1970 to 9999.
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "client/timestamp.h"
#include "netwatch.pb-c.h"

#define YEAR_2262 9223372037   /* beyond a signed 64-bit number of nanoseconds */
#define YEAR_9999 253402300799 /* its last second */
#define BILLION	  1000000000

enum { RFC3339, UNIX, MONO, DELTA };

static const char *text_of(const struct time_format *format, int64_t seconds, int32_t nanoseconds)
{
	Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	static char text[TIMESTAMP_MAX + 1];
	uint8_t data[32];
	char *end;

	time.seconds = seconds;
	time.nanos = nanoseconds;
	end = timestamp_put(text, format,
			    (struct value){.data = data,
					   .length =
						   google__protobuf__timestamp__pack(&time, data)});
	if (!end)
		return NULL;
	assert_true(end - text <= TIMESTAMP_MAX);
	*end = '\0';
	return text;
}

static void words(void **state)
{
	static const char *const expected[] = {"rfc3339", "unix", "mono", "delta"};

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_string_equal(time_format_words[i], expected[i]);
	assert_null(time_format_words[4]);
}

static void rfc3339(void **state)
{
	const struct time_format *format = time_format_of(RFC3339);

	(void)state;
	assert_string_equal(text_of(format, 0, 0), "1970-01-01T00:00:00.000000000Z");
	assert_string_equal(text_of(format, 1795349051, 93211045),
			    "2026-11-22T12:04:11.093211045Z");
	assert_string_equal(text_of(format, 951827696, 1), "2000-02-29T12:34:56.000000001Z");
	assert_string_equal(text_of(format, YEAR_2262, 0), "2262-04-11T23:47:17.000000000Z");
	assert_string_equal(text_of(format, YEAR_9999, BILLION - 1),
			    "9999-12-31T23:59:59.999999999Z");
}

static void of_day(void **state)
{
	(void)state;
	assert_string_equal(text_of(&time_of_day, 1795349051, 93999999), "12:04:11.093999");
	assert_string_equal(text_of(&time_of_day_ms, 1795349051, 93999999), "12:04:11.093");
	assert_string_equal(text_of(&time_of_day_ms, YEAR_9999, BILLION - 1), "23:59:59.999");
}

static void unix_seconds(void **state)
{
	const struct time_format *format = time_format_of(UNIX);

	(void)state;
	assert_string_equal(text_of(format, 0, 0), "0.000000000");
	assert_string_equal(text_of(format, 1795349051, 93211045), "1795349051.093211045");
	assert_string_equal(text_of(format, YEAR_2262, 5), "9223372037.000000005");
	assert_string_equal(text_of(format, YEAR_9999, BILLION - 1), "253402300799.999999999");
}

static void delta(void **state)
{
	const struct time_format *format = time_format_of(DELTA);

	(void)state;
	assert_string_equal(text_of(format, 1000, 5), "0.000000000");
	assert_string_equal(text_of(format, 1000, 7), "0.000000002");
	assert_string_equal(text_of(format, 1002, 6), "1.999999999");
	assert_string_equal(text_of(format, 1002, 5), "-0.000000001");
	assert_string_equal(text_of(format, 1001, 6), "-0.999999999");
	assert_string_equal(text_of(format, 999, 6), "-2.000000000");
	assert_string_equal(text_of(format, 0, 0), "-999.000000006");
	assert_string_equal(text_of(format, YEAR_9999, BILLION - 1), "253402300799.999999999");
	assert_string_equal(text_of(format, 0, 0), "-253402300799.999999999");
}

static double mono_of(struct timespec time)
{
	const char *text = text_of(time_format_of(MONO), time.tv_sec, (int32_t)time.tv_nsec);

	assert_non_null(text);
	return atof(text);
}

static void mono(void **state)
{
	struct timespec now, before, after;
	double first, value;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &before);
	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_MONOTONIC, &after);
	value = first = mono_of(now);
	assert_true(value > (double)before.tv_sec + (double)before.tv_nsec / BILLION - 0.01);
	assert_true(value < (double)after.tv_sec + (double)after.tv_nsec / BILLION + 0.01);
	/* one time is one number, however often it is asked for */
	for (unsigned i = 0; i < 1000; i++)
		assert_true(mono_of(now) == first);
	/* before the start of this host, and far after */
	assert_true(mono_of((struct timespec){0}) < 0);
	assert_true(mono_of((struct timespec){.tv_sec = YEAR_9999}) > 2e11);
}

static void no_such_time(void **state)
{
	(void)state;
	for (unsigned word = 0; time_format_words[word]; word++) {
		assert_null(text_of(time_format_of(word), -1, 0));
		assert_null(text_of(time_format_of(word), YEAR_9999 + 1, 0));
		assert_null(text_of(time_format_of(word), INT64_MAX, 0));
		assert_null(text_of(time_format_of(word), INT64_MIN, 0));
		assert_null(text_of(time_format_of(word), 0, BILLION));
		assert_null(text_of(time_format_of(word), 0, -1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),	cmocka_unit_test(rfc3339), cmocka_unit_test(of_day),
		cmocka_unit_test(unix_seconds), cmocka_unit_test(delta),   cmocka_unit_test(mono),
		cmocka_unit_test(no_such_time),
	};

	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
