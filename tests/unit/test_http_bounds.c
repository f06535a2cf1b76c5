// SPDX-License-Identifier: GPL-2.0-only
/* Memory: bounded in connections and bytes whoever sends what, and given back. */
#include "http_fixture.h"
#include "rng.h"

static void begin_with(size_t connections, size_t bytes)
{
	struct http_limits limits = {connections, bytes};

	http_free(f.http);
	f.http = http_new(&limits, told_event, &f.told);
	assert_non_null(f.http);
}

static void send_to(uint64_t cookie, uint8_t direction, const char *text, size_t size)
{
	struct http_piece p = piece(direction, text, size);

	p.cookie = cookie;
	p.seq = 1;
	http_take(f.http, &p);
}

#define REQUEST "GET / HTTP/1.1\r\n\r\n"

/* The one that was quiet longest goes. */
static void test_connections(void **state)
{
	struct http_piece p;

	(void)state;
	begin_with(3, 0);
	for (uint64_t cookie = 1; cookie <= 3; cookie++)
		send_to(cookie, HTTP_TX, REQUEST, strlen(REQUEST));
	send_to(1, HTTP_TX, REQUEST, strlen(REQUEST)); /* sent again: it lives */
	send_to(4, HTTP_TX, REQUEST, strlen(REQUEST));
	assert_int_equal(http_connections(f.http), 3);
	assert_int_equal(http_counters(f.http)->evicted, 1);
	told_reset(&f.told);
	p = piece(HTTP_RX, EMPTY, strlen(EMPTY));
	p.ack = 1000;
	p.cookie = 1;
	http_take(f.http, &p);
	p.cookie = 2;
	http_take(f.http, &p);
	f.told.text[f.told.used] = '\0';
	assert_non_null(strstr(f.told.text, "< 200 GET /"));
	assert_non_null(strstr(f.told.text, "\n< 200"));
	assert_null(strstr(strchr(f.told.text, '\n'), "GET"));
}

static void test_bytes(void **state)
{
	static char big[8000];

	(void)state;
	begin_with(0, 1 << 20);
	memset(big, 'a', sizeof(big));
	memcpy(big, "GET /", 5);
	for (uint64_t cookie = 1; cookie < 1000; cookie++) { /* heads that never end */
		send_to(cookie, HTTP_TX, big, sizeof(big));
		assert_true(http_bytes(f.http) <= 1 << 20);
	}
	assert_true(http_counters(f.http)->evicted > 500);
	assert_int_equal(http_counters(f.http)->missed, http_counters(f.http)->evicted);
	memcpy(big + sizeof(big) - 13, " HTTP/1.1\r\n\r\n", 13);
	for (int i = 0; i < 200; i++) { /* requests that nobody answers */
		send_cut(HTTP_TX, big, sizeof(big), 0);
		assert_true(http_bytes(f.http) <= 1 << 20);
	}
	assert_true(http_connections(f.http) > 1);
}

static void test_given_back(void **state)
{
	(void)state;
	for (uint64_t cookie = 1; cookie <= 100; cookie++) {
		struct http_piece p = piece(HTTP_TX, REQUEST "GET /", strlen(REQUEST) + 5);

		p.cookie = cookie;
		http_take(f.http, &p);
		p.closed = true;
		http_take(f.http, &p);
	}
	assert_int_equal(http_connections(f.http), 0);
	assert_int_equal(http_bytes(f.http), 0);
	assert_int_equal(http_counters(f.http)->evicted, 0);
}

/* 100,000 hostile heads: none is told that is none, nothing grows. */
static void test_hostile(void **state)
{
	static const char *const starts[] = {"GET ",	"POST /",	"HTTP/1.1 ",
					     "HTTP/1.", "\x16\x03\x01", "PRI * HTTP/2.0\r\n",
					     ""};
	struct rng r = rng_new();

	(void)state;
	begin_with(100, 0);
	for (int i = 0; i < 100000; i++) {
		const char *start = starts[rng_below(&r, sizeof(starts) / sizeof(starts[0]))];
		char text[300];
		size_t n = strlen(start) + rng_below(&r, 250);

		for (size_t k = 0; k < n; k++)
			text[k] = (char)(0x80 | rng_next(&r));
		memcpy(text, start, strlen(start));
		for (int k = rng_below(&r, 4); k > 0 && n; k--)
			text[rng_below(&r, (uint32_t)n)] = "\r\n\0 "[rng_below(&r, 4)];
		send_to(rng_below(&r, 1000), rng_below(&r, 2), text, n);
		assert_true(http_connections(f.http) <= 100);
		assert_true(http_bytes(f.http) <= 100 * (2 * sizeof(struct http_head) + 512));
	}
	assert_int_equal(f.told.events, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		CASE(test_connections),
		CASE(test_bytes),
		CASE(test_given_back),
		CASE(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
