// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hostile traffic for collector/http: samples changed at random, in segments that are cut, lost,
 * repeated and out of order, on connections that end anywhere. Built with sanitizers; what must
 * always hold is checked besides. Argument: number of conversations. `make fuzz`.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/http/http.h"
#include "collector/http/target.h"
#include "common/kernel_side.h"
#include "tests/unit/http_mutate.h"

#define CONNECTIONS 50
#define COOKIES	    200
#define BYTES	    (1U << 20)
#define CANARY	    "SECRET"

static struct rng rng;
static struct http_mutant mutant;
static uint64_t run, events, requests_known;
static bool canary;		      /* no byte was changed: no secret may be told */
static char first[4 * HTTP_HEAD_MAX]; /* what was told first, as text */
static unsigned n_told;

static void __attribute__((noreturn)) fail(const char *what)
{
	fprintf(stderr, "conversation %" PRIu64 ", NETWATCH_SEED=%s: %s\n", run,
		getenv("NETWATCH_SEED") ? getenv("NETWATCH_SEED") : "1", what);
	abort();
}

static void check_string(struct http_string s)
{
	char out[64];

	if (s.length > HTTP_HEAD_MAX)
		fail("a string longer than a head");
	for (size_t i = 0; i < s.length; i++) {
		uint8_t c = (uint8_t)s.text[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			fail("a control character is shown");
	}
	if (canary && s.length && memmem(s.text, s.length, CANARY, strlen(CANARY)))
		fail("a secret is shown");
	if (s.length && http_target_redact(out, sizeof(out), s.text, s.length) >= sizeof(out))
		fail("redaction without end");
}

static void on_told(void *arg, const struct http_event *e)
{
	const struct http_string strings[] = {e->method,     e->target,	      e->host,
					      e->user_agent, e->content_type, e->reason};

	(void)arg;
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		check_string(strings[i]);
	if (e->kind != HTTP_REQUEST && e->kind != HTTP_RESPONSE)
		fail("neither a request nor a response");
	if (e->kind == HTTP_RESPONSE && (e->status < 100 || e->status > 999))
		fail("a status that is none");
	if (e->kind == HTTP_REQUEST && (!e->method.length || e->has_latency || e->status))
		fail("a request without a method, or with what responses have");
	if (!n_told++)
		snprintf(first, sizeof(first), "%d %d %d %.*s %.*s %.*s %.*s %.*s %u %.*s %" PRIu64,
			 e->kind, e->malformed, e->truncated, (int)e->method.length, e->method.text,
			 (int)e->target.length, e->target.text, (int)e->host.length, e->host.text,
			 (int)e->user_agent.length, e->user_agent.text, (int)e->content_type.length,
			 e->content_type.text, e->status, (int)e->reason.length, e->reason.text,
			 e->content_length);
	events++;
	requests_known += e->has_latency;
}

static struct http *new_http(void)
{
	struct http_limits limits = {CONNECTIONS, BYTES};
	struct http *http = http_new(&limits, on_told, NULL);

	if (!http)
		fail("no memory");
	return http;
}

/* A copy of its own size, freed at once: a read beyond it, or later, is found. */
static void take(struct http *http, struct http_piece *p, const char *data, size_t size)
{
	char *copy = malloc(size ? size : 1);

	if (!copy)
		fail("no memory");
	memcpy(copy, data, size);
	p->data = copy;
	p->captured = (uint32_t)size;
	http_take(http, p);
	free(copy);
	if (http_connections(http) > CONNECTIONS || http_bytes(http) > BYTES)
		fail("more memory than allowed");
}

/* Other bytes at the same position: nobody's TCP does that, but somebody may send it. */
static uint32_t misplaced(uint32_t seq)
{
	switch (canary ? 99 : rng_below(&rng, 24)) {
	case 0:
		return seq - rng_below(&rng, 400);
	case 1:
		return seq + rng_below(&rng, 400);
	case 2:
		return (uint32_t)rng_next(&rng);
	default:
		return seq;
	}
}

static void segments(struct http *http, uint64_t cookie, uint8_t direction, uint8_t role,
		     uint32_t *seq, uint32_t ack)
{
	size_t at = 0;

	while (at < mutant.length) {
		size_t n = 1 + rng_below(&rng, rng_one_in(&rng, 3) ? 8 : 2000);
		struct http_piece p = {.cookie = cookie,
				       .time_ns = rng_next(&rng) >> 20,
				       .seq = misplaced(*seq),
				       .ack = misplaced(ack),
				       .start = !at && rng_one_in(&rng, 3),
				       .turn = rng_one_in(&rng, 2),
				       .pipelined = rng_one_in(&rng, 50),
				       .direction = direction,
				       .role = role,
				       .fin = rng_one_in(&rng, 200),
				       .rst = rng_one_in(&rng, 400),
				       .closed = rng_one_in(&rng, 200)};

		n = n < mutant.length - at ? n : mutant.length - at;
		p.length = (uint32_t)n;
		if (rng_one_in(&rng, 12) && !canary)
			p.length += (uint32_t)rng_any_length(&rng, 24);
		*seq += p.length;
		for (int times = rng_one_in(&rng, 16)	? 0
				 : rng_one_in(&rng, 16) ? 2
							: 1;
		     times; times--)
			take(http, &p, mutant.text + at,
			     rng_one_in(&rng, 12) ? rng_below(&rng, (uint32_t)n + 1) : n);
		at += n;
	}
}

static const char *const secrets[] = {
	"GET /p HTTP/1.1\r\nHost: u:" CANARY "@h\r\nCookie: s=" CANARY "\r\n\r\n",
	"GET http://u:" CANARY "@h/x HTTP/1.1\r\nAuthorization: Basic " CANARY "\r\n\r\n",
	"HTTP/1.1 200 OK\r\nSet-Cookie: " CANARY "\r\nContent-Length: 6\r\n\r\n" CANARY,
	"POST /f HTTP/1.1\r\nX-Api-Key: " CANARY "\r\nContent-Length: 6\r\n\r\n" CANARY,
	"HTTP/1.1 401 No\r\nproxy-authenticate: " CANARY "\r\nX-A : " CANARY "\r\n\r\n",
	"PUT / HTTP/1.1\r\nX: a\r\n " CANARY "\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n" CANARY
	"\r\n0\r\nX-Trailer: " CANARY "\r\n\r\n",
};

static void conversation(struct http *http)
{
	uint64_t cookie = rng_next(&rng) % COOKIES;
	uint32_t seq[2] = {(uint32_t)rng_next(&rng), (uint32_t)rng_next(&rng)};

	uint8_t role = (uint8_t)rng_below(&rng, NW_ROLES);

	canary = rng_one_in(&rng, 4);
	for (uint32_t n = 1 + rng_below(&rng, 6); n > 0; n--) {
		uint8_t direction = (uint8_t)rng_below(&rng, 2);

		if (canary) {
			const char *s =
				secrets[rng_below(&rng, sizeof(secrets) / sizeof(secrets[0]))];

			mutant.length = 0;
			mutant_insert(&mutant, 0, s, strlen(s));
		} else {
			mutant_new(&rng, &mutant);
		}
		if (!rng_one_in(&rng, 8)) /* as the role has it */
			direction = (role == NW_ROLE_SERVER) == !memcmp(mutant.text, "HTTP/", 5)
					    ? HTTP_TX
					    : HTTP_RX;
		segments(http, cookie, direction, role, &seq[direction], seq[!direction]);
	}
	if (canary) { /* or a later head with changes ends with the secret */
		struct http_piece p = {.cookie = cookie, .closed = true};

		http_take(http, &p);
	}
	canary = false;
}

/* The first message is the same, however it comes in segments. */
static void splits(void)
{
	static char whole[sizeof(first)];
	size_t at = 0;

	for (int split = 0; split < 2; split++) {
		struct http *http = new_http();
		struct http_piece p = {.cookie = 1};

		n_told = 0;
		first[0] = '\0';
		if (!split)
			mutant_new(&rng, &mutant);
		for (at = 0; at < mutant.length;) {
			size_t n = split ? 1 + rng_below(&rng, 40) : mutant.length;

			n += at ? 0 : HTTP_METHOD_MAX; /* enough to begin with */
			n = n < mutant.length - at ? n : mutant.length - at;
			p.length = (uint32_t)n;
			take(http, &p, mutant.text + at, n);
			p.seq += (uint32_t)n;
			at += n;
		}
		if (!split && !n_told)
			split = 2;
		if (!split)
			memcpy(whole, first, sizeof(whole));
		else if (split == 1 && strcmp(whole, first))
			fail("in segments it is another message");
		p = (struct http_piece){.cookie = 1, .closed = true};
		http_take(http, &p);
		if (http_bytes(http))
			fail("memory is not given back");
		http_free(http);
	}
}

int main(int argc, char **argv)
{
	uint64_t runs = argc > 1 ? strtoull(argv[1], NULL, 0) : 1000000;
	struct http *http = new_http();
	struct timespec from, to;
	const struct http_counters *c = http_counters(http);

	rng = rng_new();
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (run = 0; run < runs; run++) {
		conversation(http);
		if (rng_one_in(&rng, 4))
			splits();
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("http: %" PRIu64 " conversations in %ld s: %" PRIu64 " events, %" PRIu64
	       " responses with their request; missed %" PRIu64 ", resynchronised %" PRIu64
	       ", evicted %" PRIu64 ", malformed %" PRIu64 "\n",
	       runs, (long)(to.tv_sec - from.tv_sec), events, requests_known, c->missed,
	       c->resynchronised, c->evicted, c->malformed);
	http_free(http);
	return runs > 10000 && !requests_known;
}
