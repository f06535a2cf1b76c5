// SPDX-License-Identifier: GPL-2.0-only
/* Untrusted text: what is UTF-8, what is dangerous, and that nothing of it comes through. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "common/escape.h"
#include "rng.h"

/* Well-formed sequences as RFC 3629, section 4 lists them: ranges of each byte. */
static const struct {
	size_t n;
	uint8_t low[4], high[4];
} forms[] = {
	{1, {0x00}, {0x7f}},
	{2, {0xc2, 0x80}, {0xdf, 0xbf}},
	{3, {0xe0, 0xa0, 0x80}, {0xe0, 0xbf, 0xbf}},
	{3, {0xe1, 0x80, 0x80}, {0xec, 0xbf, 0xbf}},
	{3, {0xed, 0x80, 0x80}, {0xed, 0x9f, 0xbf}},
	{3, {0xee, 0x80, 0x80}, {0xef, 0xbf, 0xbf}},
	{4, {0xf0, 0x90, 0x80, 0x80}, {0xf0, 0xbf, 0xbf, 0xbf}},
	{4, {0xf1, 0x80, 0x80, 0x80}, {0xf3, 0xbf, 0xbf, 0xbf}},
	{4, {0xf4, 0x80, 0x80, 0x80}, {0xf4, 0x8f, 0xbf, 0xbf}},
};

static size_t well_formed(const uint8_t *p, size_t size)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		size_t k = 0;

		while (k < forms[i].n && k < size && p[k] >= forms[i].low[k] &&
		       p[k] <= forms[i].high[k])
			k++;
		if (k == forms[i].n)
			return k;
	}
	return 0;
}

static size_t encode(uint32_t rune, char *out)
{
	static const uint32_t most[] = {0x7f, 0x7ff, 0xffff, 0x10ffff};
	static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
	size_t n = 0;

	while (rune > most[n])
		n++;
	for (size_t i = n; i > 0; i--, rune >>= 6)
		out[i] = (char)(0x80 | (rune & 0x3f));
	out[0] = (char)(lead[n] | rune);
	return n + 1;
}

static void test_all_code_points(void **state)
{
	(void)state;
	for (uint32_t rune = 0; rune <= 0x10ffff; rune++) {
		int surrogate = rune >= 0xd800 && rune <= 0xdfff;
		uint32_t got = ~0U;
		char text[4];
		size_t n = encode(rune, text);
		size_t used = escape_utf8(text, n, &got);

		if (used != (surrogate ? 0 : n) || (!surrogate && got != rune) ||
		    (n > 1 && escape_utf8(text, n - 1, &got)))
			fail_msg("U+%04X", rune);
	}
}

static void test_all_sequences(void **state)
{
	struct rng rng = rng_new();
	uint32_t rune;

	(void)state;
	for (uint32_t i = 0; i < 1 << 24; i++) {
		uint8_t text[4] = {(uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i,
				   (uint8_t)rng_next(&rng)};

		if (text[0] < 0x80)
			i |= 0xffff; /* nothing more to see */
		if (escape_utf8((char *)text, 3, &rune) != well_formed(text, 3) ||
		    escape_utf8((char *)text, 4, &rune) != well_formed(text, 4))
			fail_msg("%02x %02x %02x %02x", text[0], text[1], text[2], text[3]);
	}
}

static void test_corners(void **state)
{
	static const struct {
		const char *text;
		size_t n;
	} cases[] = {
		{"\xc0\x80", 0},	 /* overlong NUL */
		{"\xc1\xbf", 0},	 /* overlong DEL */
		{"\xe0\x9f\xbf", 0},	 /* overlong U+07FF */
		{"\xf0\x8f\xbf\xbf", 0}, /* overlong U+FFFF */
		{"\xed\xa0\x80", 0},	 /* first surrogate */
		{"\xed\xbf\xbf", 0},	 /* last surrogate */
		{"\xf4\x90\x80\x80", 0}, /* U+110000 */
		{"\xf8\x88\x80\x80\x80", 0},
		{"\xff", 0},
		{"\x80", 0},
		{"\xe2\x82", 0}, /* cut */
		{"\xe2\x28\xa1", 0},
		{"\xe2\x82\xac", 3},
		{"\xf4\x8f\xbf\xbf", 4},
		{"\xef\xbb\xbf", 3},
	};
	uint32_t rune = 4711;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(escape_utf8(cases[i].text, strlen(cases[i].text), &rune),
				 cases[i].n);
	assert_int_equal(escape_utf8("", 0, &rune), 0);
	assert_int_equal(escape_utf8("\0", 1, &rune), 1);
	assert_int_equal(rune, 0);
}

static int dangerous(uint32_t rune)
{
	static const uint32_t ranges[][2] = {
		{0x00, 0x1f},	  {0x7f, 0x7f},	    {0x80, 0x9f},     {0x61c, 0x61c},
		{0x200e, 0x200f}, {0x2028, 0x2029}, {0x202a, 0x202e}, {0x2066, 0x2069},
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		if (rune >= ranges[i][0] && rune <= ranges[i][1])
			return 1;
	}
	return 0;
}

static void test_dangerous(void **state)
{
	(void)state;
	for (uint32_t rune = 0; rune <= 0x10ffff; rune++) {
		if (!escape_dangerous(rune) != !dangerous(rune))
			fail_msg("U+%04X", rune);
	}
}

static const struct {
	const char *text;
	size_t length;
	const char *bytes, *terminal;
} golden[] = {
#define TEXT(s) s, sizeof(s) - 1
	{TEXT("curl"), "curl", "curl"},
	{TEXT(""), "", ""},
	{TEXT("\x1b[31m"), "\x1b[31m", "\\x1b[31m"},
	{TEXT("a\nb\r\tc\x7f"), "a\nb\r\tc\x7f", "a\\x0ab\\x0d\\x09c\\x7f"},
	{TEXT("\xc2\x9b"
	      "31m"),
	 "\xc2\x9b"
	 "31m",
	 "\\x9b31m"}, /* C1: CSI */
	{TEXT("\xc2\xa0"), "\xc2\xa0", "\xc2\xa0"},
	{TEXT("\xe2\x80\xae"
	      "gpj"),
	 "\xe2\x80\xae"
	 "gpj",
	 "\\u{202e}gpj"},
	{TEXT("\xd8\x9c"), "\xd8\x9c", "\\u{61c}"},
	{TEXT("\xe2\x80\xa8"), "\xe2\x80\xa8", "\\u{2028}"},
	{TEXT("\xff\xfe"), "\\xff\\xfe", "\\xff\\xfe"},
	{TEXT("\xe2\x82"), "\\xe2\\x82", "\\xe2\\x82"},
	{TEXT("\xe2\x82"
	      "x"),
	 "\\xe2\\x82x", "\\xe2\\x82x"},
	{TEXT("\xed\xa0\x80"), "\\xed\\xa0\\x80", "\\xed\\xa0\\x80"},
	{TEXT("back\\slash"), "back\\slash", "back\\slash"},
	{TEXT("gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\xa7"), "gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\xa7",
	 "gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\xa7"},
#undef TEXT
};

static void test_golden(void **state)
{
	char out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
		assert_int_equal(escape_bytes(out, sizeof(out), golden[i].text, golden[i].length),
				 strlen(golden[i].bytes));
		assert_string_equal(out, golden[i].bytes);
		assert_int_equal(escape_terminal(out, sizeof(out), golden[i].text,
						 golden[i].length),
				 strlen(golden[i].terminal));
		assert_string_equal(out, golden[i].terminal);
	}
	assert_int_equal(escape_bytes(out, sizeof(out), "a\0b", 3), 3);
	assert_memory_equal(out, "a\0b", 4);
	assert_int_equal(escape_terminal(out, sizeof(out), "a\0b", 3), 6);
	assert_string_equal(out, "a\\x00b");
}

