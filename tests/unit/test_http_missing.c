// SPDX-License-Identifier: GPL-2.0-only
/* What is not all there, or not HTTP: segments lost, repeated, cut and malformed. */
#include "http_fixture.h"

static void resend(uint8_t direction, const char *text, uint32_t back)
{
	uint32_t seq = f.seq[direction];

	f.seq[direction] -= back;
	send_cut(direction, text, strlen(text), 0);
	if ((int32_t)(f.seq[direction] - seq) < 0)
		f.seq[direction] = seq;
}

static void test_retransmissions(void **state)
{
	(void)state;
	tx(GET("/a"));
	resend(HTTP_TX, GET("/a"), (uint32_t)strlen(GET("/a")));
	assert_told("> GET /a h");
	/* and with more behind it */
	resend(HTTP_TX, GET("/a") GET("/b"), (uint32_t)strlen(GET("/a")));
	assert_told("> GET /b h");
	rx("HTTP/1.1 200 OK\r\nContent-");
	resend(HTTP_RX, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 25);
	assert_told("< 200 GET /a h 30us");
	resend(HTTP_RX, EMPTY, (uint32_t)strlen(EMPTY));
	rx(CHUNKED);
	assert_told("< 200 GET /b h 40us");
	resend(HTTP_RX, CHUNKED, (uint32_t)strlen(CHUNKED));
	assert_told("");
	assert_counters(0, 0, 0);
}

static void test_out_of_order(void **state)
{
	uint32_t first;

	(void)state;
	tx(GET("/0"));
	rx(EMPTY);
	first = f.seq[HTTP_TX];
	pass(HTTP_TX, (uint32_t)strlen(GET("/1")));
	tx(GET("/2"));
	f.seq[HTTP_TX] = first;
	tx(GET("/1")); /* too late: counted, not told */
	assert_told("> GET /0 h\n< 200 GET /0 h 10us\n> GET /2 h");
	assert_counters(1, 1, 0);
}

/* One response was lost: the next one answers the second request. */
static void test_lost_response(void **state)
{
	(void)state;
	tx(GET("/0"));
	rx(EMPTY);
	told_reset(&f.told);
	tx(GET("/1"));
	pass(HTTP_RX, 100);
	tx(GET("/2"));
	rx(EMPTY);
	assert_told("> GET /1 h\n> GET /2 h\n< 200 GET /2 h 10us");
	assert_counters(2, 1, 0);
	tx(GET("/3"));
	rx(EMPTY);
	assert_told("> GET /3 h\n< 200 GET /3 h 10us");
}

