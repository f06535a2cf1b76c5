// SPDX-License-Identifier: GPL-2.0-only
/* Connections: where messages begin and end, and whose response is whose. */
#include "http_fixture.h"

static void test_keep_alive(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		tx(GET("/a"));
		rx(OK(2) "ok");
		assert_told("> GET /a h\n< 200 GET /a h 10us");
	}
	assert_counters(0, 0, 0);
	assert_int_equal(http_connections(f.http), 1);
}

static void test_server(void **state)
{
	(void)state;
	f.role = NW_ROLE_SERVER;
	rx(GET("/a"));
	tx(EMPTY);
	assert_told("> GET /a h\n< 200 GET /a h 10us");
	f.role = NW_ROLE_UNKNOWN;
	tx(GET("/b")); /* what a server sends is no request */
	assert_told("");
	assert_counters(0, 0, 1);
}

static void test_role_by_what_is_seen(void **state)
{
	(void)state;
	f.role = NW_ROLE_UNKNOWN;
	rx(GET("/a"));
	tx(EMPTY);
	rx(GET("/b"));
	tx(EMPTY);
	assert_told("> GET /a h\n< 200 GET /a h 10us\n> GET /b h\n< 200 GET /b h 10us");
}

/* Bytes of a head come one by one, each in its own segment; what is no boundary needs a bit more.
 */
static void test_byte_by_byte(void **state)
{
	static const char request[] = GET("/slow"), response[] = EMPTY;

	(void)state;
	tx(GET("/"));
	rx(EMPTY);
	told_reset(&f.told);
	for (size_t i = 0; i < sizeof(request) - 1; i++)
		send_cut(HTTP_TX, request + i, 1, 0);
	for (size_t i = 0; i < sizeof(response) - 1; i++)
		send_cut(HTTP_RX, response + i, 1, 0);
	assert_told("> GET /slow h\n< 200 GET /slow h 310us");
	assert_counters(0, 0, 0);
}

static void test_pipelining(void **state)
{
	(void)state;
	tx(GET("/1") HEAD("/2") GET("/3"));
	assert_told("> GET /1 h\n> HEAD /2 h\n> GET /3 h");
	rx(OK(3) "123" OK(3) CHUNKED "3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n");
	assert_told("< 200 GET /1 h 10us\n< 200 HEAD /2 h 10us\n< 200 GET /3 h 10us");
	tx(GET("/4"));
	rx(EMPTY);
	assert_told("> GET /4 h\n< 200 GET /4 h 10us");
	assert_counters(0, 0, 0);
}

static void test_pipelining_beyond_bound(void **state)
{
	(void)state;
	for (int i = 0; i < HTTP_OUTSTANDING_MAX; i++)
		tx(GET("/q"));
	tx(GET("/65"));
	tx(GET("/66"));
	assert_counters(2, 0, 0);
	told_reset(&f.told);
	for (int i = 0; i < HTTP_OUTSTANDING_MAX; i++)
		rx(EMPTY);
	told_reset(&f.told);
	rx(EMPTY);
	assert_told("< 200");
	tx(GET("/67")); /* behind one whose place in the queue is not known */
	rx(EMPTY);
	rx(EMPTY);
	assert_told("> GET /67 h\n< 200\n< 200");
	tx(GET("/68"));
	rx(EMPTY);
	assert_told("> GET /68 h\n< 200 GET /68 h 10us");
	assert_counters(3, 0, 0);
}

/* Text in a body of known length is no message, wherever segments are cut. */
static void test_body_is_not_read(void **state)
{
	(void)state;
	tx("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3000\r\n\r\n");
	pass(HTTP_TX, 1000);
	tx(GET("/body"));
	send_cut(HTTP_TX, GET("/body"), strlen(GET("/body")), 500);
	pass(HTTP_TX, 3000 - 1000 - 500 - 2 * (uint32_t)strlen(GET("/body")));
	rx(OK(100));
	rx("HTTP/1.1 500 Body\r\n\r\n");
	pass(HTTP_RX, 100 - 21);
	assert_told("> POST / h\n< 200 POST / h 30us");
	tx(GET("/next"));
	rx(EMPTY);
	assert_told("> GET /next h\n< 200 GET /next h 10us");
	assert_counters(0, 0, 0);
}

/* A body ends in a segment that is delivered for what begins behind it. */
static void test_body_ends_in_segment(void **state)
{
	(void)state;
	tx("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbodyGET /x HTTP/1.1\r\n\r\n");
	assert_told("> POST / h\n> GET /x");
}

static void test_huge_body(void **state)
{
	(void)state;
	tx(GET("/iso"));
	rx(OK(5000000000));
	pass(HTTP_RX, (uint32_t)5000000000ULL);
	rx(EMPTY); /* nobody waits for it */
	tx(GET("/b"));
	rx(EMPTY);
	assert_told("> GET /iso h\n< 200 GET /iso h 10us\n> GET /b h\n< 200 GET /b h 10us");
}

