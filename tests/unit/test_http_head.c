// SPDX-License-Identifier: GPL-2.0-only
/* Heads: what is taken from them, what is wrong with them, and that pieces make no difference. */
#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"
#include "collector/http/head.h"
#include "http_samples.h"

static struct http_head head;

static enum http_progress feed(struct http_head *h, const char *data, size_t size)
{
	size_t used;
	enum http_progress progress = http_head_feed(h, data, size, &used);

	assert_true(used <= size);
	assert_true(progress != HTTP_MORE || used == size);
	return progress;
}

static enum http_progress parse(const char *text, size_t length)
{
	memset(&head, 0xa5, sizeof(head));
	http_head_begin(&head);
	return feed(&head, text, length);
}

static void assert_text(struct http_text got, const char *want)
{
	assert_int_equal(got.length, strlen(want));
	assert_memory_equal(head.text + got.at, want, got.length);
}

static void test_request(void **state)
{
	const struct http_sample *s = &http_samples[4];

	(void)state;
	assert_int_equal(parse(s->text, s->length), HTTP_COMPLETE);
	assert_int_equal(head.kind, HTTP_REQUEST);
	assert_text(head.method, "POST");
	assert_text(head.target, "/form");
	assert_text(head.host, "h");
	assert_text(head.user_agent, "");
	assert_text(head.content_type, "text/plain; charset=utf-8");
	assert_int_equal(head.minor, 1);
	assert_true(head.has_length && head.length == 5 && !head.chunked);
}

static void test_response(void **state)
{
	const struct http_sample *s = &http_samples[12];

	(void)state;
	assert_int_equal(parse(s->text, s->length), HTTP_COMPLETE);
	assert_int_equal(head.kind, HTTP_RESPONSE);
	assert_int_equal(head.status, 200);
	assert_text(head.reason, "OK");
	assert_text(head.content_type, "text/html");
	assert_true(head.has_length && head.length == 12);
	assert_int_equal(parse("HTTP/1.0 404 Not Found\r\n\r\n", 26), HTTP_COMPLETE);
	assert_text(head.reason, "Not Found");
	assert_int_equal(head.minor, 0);
}

/* The body behind it is not touched. */
static void test_end(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\n\r\nGET /body HTTP/1.1\r\n\r\n";
	size_t used;

	(void)state;
	http_head_begin(&head);
	assert_int_equal(http_head_feed(&head, text, sizeof(text) - 1, &used), HTTP_COMPLETE);
	assert_int_equal(used, 18);
}

