// SPDX-License-Identifier: GPL-2.0-only
// Prometheus' text format: heads, labels with hostile text, values.
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/output.h"
#include "client/prom.h"

static struct output output;

static void expect(const char *text)
{
	assert_int_equal(output.err, 0);
	output.data[output.used] = '\0';
	assert_string_equal(output.data, text);
	output.used = output.line = 0;
}

static void head(void **state)
{
	(void)state;
	prom_head(&output, "packet", "gauge", "A segment.");
	expect("# HELP packet A segment.\n# TYPE packet gauge\n");
}

static void labels(void **state)
{
	struct prom prom;

	(void)state;
	prom_begin(&prom, &output, "up", "");
	prom_value(&prom, 1);
	expect("up 1\n");
	prom_begin(&prom, &output, "x", "_bucket");
	prom_word(&prom, "a", "b");
	prom_word(&prom, "absent", NULL);
	prom_number(&prom, "n", UINT64_MAX);
	prom_word(&prom, "empty", "");
	prom_value(&prom, 0);
	expect("x_bucket{a=\"b\",n=\"18446744073709551615\",empty=\"\"} 0\n");
}

static void expect_label(const char *text, size_t length, size_t max, const char *quoted)
{
	char line[64 * 1024];
	struct prom prom;

	snprintf(line, sizeof(line), "m{k=\"%s\"} 1\n", quoted);
	prom_begin(&prom, &output, "m", "");
	prom_text(&prom, "k", text, length, max);
	prom_value(&prom, 1);
	expect(line);
}

static void hostile(void **state)
{
	static const struct {
		const char *text, *quoted;
	} rows[] = {
		{"a\"b", "a\\\"b"},
		{"a\\", "a\\\\"},
		{"\\\"\\", "\\\\\\\"\\\\"},
		{"a\nb", "a\\\\x0ab"},
		{"\r\t\x1b[2J\x7f", "\\\\x0d\\\\x09\\\\x1b[2J\\\\x7f"},
		{"\xff\xc3", "\\\\xff\\\\xc3"},
		{"\xc3\xa9", "\xc3\xa9"},
		{"\xe2\x80\xae", "\\\\u{202e}"},
		{"} 1\n# TYPE x counter", "} 1\\\\x0a# TYPE x counter"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect_label(rows[i].text, strlen(rows[i].text), 100, rows[i].quoted);
	expect_label("a\0b", 3, 100, "a\\\\x00b");
}

/* Behind max bytes of what is escaped, never in the middle of a unit. */
static void cut(void **state)
{
	char text[8192], quoted[2 * PROM_CUT_MAX + 1];

	(void)state;
	expect_label("abcdef", 6, 4, "abcd");
	expect_label("abc\xff", 4, 6, "abc");
	expect_label("abc\xc3\xa9", 5, 4, "abc");
	memset(text, '"', sizeof(text));
	for (unsigned i = 0; i < PROM_CUT_MAX; i++)
		memcpy(quoted + 2 * i, "\\\"", 2);
	quoted[2 * PROM_CUT_MAX] = '\0';
	expect_label(text, sizeof(text), sizeof(text), quoted);
}

static void seconds(void **state)
{
	static const struct {
		uint64_t nanoseconds;
		const char *text;
	} rows[] = {
		{0, "0"},
		{1, "0.000000001"},
		{500000, "0.0005"},
		{1000000000, "1"},
		{2500000000, "2.5"},
		{1000000001, "1.000000001"},
		{86400000000000, "86400"},
		{UINT64_MAX, "18446744073.709551615"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		prom_put_seconds(&output, rows[i].nanoseconds);
		expect(rows[i].text);
	}
}

static int setup(void **state)
{
	(void)state;
	return output_init(&output, -1);
}

static int teardown(void **state)
{
	(void)state;
	output_deinit(&output);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(head), cmocka_unit_test(labels),  cmocka_unit_test(hostile),
		cmocka_unit_test(cut),	cmocka_unit_test(seconds),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
