/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is known of a connection, for the files that follow it:
 *   connections.c  table of connections and its bounds
 *   follow.c       one direction: where messages begin and end
 *   exchange.c     requests that wait for their responses, and the telling
 */
#ifndef NETWATCH_HTTP_CONNECTION_H
#define NETWATCH_HTTP_CONNECTION_H

#include <sys/queue.h>

#include "chunks.h"
#include "http.h"

/* Where a direction is. */
enum http_place {
	HTTP_UNSEEN,   /* nothing came: it may be in the middle of anything */
	HTTP_ASTRAY,   /* something unexpected came: the next segment may begin a message */
	HTTP_BOUNDARY, /* the next byte begins a message */
	HTTP_HEAD,
	HTTP_LENGTH,  /* in a body, of which `remaining` bytes are left */
	HTTP_CHUNKED, /* in a body, of which the next chunk is known */
	HTTP_BLIND,   /* in a body, whose end was not seen */
	HTTP_REST,    /* no message comes any more */
	HTTP_PLACES,
};

/* Where a message began: what its segment said. */
struct http_origin {
	uint64_t time_ns;
	uint32_t seq; /* of its first byte */
	uint32_t ack;
	bool start, turn; /* as http_piece says, of the segment's first message */
	bool pipelined;	  /* as http_piece says */
};

struct http_flow {
	uint32_t next;	/* position behind what came last */
	uint8_t place;	/* enum http_place */
	uint8_t before; /* HEAD: the place where it began */
	bool known;	/* next */
	bool unsure;	/* LENGTH, CHUNKED: of a response that may have no body */
	union {
		uint64_t remaining;	   /* LENGTH */
		struct http_chunks chunks; /* CHUNKED */
	};
	struct http_origin origin; /* HEAD */
	struct http_head *head;	   /* HEAD, between two pieces; else NULL */
};

/* Does the client send a request before the one before was answered? */
enum http_pipelines { HTTP_IN_TURN, HTTP_PERHAPS, HTTP_PIPELINES };

/* A request that waits for its response. */
struct http_request {
	STAILQ_ENTRY(http_request) link; /* connection.requests */
	struct http_origin origin;
	uint16_t method, target, host; /* lengths, in this order in text */
	bool head, connect;	       /* its method */
	bool after_gap;		       /* requests may be missing between it and the one before */
	char text[];
};

struct http_connection {
	TAILQ_ENTRY(http_connection) link;  /* http.recent */
	LIST_ENTRY(http_connection) bucket; /* http.buckets */
	uint64_t cookie;
	struct http_flow flows[2]; /* by enum http_direction */
	uint8_t requests_in;	   /* enum http_direction, valid with role_known */
	bool role_known;
	bool role_given;   /* by the kernel */
	bool in_step;	   /* the next response is that of the first request that waits */
	uint8_t pipelines; /* enum http_pipelines */
	bool any_request;
	uint8_t n_requests;
	uint32_t overflow; /* requests that wait behind the last of the queue */
	STAILQ_HEAD(, http_request) requests;
};

TAILQ_HEAD(http_connections, http_connection);
LIST_HEAD(http_bucket, http_connection);

struct http {
	void (*told)(void *arg, const struct http_event *event);
	void *arg;
	struct http_limits limits;
	struct http_counters counters;
	size_t bytes, n_connections;
	struct http_connections recent; /* the quietest first */
	struct http_bucket *buckets;
	size_t n_buckets;	  /* a power of two */
	struct http_head scratch; /* the head of the piece that is being read */
};

/* connections.c: memory that counts. NULL: none. */
void *http_allocate(struct http *http, size_t size);
void http_release(struct http *http, void *memory, size_t size);

/* follow.c */
void http_flow_take(struct http *http, struct http_connection *c, const struct http_piece *piece);
/* No more comes in this direction. */
void http_flow_end(struct http *http, struct http_connection *c, enum http_direction direction);

/* exchange.c. What follows a message in its direction. */
enum http_body {
	HTTP_BODY_NONE,
	HTTP_BODY_BY_HEAD, /* as the head says, of a response without a length up to the end */
	HTTP_BODY_UNSURE,  /* the same, but a response without a length may have no body */
	HTTP_BODY_INTERIM, /* none, and the response to the same request still comes: 1xx */
	HTTP_BODY_TUNNEL,  /* no HTTP any more, in both directions */
};

struct http_message {
	const struct http_head *head;
	const struct http_origin *origin;
	bool contiguous; /* where it begins follows from the message before */
	bool truncated;
};

/* A head ended; it is told. */
enum http_body http_exchange(struct http *http, struct http_connection *c,
			     const struct http_message *message);
/* Something that may be a request was not told, and came before anything was answered. */
void http_exchange_suspect(struct http_connection *c);
/* Whether a response that begins at this position would be that of a request that waits. */
bool http_exchange_expects(const struct http_connection *c, uint32_t seq);
/* Whether a message of this kind can begin here, where the message before does not say so. */
bool http_exchange_plausible(const struct http_connection *c, enum http_kind kind, uint32_t seq);
void http_exchange_clear(struct http *http, struct http_connection *c);

#endif