static const struct {
	enum http_malformed want;
	const char *text;
	size_t length;
} malformed[] = {
#define BAD(why, text)                      \
	{                                   \
		why, text, sizeof(text) - 1 \
	}
	BAD(HTTP_BARE_CR, "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"),
	BAD(HTTP_BARE_CR, "GET / HTTP/1.1\r\nX: a\r\r\n\r\n"),
	BAD(HTTP_BARE_CR, "GET / HTTP/1.1\r\n\rX: a\r\n\r\n"),
	BAD(HTTP_BARE_CR, "GET /\r HTTP/1.1\r\n"),
	BAD(HTTP_BARE_CR, "HTTP/1.1 200 O\rK\r\n"),
	BAD(HTTP_NUL, "GET / HTTP/1.1\r\nX: a\0b\r\n\r\n"),
	BAD(HTTP_NUL, "GET / HTTP/1.1\r\nX\0: a\r\n\r\n"),
	BAD(HTTP_NUL, "GET /\0 HTTP/1.1\r\n"),
	BAD(HTTP_CONTROL, "GET / HTTP/1.1\r\nX: \x1b[2J\r\n\r\n"),
	BAD(HTTP_CONTROL, "GET / HTTP/1.1\r\nTransfer-Encoding: \vchunked\r\n\r\n"),
	BAD(HTTP_CONTROL, "GET /\t HTTP/1.1\r\n"),
	BAD(HTTP_TARGET, "GET /a b HTTP/1.1\r\n"),
	BAD(HTTP_TARGET, "GET  / HTTP/1.1\r\n"),
	BAD(HTTP_TARGET, "GET /  HTTP/1.1\r\n"),
	BAD(HTTP_TARGET, "GET  HTTP/1.1\r\n"),
	BAD(HTTP_TARGET, "GET nowhere HTTP/1.1\r\n"),
	BAD(HTTP_TARGET, "GET http:user:pw@h HTTP/1.1\r\n"),
	BAD(HTTP_NAME, "GET / HTTP/1.1\r\nHost : h\r\n"),
	BAD(HTTP_NAME, "GET / HTTP/1.1\r\nHost\t: h\r\n"),
	BAD(HTTP_NAME, "GET / HTTP/1.1\r\nContent Length: 5\r\n"),
	BAD(HTTP_NAME, "GET / HTTP/1.1\r\n: h\r\n"),
	BAD(HTTP_NAME, "GET / HTTP/1.1\r\nHost\r\n"),
	BAD(HTTP_NAME, "GET / HTTP/1.1\r\nH\xc3\xb6st: h\r\n"),
	BAD(HTTP_FOLDING, "GET / HTTP/1.1\r\nX: a\r\n b\r\n"),
	BAD(HTTP_FOLDING, "GET / HTTP/1.1\r\n\tX: a\r\n"),
	BAD(HTTP_HOST, "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n"),
	BAD(HTTP_HOST, "GET / HTTP/1.1\r\nHost: a b\r\n"),
	BAD(HTTP_HOST, "GET / HTTP/1.1\r\nHost: a,b\r\n"),
	BAD(HTTP_CONTENT_LENGTH, "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n"),
	BAD(HTTP_CONTENT_LENGTH, "POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n"),
	BAD(HTTP_CONTENT_LENGTH, "POST / HTTP/1.1\r\nContent-Length: 5 5\r\n"),
	BAD(HTTP_CONTENT_LENGTH, "POST / HTTP/1.1\r\nContent-Length: -1\r\n"),
	BAD(HTTP_CONTENT_LENGTH, "POST / HTTP/1.1\r\nContent-Length: 0x5\r\n"),
	BAD(HTTP_CONTENT_LENGTH, "POST / HTTP/1.1\r\nContent-Length:\r\n"),
	BAD(HTTP_CONTENT_LENGTH, "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n"),
	BAD(HTTP_TRANSFER_ENCODING, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n"),
	BAD(HTTP_TRANSFER_ENCODING, "POST / HTTP/1.1\r\nTransfer-Encoding: gzip,, chunked\r\n"),
	BAD(HTTP_TRANSFER_ENCODING, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked,\r\n"),
	BAD(HTTP_TRANSFER_ENCODING, "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n"),
	BAD(HTTP_TRANSFER_ENCODING, "POST / HTTP/1.1\r\nTransfer-Encoding: chunkedx\r\n\r\n"),
	BAD(HTTP_TRANSFER_ENCODING, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked x\r\n"),
	BAD(HTTP_TRANSFER_ENCODING, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked;a=b\r\n\r\n"),
	BAD(HTTP_TRANSFER_ENCODING, "POST / HTTP/1.1\r\nTransfer-Encoding:\r\n\r\n"),
	BAD(HTTP_TRANSFER_ENCODING, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
	BAD(HTTP_TRANSFER_ENCODING, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
				    "Transfer-Encoding: chunked\r\n"),
	BAD(HTTP_LENGTH_AND_CODING, "POST / HTTP/1.1\r\nContent-Length: 5\r\n"
				    "Transfer-Encoding: chunked\r\n\r\n"),
	BAD(HTTP_LENGTH_AND_CODING, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n"
				    "Content-Length: 5\r\n\r\n"),
#undef BAD
};

static void test_malformed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		enum http_progress progress = parse(malformed[i].text, malformed[i].length);

		if (progress != HTTP_MALFORMED || head.malformed != malformed[i].want)
			fail_msg("%zu: progress %d, malformed %d: %s", i, progress, head.malformed,
				 malformed[i].text);
	}
	assert_null(http_malformed_name(HTTP_WELL_FORMED));
	for (int i = 1; i < HTTP_MALFORMATIONS; i++)
		assert_non_null(http_malformed_name((enum http_malformed)i));
}

/* Nothing of what is wrong is shown: a target with a wrong byte, a value that broke off. */
static void test_malformed_shows_no_byte(void **state)
{
	static const char target[] = "GET /secret\x01 HTTP/1.1\r\n";
	static const char host[] = "GET / HTTP/1.1\r\nUser-Agent: u\r\nHost: secret\r x\r\n\r\n";

	(void)state;
	assert_int_equal(parse(target, sizeof(target) - 1), HTTP_MALFORMED);
	assert_text(head.target, "");
	assert_text(head.method, "GET");
	assert_int_equal(parse(host, sizeof(host) - 1), HTTP_MALFORMED);
	assert_text(head.host, "");
	assert_text(head.user_agent, "u");
}

static void test_not_http(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_HTTP_SAMPLES; i++) {
		if (strcmp(http_samples[i].text, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
			continue;
		for (; i < N_HTTP_SAMPLES; i++)
			assert_int_equal(parse(http_samples[i].text, http_samples[i].length),
					 HTTP_NOT);
		return;
	}
	fail();
}

static void test_http2(void **state)
{
	(void)state;
	assert_int_equal(parse("PRI * HTTP/2.0\r\n", 16), HTTP_NOT);
	assert_true(head.http2);
	assert_int_equal(parse("PRI / HTTP/2.0\r\n", 16), HTTP_NOT);
	assert_false(head.http2);
}

static void assert_same(const struct http_head *a, const struct http_head *b)
{
	assert_memory_equal(a, b, offsetof(struct http_head, state));
	assert_memory_equal(a->text, b->text, a->used);
}

/* Each in two pieces, split at every position, and byte by byte. */
static void test_splits(void **state)
{
	static struct http_head whole, parts;

	(void)state;
	for (size_t i = 0; i < N_HTTP_SAMPLES; i++) {
		const struct http_sample *s = &http_samples[i];
		enum http_progress want, got;

		http_head_begin(&whole);
		want = feed(&whole, s->text, s->length);
		for (size_t k = 0; k <= s->length; k++) {
			http_head_begin(&parts);
			got = feed(&parts, s->text, k);
			if (got == HTTP_MORE)
				got = feed(&parts, s->text + k, s->length - k);
			assert_int_equal(got, want);
			assert_same(&parts, &whole);
		}
		http_head_begin(&parts);
		got = HTTP_MORE;
		for (size_t k = 0; k < s->length && got == HTTP_MORE; k++)
			got = feed(&parts, s->text + k, 1);
		assert_int_equal(got, want);
		assert_same(&parts, &whole);
	}
}

static void test_too_long(void **state)
{
	static char text[HTTP_HEAD_MAX + 1];
	size_t used;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "GET / HTTP/1.1\r\nX: ", 19);
	memcpy(text + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
	http_head_begin(&head);
	assert_int_equal(http_head_feed(&head, text, sizeof(text), &used), HTTP_COMPLETE);
	assert_int_equal(used, HTTP_HEAD_MAX);
	memcpy(text + HTTP_HEAD_MAX - 4, "a\r\n\r\n", 5);
	http_head_begin(&head);
	assert_int_equal(http_head_feed(&head, text, sizeof(text), &used), HTTP_TOO_LONG);
	assert_int_equal(used, HTTP_HEAD_MAX);
	assert_true(http_head_cut(&head, true));
	assert_text(head.target, "/");
	/* a target that is all of it */
	memset(text, 'a', sizeof(text));
	memcpy(text, "GET /", 5);
	http_head_begin(&head);
	assert_int_equal(http_head_feed(&head, text, sizeof(text), &used), HTTP_TOO_LONG);
	assert_true(head.used <= HTTP_HEAD_MAX);
	assert_true(http_head_cut(&head, true));
	assert_int_equal(head.target.length, HTTP_HEAD_MAX - 4);
}

static bool cuts(const char *text, bool target)
{
	assert_int_equal(parse(text, strlen(text)), HTTP_MORE);
	return http_head_cut(&head, target);
}

static void test_cut(void **state)
{
	(void)state;
	assert_true(cuts("GET / HTTP/1.1\r\nHost: partly", false));
	assert_text(head.host, "");
	assert_false(cuts("GET /long", false));
	assert_true(cuts("GET /long", true));
	assert_text(head.target, "/long");
	assert_true(cuts("GET /long HTT", true));
	assert_text(head.target, "/long");
	assert_true(cuts("GET /long HTTP/1.1\r", true));
	assert_text(head.target, "/long");
	assert_false(cuts("GET /long words", true));
	assert_false(cuts("GET words", true));
	assert_false(cuts("GET /\x01", true));
	assert_false(cuts("WORD /x", true));
	assert_true(cuts("GET http://user:p", true));
	assert_text(head.target, "http://");
	assert_true(cuts("GET http://user:p HTTP", true));
	assert_text(head.target, "http://");
	assert_true(cuts("CONNECT user:p", true));
	assert_text(head.target, "");
}

/* Of several values the first counts; of none nothing is kept. */
static void test_repeated(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nUser-Agent: \r\nUser-Agent: a\r\n"
				   "User-Agent: b\r\nContent-Type: c\r\n\r\n";

	(void)state;
	assert_int_equal(parse(text, sizeof(text) - 1), HTTP_COMPLETE);
	assert_text(head.user_agent, "a");
	assert_text(head.content_type, "c");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_response),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_malformed_shows_no_byte),
		cmocka_unit_test(test_not_http),
		cmocka_unit_test(test_http2),
		cmocka_unit_test(test_splits),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
