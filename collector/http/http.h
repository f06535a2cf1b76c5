/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HTTP/1.0 and 1.1 on the sockets of this host: from the beginnings of segments that the kernel
 * side hands over, requests and responses, and which response belongs to which request.
 *
 * What is told was seen. Where pieces are missing, messages are counted instead of guessed:
 *  - A body with Content-Length is skipped by counting positions: text in it is never a message.
 *  - A chunked body is followed as long as its sizes are seen. After that it ends where a segment
 *    begins with a message that can be one: a response that a request waits for, a request when
 *    all earlier ones are answered. Others are ignored and counted as missed.
 *  - Responses come in the order of their requests. Where nothing is missing on either side since
 *    a response whose request was known, that is enough. Else a response is that of the request
 *    which acknowledged all bytes before the response and none of it: a client that does not
 *    pipeline has received the response before when it asks again. Of a client that was seen to
 *    pipeline nothing is known any more once something is missing.
 *  - A response without a length lasts until the connection ends.
 *  - 1xx responses are passed over: the request waits for the final one. After 101, and after 2xx
 *    to CONNECT, the connection is not HTTP any more.
 *  - Where it is not sure whose a response is, it is told without a request.
 */
#ifndef NETWATCH_HTTP_HTTP_H
#define NETWATCH_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "head.h"

#define HTTP_OUTSTANDING_MAX 64 /* requests of a connection; responses to more have no request */

enum http_direction { HTTP_RX, HTTP_TX };

/* Bounds of the memory in use; beyond, the connection that was quiet longest is forgotten. */
struct http_limits {
	size_t connections; /* 0: 16384 */
	size_t bytes;	    /* 0: 8 MiB; at least 1 MiB, which the busiest connection fits in */
};

/* One segment, as the kernel side saw it. Its bytes are not kept beyond the call. */
struct http_piece {
	uint64_t cookie; /* of the socket, not 0 */
	uint64_t time_ns;
	const char *data;  /* the first bytes of its payload */
	uint32_t captured; /* how many */
	uint32_t length;   /* of the whole payload, not below captured */
	uint32_t seq;	   /* of the first byte */
	uint32_t ack;	   /* position in the other direction up to which its sender had received */
	uint8_t direction; /* enum http_direction */
	uint8_t role;	   /* enum nw_role; while unknown it follows from what is sent */
	bool fin, rst;
	bool closed;	/* the socket is gone; there may be no payload */
	bool start;	/* nothing was sent before it in this direction */
	bool turn;	/* between this and the payload before it the other side had sent some */
	bool pipelined; /* a piece lost in this direction began a message without that */
};

/* Bytes as they came, not terminated, perhaps not UTF-8; absent: length 0. */
struct http_string {
	const char *text;
	size_t length;
};

/* Valid during the call, as all it points to. */
struct http_event {
	uint64_t time_ns;    /* of the piece with the message's first byte */
	enum http_kind kind; /* HTTP_REQUEST or HTTP_RESPONSE */
	enum http_malformed malformed;
	bool truncated; /* longer than HTTP_HEAD_MAX, or not seen in full */
	/* REQUEST: its own; RESPONSE: its request's, where that is known. Without userinfo */
	struct http_string method, target, host;
	struct http_string user_agent; /* REQUEST */
	struct http_string content_type;
	struct http_string reason; /* RESPONSE */
	const char *version;	   /* "HTTP/1.0", "HTTP/1.1"; NULL: not seen */
	unsigned status;	   /* RESPONSE */
	bool has_content_length, has_latency;
	uint64_t content_length;
	uint64_t latency_us; /* RESPONSE: from the request's first byte to the response's */
};

struct http_counters {
	uint64_t missed;	 /* messages not told, and responses told without their request */
	uint64_t resynchronised; /* times that a message was found again after something unexpected
				  */
	uint64_t evicted;	 /* connections forgotten for want of room */
	uint64_t malformed;	 /* heads that broke off, told or not */
};

struct http;

/*
 * told(arg, event) is called from within http_take only, for the connection of that piece. NULL
 * with errno set.
 */
struct http *http_new(const struct http_limits *limits,
		      void (*told)(void *arg, const struct http_event *event), void *arg);
void http_free(struct http *http);

void http_take(struct http *http, const struct http_piece *piece);

const struct http_counters *http_counters(const struct http *http);
/* In use, for status and tests. */
size_t http_connections(const struct http *http);
size_t http_bytes(const struct http *http);

#endif
