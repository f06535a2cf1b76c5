/* SPDX-License-Identifier: GPL-2.0-only */
/* Heads as they are seen on the wire, good and bad, for several tests. */
#ifndef NETWATCH_TESTS_HTTP_SAMPLES_H
#define NETWATCH_TESTS_HTTP_SAMPLES_H

#include <stddef.h>

struct http_sample {
	const char *text;
	size_t length;
};

#define HTTP_SAMPLE(text)              \
	{                              \
		text, sizeof(text) - 1 \
	}

static const struct http_sample http_samples[] = {
	HTTP_SAMPLE("GET / HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/7.88.1\r\n"
		    "Accept: */*\r\n\r\n"),
	HTTP_SAMPLE("GET / HTTP/1.0\r\n\r\n"),
	HTTP_SAMPLE("GET /a?b=c&d=e HTTP/1.1\nHost: h\n\n"),
	HTTP_SAMPLE("\r\nGET /after/empty/line HTTP/1.1\r\nHost: h\r\n\r\n"),
	HTTP_SAMPLE(
		"POST /form HTTP/1.1\r\nhOsT:h\r\nContent-Type: text/plain; charset=utf-8 \t\r\n"
		"CONTENT-LENGTH:  5 \r\nCookie: a=b\r\n\r\n"),
	HTTP_SAMPLE("PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
	HTTP_SAMPLE("HEAD /h HTTP/1.1\r\nHost: h\r\nUser-Agent:\r\n\r\n"),
	HTTP_SAMPLE("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n"),
	HTTP_SAMPLE("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"),
	HTTP_SAMPLE(
		"GET http://user:pw@example.org/p HTTP/1.1\r\nHost: user:pw@example.org\r\n\r\n"),
	HTTP_SAMPLE("GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
		    "Connection: keep-alive, Upgrade\r\n\r\n"),
	HTTP_SAMPLE("DELETE /\xc3\xbc\xff HTTP/1.1\r\nHost: h\r\nX: \xff\x80\r\n\r\n"),
	HTTP_SAMPLE("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/html\r\n"
		    "Content-Length: 12\r\nSet-Cookie: s=1\r\n\r\n"),
	HTTP_SAMPLE("HTTP/1.0 404 Not Found\r\n\r\n"),
	HTTP_SAMPLE("HTTP/1.1 204 \r\n\r\n"),
	HTTP_SAMPLE("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"),
	HTTP_SAMPLE("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"),
	HTTP_SAMPLE("HTTP/1.1 100 Continue\r\n\r\n"),
	HTTP_SAMPLE("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nContent-Length: 7\r\n\r\n"),
	/* malformed */
	HTTP_SAMPLE("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"),
	HTTP_SAMPLE("GET /\r HTTP/1.1\r\nHost: h\r\n\r\n"),
	HTTP_SAMPLE("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n"),
	HTTP_SAMPLE("GET /\0 HTTP/1.1\r\n\r\n"),
	HTTP_SAMPLE("GET /a b HTTP/1.1\r\n\r\n"),
	HTTP_SAMPLE("GET nowhere HTTP/1.1\r\n\r\n"),
	HTTP_SAMPLE("GET / HTTP/1.1\r\nHost : h\r\n\r\n"),
	HTTP_SAMPLE("GET / HTTP/1.1\r\nHo st: h\r\n\r\n"),
	HTTP_SAMPLE("GET / HTTP/1.1\r\n: h\r\n\r\n"),
	HTTP_SAMPLE("GET / HTTP/1.1\r\nHost\r\n\r\n"),
	HTTP_SAMPLE("GET / HTTP/1.1\r\nX: a\r\n folded\r\n\r\n"),
	HTTP_SAMPLE("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
	HTTP_SAMPLE("GET / HTTP/1.1\r\nX: \x1b[2J\r\n\r\n"),
	HTTP_SAMPLE("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"),
	HTTP_SAMPLE("POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n"),
	HTTP_SAMPLE("POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n"),
	HTTP_SAMPLE("POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
	HTTP_SAMPLE("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n"),
	HTTP_SAMPLE("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
	HTTP_SAMPLE("HTTP/1.1 200 O\rK\r\n\r\n"),
	/* not HTTP/1 */
	HTTP_SAMPLE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	HTTP_SAMPLE("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello"),
	HTTP_SAMPLE("GET /\r\n"),
	HTTP_SAMPLE("GET / HTTP/1.2\r\n\r\n"),
	HTTP_SAMPLE("HTTP/2.0 200 OK\r\n\r\n"),
	HTTP_SAMPLE("HTTP/1.1 2x0 OK\r\n\r\n"),
	HTTP_SAMPLE("OPTIONS rtsp://h/ RTSP/1.0\r\n\r\n"),
	HTTP_SAMPLE("SSH-2.0-OpenSSH_9.2p1\r\n"),
};

#define N_HTTP_SAMPLES (sizeof(http_samples) / sizeof(http_samples[0]))

#endif
