// SPDX-License-Identifier: GPL-2.0-only
/* Where a chunked body ends. */
#include <string.h>

#include "cmocka_all.h"
#include "collector/http/chunks.h"

/* What stands behind '|' is not the body's; without one it goes on, or is no body at all. */
static const struct {
	enum http_chunks_progress want;
	const char *text;
} bodies[] = {
	{HTTP_CHUNKS_END, "0\r\n\r\n|GET"},
	{HTTP_CHUNKS_END, "3\r\nabc\r\n0\r\n\r\n|"},
	{HTTP_CHUNKS_END, "0003;name=\"value\"\r\nabc\r\nA \r\n0123456789\r\n0\r\n\r\n|x"},
	{HTTP_CHUNKS_END, "1\na\n00\nTrailer: x\n\n|"},
	{HTTP_CHUNKS_END, "0\r\nA: b\r\nC: d\r\n\r\n|\r\n"},
	{HTTP_CHUNKS_END, "5\r\n0\r\n\r\n\r\n0\r\n\r\n|"}, /* data that looks like the end */
	{HTTP_CHUNKS_MORE, "3\r\nabc\r\n"},
	{HTTP_CHUNKS_MORE, "FFFFFFFFFFFFFFFF\r\nabc"},
	{HTTP_CHUNKS_MORE, "0\r\n"},
	{HTTP_CHUNKS_LOST, "10000000000000000\r\n"},
	{HTTP_CHUNKS_LOST, "\r\n"},
	{HTTP_CHUNKS_LOST, "-1\r\n"},
	{HTTP_CHUNKS_LOST, "0x5\r\n"},
	{HTTP_CHUNKS_LOST, "3\r\nabcd"},
	{HTTP_CHUNKS_LOST, "3\r0"},
	{HTTP_CHUNKS_LOST, ";\r\n"},
};

static void test_splits(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		const char *text = bodies[i].text, *bar = strchr(text, '|');
		size_t length = bar ? (size_t)(bar - text) : strlen(text);

		for (size_t k = 0; k <= length; k++) {
			enum http_chunks_progress got;
			struct http_chunks c;
			size_t first, second = 0;

			http_chunks_begin(&c);
			got = http_chunks_feed(&c, text, k, &first);
			if (got == HTTP_CHUNKS_MORE)
				got = http_chunks_feed(&c, text + k, length - k + !!bar, &second);
			if (got != bodies[i].want)
				fail_msg("%zu at %zu: %d", i, k, got);
			if (bar)
				assert_int_equal(first + second, length);
		}
	}
}

static void test_hidden(void **state)
{
	struct http_chunks c;
	size_t used;

	(void)state;
	http_chunks_begin(&c);
	assert_true(http_chunks_hidden(&c, 0));
	assert_false(http_chunks_hidden(&c, 1));
	assert_int_equal(http_chunks_feed(&c, "10\r\nab", 6, &used), HTTP_CHUNKS_MORE);
	assert_true(http_chunks_hidden(&c, 5));
	assert_false(http_chunks_hidden(&c, 10));
	assert_true(http_chunks_hidden(&c, 9));
	assert_false(http_chunks_hidden(&c, 1));
	assert_int_equal(http_chunks_feed(&c, "\r\n0\r\n\r\n", 7, &used), HTTP_CHUNKS_END);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_splits),
		cmocka_unit_test(test_hidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
