/* SPDX-License-Identifier: GPL-2.0-only */
/* A connection for tests of collector/http: segments of both sides, and what is told. */
#ifndef NETWATCH_TESTS_HTTP_FIXTURE_H
#define NETWATCH_TESTS_HTTP_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "collector/http/http.h"
#include "common/kernel_side.h"
#include "http_told.h"

#define COOKIE 7

/* A connection of which the client's socket is seen; positions wrap soon. */
static struct fixture {
	struct http *http;
	struct told told;
	uint64_t time_us;
	uint32_t seq[2], acked[2];
	bool spoke[2]; /* acked is valid */
	uint8_t role;
} f;

static inline int begin(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	f.http = http_new(NULL, told_event, &f.told);
	f.seq[HTTP_RX] = 0xfffffff0;
	f.seq[HTTP_TX] = 0xffffffe0;
	f.role = NW_ROLE_CLIENT;
	assert_non_null(f.http);
	return 0;
}

static inline int end(void **state)
{
	(void)state;
	http_free(f.http);
	return 0;
}

static inline struct http_piece piece(uint8_t direction, const char *data, size_t captured)
{
	uint32_t ack = f.seq[!direction];

	f.time_us += 10;
	return (struct http_piece){.cookie = COOKIE,
				   .time_ns = f.time_us * 1000,
				   .data = data,
				   .captured = (uint32_t)captured,
				   .length = (uint32_t)captured,
				   .seq = f.seq[direction],
				   .ack = ack,
				   .start = !f.spoke[direction],
				   .turn = !f.spoke[direction] || f.acked[direction] != ack,
				   .direction = direction,
				   .role = f.role};
}

/* The other side has all of it before it sends more. */
static inline void sent(uint8_t direction, uint32_t bytes)
{
	f.seq[direction] += bytes;
	f.acked[direction] = f.seq[!direction];
	f.spoke[direction] = true;
}

/* A segment with these bytes first, and `more` that are not delivered. */
static inline void send_cut(uint8_t direction, const char *data, size_t size, uint32_t more)
{
	char *copy = malloc(size + 1); /* so that a sanitizer sees what is read beyond, or kept */
	struct http_piece p = piece(direction, copy, size);

	memcpy(copy, data, size);
	p.length += more;
	sent(direction, p.length);
	http_take(f.http, &p);
	free(copy);
}

static inline void tx(const char *text)
{
	send_cut(HTTP_TX, text, strlen(text), 0);
}

static inline void rx(const char *text)
{
	send_cut(HTTP_RX, text, strlen(text), 0);
}

/* A segment that the kernel side does not deliver. */
static inline void pass(uint8_t direction, uint32_t bytes)
{
	sent(direction, bytes);
}

static inline void assert_told(const char *want)
{
	f.told.text[f.told.used] = '\0';
	assert_string_equal(f.told.text, want);
	told_reset(&f.told);
}

static inline void assert_counters(uint64_t missed, uint64_t resynchronised, uint64_t malformed)
{
	const struct http_counters *c = http_counters(f.http);

	assert_int_equal(c->missed, missed);
	assert_int_equal(c->resynchronised, resynchronised);
	assert_int_equal(c->malformed, malformed);
}

#define GET(path)  "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define HEAD(path) "HEAD " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define OK(length) "HTTP/1.1 200 OK\r\nContent-Length: " #length "\r\n\r\n"
#define EMPTY	   OK(0)
#define CHUNKED	   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static inline void finish(uint8_t direction, bool fin, bool rst, bool closed)
{
	struct http_piece p = piece(direction, NULL, 0);

	p.fin = fin;
	p.rst = rst;
	p.closed = closed;
	http_take(f.http, &p);
}

#endif
