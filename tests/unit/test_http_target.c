// SPDX-License-Identifier: GPL-2.0-only
/* Targets: what of them is not shown. */
#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"
#include "collector/http/target.h"
#include "rng.h"

static void test_clean(void **state)
{
	static const struct {
		const char *from, *to;
		bool cut;
	} cases[] = {
		{"/", "/", false},
		{"*", "*", false},
		{"/a@b:c", "/a@b:c", false},
		{"/a@b:c", "/a@b:c", true},
		{"http://h/", "http://h/", false},
		{"http://h:8080/a:b@c", "http://h:8080/a:b@c", false},
		{"http://[::1]:80/", "http://[::1]:80/", false},
		{"http://u@h/", "http://h/", false},
		{"http://u:p@h/@x", "http://h/@x", false},
		{"http://u:p@q@h", "http://h", false},
		{"http://u:p/q@h/", "http://h/", false}, /* a password with a slash */
		{"http://u:p/q", "http:///q", false},
		{"http://u:secret", "http://", true},
		{"http://u", "http://", true},
		{"http://h/x", "http://h/x", true},
		{"//u:p@h/", "//h/", false},
		{"h:443", "h:443", false},
		{"u:p@h:443", "h:443", false},
		{"u:p", "", true},
		{"/proxy/https://u:p@h/", "/proxy/https://h/", false},
		{"/x?to=ftp://u:p@h/&b=1", "/x?to=ftp://h/&b=1", false},
		{"http://u:p@h/?a=http://v:q@i/", "http://h/?a=http://i/", false},
		{"", "", true},
		{"://", "://", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[64];
		size_t n = strlen(cases[i].from);

		memcpy(text, cases[i].from, n + 1);
		n = http_target_clean(text, n, cases[i].cut);
		text[n] = '\0';
		assert_string_equal(text, cases[i].to);
	}
}

static void test_redact(void **state)
{
	static const struct {
		const char *from, *to;
	} cases[] = {
		{"/", "/"},
		{"", ""},
		{"/a;b=c", "/a;b=c"},
		{"/?", "/?"},
		{"/?a=1&b=2", "/?a=REDACTED&b=REDACTED"},
		{"/?a=1;b=2", "/?a=REDACTED;b=REDACTED"},
		{"/?a=&b", "/?a=REDACTED&REDACTED"},
		{"/?secret", "/?REDACTED"},
		{"/?a=b=c?d=e", "/?a=REDACTED"},
		{"/?&&a=1&", "/?&&a=REDACTED&"},
		{"/?=x", "/?=REDACTED"},
		{"/x#part=1?a=2", "/x#REDACTED"},
		{"/?a=1#part&b=2", "/?a=REDACTED#REDACTED"},
		{"http://h/?a=http://x/?b=1", "http://h/?a=REDACTED"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[64];
		size_t n =
			http_target_redact(out, sizeof(out), cases[i].from, strlen(cases[i].from));

		assert_string_equal(out, cases[i].to);
		assert_int_equal(n, strlen(out));
	}
}

/* What does not fit is left out by whole parameters; no value comes through. */
static void test_redact_bounds(void **state)
{
	static const char from[] = "/path?one=s3cret&two=s3cret#s3cret";
	char whole[80], out[80];

	(void)state;
	http_target_redact(whole, sizeof(whole), from, sizeof(from) - 1);
	assert_string_equal(whole, "/path?one=REDACTED&two=REDACTED#REDACTED");
	for (size_t size = 1; size < sizeof(out); size++) {
		size_t n = http_target_redact(out, size, from, sizeof(from) - 1);

		assert_true(n < size);
		assert_int_equal(n, strlen(out));
		assert_memory_equal(out, whole, n);
		assert_null(strchr(out, '3'));
	}
}

static void test_redact_random(void **state)
{
	static const char letters[] = "ab?&;=#/";
	struct rng r = rng_new();

	(void)state;
	for (int i = 0; i < 100000; i++) {
		char from[24], out[200];
		size_t length = rng_below(&r, sizeof(from)), n;

		for (size_t k = 0; k < length; k++)
			from[k] = letters[rng_below(&r, sizeof(letters) - 1)];
		/* behind the query's start, a 'Z' is always in a value */
		n = length ? rng_below(&r, (uint32_t)length) : 0;
		if (n && memchr(from, '?', n) && strchr("=", from[n - 1]))
			from[n] = 'Z';
		n = http_target_redact(out, sizeof(out), from, length);
		assert_true(n < sizeof(out) - 1);
		if (memchr(out, 'Z', n))
			fail_msg("%.*s became %s", (int)length, from, out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_redact),
		cmocka_unit_test(test_redact_bounds),
		cmocka_unit_test(test_redact_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