static void test_lost_request(void **state)
{
	(void)state;
	tx(GET("/0"));
	rx(EMPTY);
	told_reset(&f.told);
	pass(HTTP_TX, 100);
	rx("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	tx(GET("/2"));
	rx(EMPTY);
	assert_told("< 404\n> GET /2 h\n< 200 GET /2 h 10us");
	assert_counters(2, 1, 0); /* the request, and its response has none */
}

/* Both were lost, and nobody can know from the positions of a chunked body. */
static void test_lost_somewhere(void **state)
{
	(void)state;
	tx(GET("/0"));
	rx(CHUNKED);
	pass(HTTP_RX, 500);
	tx(GET("/1"));
	pass(HTTP_RX, 500);
	tx(GET("/2"));
	rx(CHUNKED);
	assert_told("> GET /0 h\n< 200 GET /0 h 10us\n> GET /1 h\n> GET /2 h\n< 200 GET /2 h 10us");
	pass(HTTP_RX, 500);
	tx(GET("/3"));
	rx(CHUNKED);
	assert_told("> GET /3 h\n< 200 GET /3 h 10us");
	assert_counters(1, 0, 0);
}

/* With pipelining nobody knows whose the responses are once one is missing. */
static void test_lost_while_pipelining(void **state)
{
	(void)state;
	tx(GET("/0"));
	rx(EMPTY);
	tx(GET("/1") GET("/2") GET("/3") GET("/4"));
	told_reset(&f.told);
	pass(HTTP_RX, 50);
	rx(EMPTY EMPTY);
	assert_told("< 200\n< 200");
	tx(GET("/5"));
	rx(EMPTY);
	assert_told("> GET /5 h\n< 200");
}

/* A request, its response and the next request were lost together. */
static void test_lost_in_a_row(void **state)
{
	(void)state;
	tx(GET("/0"));
	rx(EMPTY);
	told_reset(&f.told);
	tx(GET("/1"));
	pass(HTTP_RX, 50);
	pass(HTTP_TX, 50);
	pass(HTTP_RX, 50);
	tx(GET("/3"));
	rx(EMPTY);
	assert_told("> GET /1 h\n> GET /3 h\n< 200 GET /3 h 10us");
	tx(GET("/4"));
	rx(EMPTY);
	assert_told("> GET /4 h\n< 200 GET /4 h 10us");
}

/* A request is missing between two that wait, and no response: the second's cannot be known. */
static void test_lost_between(void **state)
{
	(void)state;
	tx(GET("/0"));
	rx(EMPTY);
	told_reset(&f.told);
	tx(GET("/1"));
	pass(HTTP_TX, 50);
	tx(GET("/3"));
	tx(GET("/4"));
	rx(EMPTY);
	rx(EMPTY);
	rx(EMPTY);
	assert_told("> GET /1 h\n> GET /3 h\n> GET /4 h\n< 200 GET /1 h 30us\n< 200\n< 200");
}

/* The answer to a malformed request is not taken for that of the next one. */
static void test_malformed_while_pipelining(void **state)
{
	(void)state;
	tx("GET /a HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n");
	tx(GET("/b"));
	rx("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
	assert_told("> GET /a h NAME\n> GET /b h\n< 400 GET /a h 20us");
}

static void test_malformed_response(void **state)
{
	(void)state;
	tx(GET("/a"));
	rx("HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 0\r\n\r\n");
	tx(GET("/b"));
	rx(EMPTY);
	assert_told("> GET /a h\n< 200 GET /a h 10us NAME\n> GET /b h\n< 200 GET /b h 10us");
	assert_counters(0, 1, 1);
	rx("HTTP/1.1 200 OK\r\nX : y\r\n\r\n"); /* perhaps more than one response */
	tx(GET("/c"));
	tx(GET("/d"));
	told_reset(&f.told);
	rx(EMPTY);
	assert_told("< 200");
}

/* After a 100 it is still not known whose response comes. */
static void test_continue_behind_a_gap(void **state)
{
	(void)state;
	tx(GET("/0"));
	rx(EMPTY);
	tx(GET("/1"));
	pass(HTTP_RX, 50);
	tx(GET("/2"));
	told_reset(&f.told);
	rx("HTTP/1.1 100 Continue\r\n\r\n");
	rx(EMPTY);
	assert_told("< 200 GET /2 h 20us");
}

/* Where the position does not tell, text that the next segment would complete begins nothing. */
static void test_text_joined(void **state)
{
	(void)state;
	pass(HTTP_TX, 1);
	tx("SECRET");
	tx(GET("/a"));
	assert_told("> GET /a h");
}

/* Nor does what stands inside of a segment. */
static void test_text_inside(void **state)
{
	(void)state;
	tx("GET /a HTTP/1.1\r\nHost: h\r\n folded\r\n" GET("/b"));
	resend(HTTP_TX, "xx" GET("/c"), 2);
	assert_told("> GET /a h FOLDING");
}

static void rx_acknowledging(const char *text, uint32_t ack)
{
	struct http_piece p = piece(HTTP_RX, text, strlen(text));

	p.ack = ack;
	sent(HTTP_RX, p.length);
	http_take(f.http, &p);
}

/* A server that gives up crosses a request, which it had not received. */
static void test_answer_to_nobody(void **state)
{
	uint32_t before;

	(void)state;
	tx(GET("/a"));
	rx(EMPTY);
	before = f.seq[HTTP_TX];
	tx(GET("/b"));
	told_reset(&f.told);
	rx_acknowledging("HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n", before);
	assert_told("< 408");
	assert_counters(1, 0, 0);
}

/* The subscription began between two requests that were sent together. */
static void test_begins_between_pipelined(void **state)
{
	(void)state;
	tx(GET("/a"));
	rx(EMPTY);
	told_reset(&f.told);
	pass(HTTP_TX, 50);
	tx(GET("/c"));
	rx(EMPTY);
	rx(EMPTY);
	assert_told("> GET /c h\n< 200\n< 200");
	tx(GET("/d"));
	rx(EMPTY);
	assert_told("> GET /d h\n< 200");
}

/* A response to HEAD without its request has a length, but no body. */
static void test_head_was_lost(void **state)
{
	(void)state;
	tx(GET("/a"));
	rx(EMPTY);
	told_reset(&f.told);
	pass(HTTP_TX, 50);
	rx(OK(1000));
	tx(GET("/b"));
	rx(EMPTY);
	assert_told("< 200\n> GET /b h\n< 200 GET /b h 10us");
}

/* Responses that cannot be told from a body without an end are counted. */
static void test_missed_in_rest(void **state)
{
	(void)state;
	tx(GET("/a"));
	rx("HTTP/1.1 200 OK\r\n\r\n");
	rx(EMPTY);
	assert_counters(0, 0, 0);
	tx(GET("/b"));
	rx(EMPTY);
	assert_told("> GET /a h\n< 200 GET /a h 10us\n> GET /b h");
	assert_counters(1, 0, 0);
}

static void test_truncated(void **state)
{
	static char longer[1100];
	static const char begun[] = "GET /a HTTP/1.1\r\nHost: h\r\nCookie: x";

	(void)state;
	send_cut(HTTP_TX, begun, sizeof(begun) - 1, 1000);
	assert_told("> GET /a h truncated");
	rx(EMPTY);
	tx(GET("/b"));
	assert_told("< 200 GET /a h 10us\n> GET /b h");
	memset(longer, 'x', 1024);
	memcpy(longer, "GET /", 5);
	send_cut(HTTP_TX, longer, 1024, 500);
	longer[1024] = '\0';
	assert_int_equal(f.told.events, 1);
	assert_non_null(strstr(f.told.text, "x truncated"));
	told_reset(&f.told);
	assert_counters(0, 0, 0);
}

static void test_piece_of_head_lost(void **state)
{
	(void)state;
	tx("GET /c HTTP/1.1\r\nHos");
	pass(HTTP_TX, 10);
	tx(": x\r\n\r\n");
	assert_told("> GET /c truncated");
	tx(GET("/body")); /* of a body, perhaps: that request is not answered */
	assert_told("");
	assert_counters(1, 0, 0);
	rx("HTTP/1.1 20");
	pass(HTTP_RX, 10);
	rx(EMPTY);
	assert_told("< 200"); /* of a request that was lost as well, perhaps */
}

static void test_head_of_8k(void **state)
{
	static char big[9000];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	memcpy(big, "GET /a HTTP/1.1\r\nHost: h\r\nX: ", 29);
	for (size_t i = 0; i < 8192; i += 1024)
		send_cut(HTTP_TX, big + i, 1024, 0);
	assert_told("");
	tx("more");
	assert_told("> GET /a h truncated");
	assert_true(http_bytes(f.http) < 1024);
}

static void test_begins_in_between(void **state)
{
	(void)state;
	rx(OK(3) "abc");
	assert_told("< 200");
	tx(GET("/b"));
	rx(EMPTY);
	assert_told("> GET /b h\n< 200 GET /b h 10us");
	assert_counters(0, 0, 0);
}

static void test_malformed(void **state)
{
	(void)state;
	tx("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nGET /body "
	   "HTTP/1.1\r\n\r\n");
	rx("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
	assert_told("> POST /a h CONTENT_LENGTH\n< 400 POST /a h 10us");
	tx("more of it\r\n");
	tx(GET("/b"));
	rx(EMPTY); /* GET /b was sent behind a part of /a's body: perhaps it is text as well */
	assert_told("> GET /b h\n< 200");
	assert_counters(1, 1, 1);
}

static void test_garbage_where_a_message_should_be(void **state)
{
	(void)state;
	tx(GET("/a") "\x01\x02 garbage");
	rx(EMPTY);
	tx(GET("/b"));
	rx(EMPTY);
	assert_told("> GET /a h\n< 200 GET /a h 10us\n> GET /b h\n< 200 GET /b h 10us");
	assert_counters(0, 1, 1);
}

static void test_not_http(void **state)
{
	static const char *const others[] = {"\x16\x03\x01\x02\x01\x01", "SSH-2.0-x\r\n",
					     "GET \x01\x02 nothing\r\n", "HTTP/3.0 200 OK\r\n\r\n",
					     "220 mail ESMTP\r\n",	 "GET / RTSP/1.0\r\n\r\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		tx(others[i]);
		rx(others[i]);
	}
	assert_told("");
	assert_counters(0, 0, 0);
	assert_true(http_bytes(f.http) < 1024);
}

static void test_http2(void **state)
{
	(void)state;
	tx("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	tx(GET("/inside"));
	rx(EMPTY);
	assert_told("");
}

static void test_closed_in_the_middle(void **state)
{
	(void)state;
	tx(GET("/a"));
	rx("HTTP/1.1 200 OK\r\nContent-Le");
	finish(HTTP_RX, true, false, false);
	assert_told("> GET /a h\n< 200 GET /a h 10us truncated");
	finish(HTTP_TX, false, true, false);
	assert_int_equal(http_connections(f.http), 1);
	finish(HTTP_TX, false, false, true);
	assert_int_equal(http_connections(f.http), 0);
	assert_int_equal(http_bytes(f.http), 0);
	finish(HTTP_TX, false, false, true);
	assert_int_equal(http_connections(f.http), 0);
	assert_counters(0, 0, 0);
}

static void test_no_userinfo(void **state)
{
	(void)state;
	tx("GET http://u:pw@h:1/?a=b HTTP/1.1\r\nHost: u:pw@h:1\r\n\r\n");
	rx(EMPTY);
	assert_told("> GET http://h:1/?a=b h:1\n< 200 GET http://h:1/?a=b h:1 10us");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		CASE(test_retransmissions),
		CASE(test_out_of_order),
		CASE(test_lost_response),
		CASE(test_lost_request),
		CASE(test_lost_somewhere),
		CASE(test_lost_while_pipelining),
		CASE(test_lost_in_a_row),
		CASE(test_lost_between),
		CASE(test_malformed_while_pipelining),
		CASE(test_malformed_response),
		CASE(test_continue_behind_a_gap),
		CASE(test_text_joined),
		CASE(test_text_inside),
		CASE(test_answer_to_nobody),
		CASE(test_begins_between_pipelined),
		CASE(test_head_was_lost),
		CASE(test_missed_in_rest),
		CASE(test_truncated),
		CASE(test_piece_of_head_lost),
		CASE(test_head_of_8k),
		CASE(test_begins_in_between),
		CASE(test_malformed),
		CASE(test_garbage_where_a_message_should_be),
		CASE(test_not_http),
		CASE(test_http2),
		CASE(test_closed_in_the_middle),
		CASE(test_no_userinfo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
