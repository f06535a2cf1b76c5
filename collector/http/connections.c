// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_side.h"
#include "connection.h"

#define CONNECTIONS_MAX 16384
#define BYTES_MAX	(8U << 20)

struct http *http_new(const struct http_limits *limits,
		      void (*told)(void *arg, const struct http_event *event), void *arg)
{
	struct http *http = calloc(1, sizeof(*http));

	if (!http)
		return NULL;
	http->told = told;
	http->arg = arg;
	if (limits)
		http->limits = *limits;
	if (!http->limits.connections)
		http->limits.connections = CONNECTIONS_MAX;
	if (!http->limits.bytes)
		http->limits.bytes = BYTES_MAX;
	for (http->n_buckets = 1; http->n_buckets < http->limits.connections;)
		http->n_buckets *= 2;
	http->buckets = calloc(http->n_buckets, sizeof(*http->buckets));
	if (!http->buckets) {
		free(http);
		errno = ENOMEM;
		return NULL;
	}
	TAILQ_INIT(&http->recent);
	return http;
}

void *http_allocate(struct http *http, size_t size)
{
	void *memory = malloc(size);

	if (memory)
		http->bytes += size;
	return memory;
}

void http_release(struct http *http, void *memory, size_t size)
{
	free(memory);
	http->bytes -= size;
}

/* Cookies count up: their low bits spread well. */
static struct http_bucket *bucket(struct http *http, uint64_t cookie)
{
	return &http->buckets[cookie & (http->n_buckets - 1)];
}

static struct http_connection *find(struct http *http, uint64_t cookie)
{
	struct http_connection *c;

	LIST_FOREACH (c, bucket(http, cookie), bucket) {
		if (c->cookie == cookie)
			return c;
	}
	return NULL;
}

static struct http_connection *add(struct http *http, uint64_t cookie)
{
	struct http_connection *c = http_allocate(http, sizeof(*c));

	if (!c)
		return NULL;
	memset(c, 0, sizeof(*c));
	c->cookie = cookie;
	STAILQ_INIT(&c->requests);
	LIST_INSERT_HEAD(bucket(http, cookie), c, bucket);
	TAILQ_INSERT_TAIL(&http->recent, c, link);
	http->n_connections++;
	return c;
}

static void forget(struct http *http, struct http_connection *c)
{
	for (int i = 0; i < 2; i++) {
		struct http_flow *flow = &c->flows[i];

		if (!flow->head)
			continue;
		explicit_bzero(flow->head, sizeof(*flow->head));
		http_release(http, flow->head, sizeof(*flow->head));
	}
	http_exchange_clear(http, c);
	LIST_REMOVE(c, bucket);
	TAILQ_REMOVE(&http->recent, c, link);
	http->n_connections--;
	http_release(http, c, sizeof(*c));
}

/* Requests that wait are no loss: their responses are told, without them. */
static void make_room(struct http *http, const struct http_connection *current)
{
	while (http->n_connections > http->limits.connections || http->bytes > http->limits.bytes) {
		struct http_connection *c = TAILQ_FIRST(&http->recent);

		if (c == current)
			return;
		http->counters.evicted++;
		http->counters.missed += !!c->flows[0].head + !!c->flows[1].head;
		forget(http, c);
	}
}

static void learn_role(struct http *http, struct http_connection *c, uint8_t role)
{
	uint8_t requests_in = role == NW_ROLE_CLIENT ? HTTP_TX : HTTP_RX;

	if (c->role_given || (role != NW_ROLE_CLIENT && role != NW_ROLE_SERVER))
		return;
	if (c->role_known && c->requests_in != requests_in)
		http_exchange_clear(http, c);
	c->role_known = true;
	c->role_given = true;
	c->requests_in = requests_in;
}

static void take(struct http *http, struct http_connection *c, const struct http_piece *piece)
{
	learn_role(http, c, piece->role);
	http_flow_take(http, c, piece);
	if (piece->fin || piece->rst || piece->closed)
		http_flow_end(http, c, piece->direction);
	if (piece->rst || piece->closed)
		http_flow_end(http, c, !piece->direction);
	explicit_bzero(http->scratch.text, http->scratch.used);
}

void http_take(struct http *http, const struct http_piece *piece)
{
	struct http_connection *c = find(http, piece->cookie);

	if (!c && !piece->captured)
		return; /* an end of what was not watched */
	if (!c)
		c = add(http, piece->cookie);
	if (!c) {
		http->counters.missed++;
		return;
	}
	TAILQ_REMOVE(&http->recent, c, link);
	TAILQ_INSERT_TAIL(&http->recent, c, link);
	take(http, c, piece);
	if (piece->closed) {
		forget(http, c);
		return;
	}
	make_room(http, c);
}

void http_free(struct http *http)
{
	struct http_connection *c;

	if (!http)
		return;
	while ((c = TAILQ_FIRST(&http->recent)))
		forget(http, c);
	explicit_bzero(&http->scratch, sizeof(http->scratch));
	free(http->buckets);
	free(http);
}

const struct http_counters *http_counters(const struct http *http)
{
	return &http->counters;
}

size_t http_connections(const struct http *http)
{
	return http->n_connections;
}

size_t http_bytes(const struct http *http)
{
	return http->bytes;
}