static void test_cut_between_units(void **state)
{
	static const char text[] = "a\x1b\xe2\x80\xae\xf0\x9f\x90\xa7\xff"
				   "b";
	static const char full[] = "a\\x1b\\u{202e}\xf0\x9f\x90\xa7\\xff"
				   "b";
	static const size_t ends[] = {0, 1, 5, 13, 17, 21, 22};

	(void)state;
	for (size_t size = 1; size < sizeof(full) + 3; size++) {
		char *out = malloc(size);
		size_t want = 0, n;

		assert_non_null(out);
		for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
			want = ends[i] < size ? ends[i] : want;
		n = escape_terminal(out, size, text, sizeof(text) - 1);
		assert_int_equal(n, want);
		assert_memory_equal(out, full, n);
		assert_int_equal(out[n], '\0');
		free(out);
	}
	assert_int_equal(escape_terminal(NULL, 0, text, sizeof(text) - 1), 0);
}

/* Bytes of all sorts, in a block of exactly that size. */
static char *random_text(struct rng *rng, size_t length)
{
	static const uint32_t pool[] = {0x1b, 0x7f, 0x85, 0x61c, 0x200e, 0x202a, 0x2069, 0xfffd};
	char *text = malloc(length ? length : 1);
	size_t at = 0;

	assert_non_null(text);
	while (at < length) {
		uint32_t rune =
			rng_one_in(rng, 2) ? pool[rng_below(rng, 8)] : rng_below(rng, 0x110000);
		char unit[4];
		size_t n = encode(rune, unit);

		if (rng_one_in(rng, 4))
			unit[rng_below(rng, (uint32_t)n)] = (char)rng_next(rng);
		n = n < length - at ? n : length - at;
		memcpy(text + at, unit, n);
		at += n;
	}
	return text;
}

static void check_clean(const char *out, size_t n, int terminal)
{
	for (size_t i = 0, used; i < n; i += used) {
		uint32_t rune = 0;

		used = well_formed((const uint8_t *)out + i, n - i);
		assert_true(used);
		assert_int_equal(escape_utf8(out + i, n - i, &rune), used);
		assert_false(terminal && dangerous(rune));
	}
}

static void test_fuzz(void **state)
{
	struct rng rng = rng_new();

	(void)state;
	for (int i = 0; i < 50000; i++) {
		size_t length = rng_below(&rng, 40);
		size_t size = 1 + rng_below(&rng, rng_one_in(&rng, 2) ? 40 : 40 * ESCAPE_MAX);
		char *text = random_text(&rng, length), *out = malloc(size);
		char bytes[40 * ESCAPE_MAX], direct[sizeof(bytes)], twice[sizeof(bytes)];
		size_t n;

		assert_non_null(out);
		n = escape_terminal(out, size, text, length);
		assert_true(n < size && !out[n]);
		check_clean(out, n, 1);
		n = escape_bytes(out, size, text, length);
		assert_true(n < size && !out[n]);
		check_clean(out, n, 0);

		/* With room for all of it nothing is cut, and escaping in two steps is the same. */
		n = escape_bytes(bytes, sizeof(bytes), text, length);
		assert_true(n >= length);
		escape_terminal(twice, sizeof(twice), bytes, n);
		escape_terminal(direct, sizeof(direct), text, length);
		assert_string_equal(twice, direct);
		free(text);
		free(out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_code_points),
		cmocka_unit_test(test_all_sequences),
		cmocka_unit_test(test_corners),
		cmocka_unit_test(test_dangerous),
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_cut_between_units),
		cmocka_unit_test(test_fuzz),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