static void test_no_body(void **state)
{
	static const char *const responses[] = {"HTTP/1.1 204 No Content\r\n\r\n",
						"HTTP/1.1 304 Not Modified\r\n"
						"Content-Length: 9\r\n\r\n"};

	(void)state;
	tx(HEAD("/h"));
	rx(OK(1000));
	for (int i = 0; i < 2; i++) {
		tx(GET("/n"));
		rx(responses[i]);
	}
	tx(GET("/n"));
	rx(EMPTY);
	assert_told("> HEAD /h h\n< 200 HEAD /h h 10us\n> GET /n h\n< 204 GET /n h 10us\n"
		    "> GET /n h\n< 304 GET /n h 10us\n> GET /n h\n< 200 GET /n h 10us");
	assert_counters(0, 0, 0);
}

static void test_continue(void **state)
{
	(void)state;
	tx("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
	rx("HTTP/1.1 100 Continue\r\n\r\n");
	tx("body");
	rx("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" EMPTY);
	assert_told("> POST /\n< 200 POST / 30us");
	assert_counters(0, 0, 0);
}

static void test_chunked_out_of_sight(void **state)
{
	(void)state;
	tx(GET("/1"));
	send_cut(HTTP_RX, CHUNKED "1000\r\nabc", 55, 5000);
	pass(HTTP_RX, 20000);
	rx(EMPTY); /* in the body: no request waits */
	assert_told("> GET /1 h\n< 200 GET /1 h 10us");
	assert_counters(1, 0, 0);
	pass(HTTP_RX, 777);
	tx(GET("/2"));
	rx(EMPTY);
	assert_told("> GET /2 h\n< 200 GET /2 h 10us");
	assert_counters(1, 0, 0);
}

/* A chunk whose size was seen is counted, not read. */
static void test_chunk_is_counted(void **state)
{
	(void)state;
	tx(GET("/1") GET("/2"));
	send_cut(HTTP_RX, CHUNKED "1000\r\nabc", strlen(CHUNKED "1000\r\nabc"), 0);
	rx("HTTP/1.1 500 Body\r\n\r\n");
	pass(HTTP_RX, 0x1000 - 3 - 21);
	rx("\r\n0\r\n\r\n");
	rx(EMPTY);
	assert_told("> GET /1 h\n> GET /2 h\n< 200 GET /1 h 10us\n< 200 GET /2 h 40us");
	assert_counters(0, 0, 0);
}

static void test_chunked_request(void **state)
{
	(void)state;
	tx("PUT /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
	pass(HTTP_TX, 10000);
	tx(GET("/body"));
	pass(HTTP_TX, 500);
	rx(EMPTY);
	tx(GET("/2"));
	assert_told("> PUT /1\n< 200 PUT /1 20us\n> GET /2 h");
	assert_counters(1, 0, 0);
}

static void test_until_close(void **state)
{
	(void)state;
	tx("GET /1 HTTP/1.0\r\n\r\n");
	rx("HTTP/1.0 200 OK\r\n\r\nbody");
	tx(GET("/2"));
	rx(EMPTY);
	assert_told("> GET /1\n< 200 GET /1 10us\n> GET /2 h");
}

static void test_tunnels(void **state)
{
	(void)state;
	tx("CONNECT h:443 HTTP/1.1\r\n\r\n");
	rx("HTTP/1.1 200 OK\r\n\r\n");
	tx(GET("/inside"));
	rx(EMPTY);
	assert_told("> CONNECT h:443\n< 200 CONNECT h:443 10us");
}

static void test_upgrade(void **state)
{
	(void)state;
	tx("GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n");
	rx("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello");
	tx(GET("/inside"));
	rx(EMPTY);
	assert_told("> GET /chat\n< 101 GET /chat 10us");
	assert_counters(0, 0, 0);
}

static void test_refused_connect(void **state)
{
	(void)state;
	tx("CONNECT h:443 HTTP/1.1\r\n\r\n");
	rx("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
	tx(GET("/b"));
	assert_told("> CONNECT h:443\n< 407 CONNECT h:443 10us\n> GET /b h");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		CASE(test_keep_alive),
		CASE(test_server),
		CASE(test_role_by_what_is_seen),
		CASE(test_byte_by_byte),
		CASE(test_pipelining),
		CASE(test_pipelining_beyond_bound),
		CASE(test_body_is_not_read),
		CASE(test_body_ends_in_segment),
		CASE(test_huge_body),
		CASE(test_no_body),
		CASE(test_continue),
		CASE(test_chunked_out_of_sight),
		CASE(test_chunk_is_counted),
		CASE(test_chunked_request),
		CASE(test_until_close),
		CASE(test_tunnels),
		CASE(test_upgrade),
		CASE(test_refused_connect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
