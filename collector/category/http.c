// SPDX-License-Identifier: GPL-2.0-only
/* Pieces of streams to the parser, and what it tells as fields of netwatch.Http. */
#include <stddef.h>
#include <string.h>

#include "../category.h"
#include "../http/http.h"
#include "../http/target.h"
#include "../ring.h"
#include "../wire.h"
#include "escape.h"
#include "filter.h"
#include "http.h"
#include "log.h"

#include "../../bpf/http.h"
#include "http.skel.h"

_Static_assert(2 * NW_HTTP_LARGE <= RING_RECORD_MAX, "the longest record there is");

/* What is shown of a text, in bytes. */
#define TARGET_MAX     4096
#define USER_AGENT_MAX 1024
#define TEXT_MAX       255

/* A query of `a&b&c` grows by four and a half when each of its values is REDACTED. */
#define REDACTED_MAX (5 * HTTP_HEAD_MAX)

/* Numbers of the fields of netwatch.Http. */
enum {
	EVENT = 1,
	METHOD,
	TARGET,
	VERSION,
	HOST,
	USER_AGENT,
	CONTENT_TYPE,
	CONTENT_LENGTH,
	STATUS,
	REASON,
	LATENCY_US,
	TRUNCATED,
	MALFORMED,
};

/* The one parser of the collector, and for whom it works just now. */
static struct {
	struct http *http; /* NULL: nothing is known of any connection */
	const struct nw_record *record;
	maker_fn *made;
	void *arg;
	uint64_t missed; /* by those before */
} parser;

static void told(void *arg, const struct http_event *event)
{
	struct made made = {.record = parser.record, .time_ns = event->time_ns, .what = event};

	(void)arg;
	parser.made(parser.arg, &made);
}

/* Without memory for a parser the piece is as good as lost. */
static bool take(const struct nw_record *record, size_t size, maker_fn *made, void *arg)
{
	const struct nw_http_record *r = (const void *)record;
	struct http_piece piece;

	if (size < sizeof(*r) || size - sizeof(*r) < r->captured || r->captured > r->length)
		return false;
	if (!parser.http)
		parser.http = http_new(NULL, told, NULL);
	if (!parser.http) {
		log_error("no memory for HTTP: a piece is lost");
		return true;
	}
	piece = (struct http_piece){
		.cookie = record->connection.cookie,
		.time_ns = record->time_ns,
		.data = (const char *)r->data,
		.captured = r->captured,
		.length = r->length,
		.seq = r->seq,
		.ack = r->ack,
		.direction = r->direction == NW_TX ? HTTP_TX : HTTP_RX,
		.role = record->connection.role,
		.fin = r->flags & NW_HTTP_FIN,
		.rst = r->flags & NW_HTTP_RST,
		.closed = r->flags & NW_HTTP_CLOSED,
		.start = r->flags & NW_HTTP_START,
		.turn = r->flags & NW_HTTP_TURN,
		.pipelined = r->flags & NW_HTTP_PIPELINED,
	};
	parser.record = record;
	parser.made = made;
	parser.arg = arg;
	http_take(parser.http, &piece);
	return true;
}

uint64_t category_http_missed(void)
{
	return parser.missed + (parser.http ? http_counters(parser.http)->missed : 0);
}

static void forget(void)
{
	parser.missed = category_http_missed();
	http_free(parser.http);
	parser.http = NULL;
}

/* Writes at most max bytes of it as UTF-8. True: that was all. */
static bool write_text(struct wire *w, unsigned field, size_t max, const char *text, size_t length)
{
	char escaped[TARGET_MAX + ESCAPE_MAX + 1];
	size_t written;

	if (!length)
		return true;
	/* With room for one unit more it is seen whether all of it fits. */
	written = escape_bytes(escaped, max + ESCAPE_MAX + 1, text, length);
	if (written <= max) {
		wire_bytes(w, field, escaped, written);
		return true;
	}
	wire_bytes(w, field, escaped, escape_bytes(escaped, max + 1, text, length));
	return false;
}

static bool write_string(struct wire *w, unsigned field, size_t max,
			 const struct http_string *string)
{
	return write_text(w, field, max, string->text, string->length);
}

static bool write_target(struct wire *w, const struct http_string *target, bool redacted)
{
	static char out[REDACTED_MAX];

	if (!redacted || !target->length)
		return write_string(w, TARGET, TARGET_MAX, target);
	return write_text(w, TARGET, TARGET_MAX, out,
			  http_target_redact(out, sizeof(out), target->text, target->length));
}

static void write_http(struct wire *w, const struct made *made, bool redacted)
{
	const struct http_event *e = made->what;
	const char *malformed = http_malformed_name(e->malformed);
	bool whole = !e->truncated;

	wire_uint(w, EVENT, e->kind);
	whole &= write_string(w, METHOD, TEXT_MAX, &e->method);
	whole &= write_target(w, &e->target, redacted);
	if (e->version)
		wire_string(w, VERSION, e->version);
	whole &= write_string(w, HOST, TEXT_MAX, &e->host);
	whole &= write_string(w, USER_AGENT, USER_AGENT_MAX, &e->user_agent);
	whole &= write_string(w, CONTENT_TYPE, TEXT_MAX, &e->content_type);
	if (e->has_content_length)
		wire_uint(w, CONTENT_LENGTH, e->content_length);
	if (e->kind == HTTP_RESPONSE)
		wire_uint(w, STATUS, e->status);
	whole &= write_string(w, REASON, TEXT_MAX, &e->reason);
	if (e->has_latency)
		wire_uint(w, LATENCY_US, e->latency_us);
	if (!whole)
		wire_uint(w, TRUNCATED, 1);
	if (malformed)
		wire_string(w, MALFORMED, malformed);
}

static bool accepts(const struct filter *filter, const struct made *made)
{
	const struct http_event *e = made->what;
	const struct filter_message message = {
		.response = e->kind == HTTP_RESPONSE,
		.texts[FILTER_METHOD] = {e->method.text, e->method.length},
		.texts[FILTER_HOST] = {e->host.text, e->host.length},
		.texts[FILTER_PATH] = {e->target.text, e->target.length},
		.status = e->status,
		.has_latency = e->has_latency,
		.latency_us = e->latency_us,
	};

	return filter_http_accepts(&filter->http, &message);
}

/* ----------------------------------------------------------------- history */

static const size_t strings[] = {
	offsetof(struct http_event, method),	   offsetof(struct http_event, target),
	offsetof(struct http_event, host),	   offsetof(struct http_event, user_agent),
	offsetof(struct http_event, content_type), offsetof(struct http_event, reason),
};

#define N_STRINGS (sizeof(strings) / sizeof(strings[0]))

static struct http_string *string_of(struct http_event *event, size_t i)
{
	return (struct http_string *)(void *)((char *)event + strings[i]);
}

/* The event, whose pointers mean nothing, then its strings one behind the other. */
static size_t pack(const struct made *made, void *data, size_t size)
{
	struct http_event event = *(const struct http_event *)made->what;
	size_t needed = sizeof(event);
	char *p = data;

	for (size_t i = 0; i < N_STRINGS; i++)
		needed += string_of(&event, i)->length;
	if (needed > size)
		return needed;
	p += sizeof(event);
	for (size_t i = 0; i < N_STRINGS; i++) {
		struct http_string *string = string_of(&event, i);

		if (string->length)
			memcpy(p, string->text, string->length);
		string->text = NULL;
		p += string->length;
	}
	memcpy(data, &event, sizeof(event));
	return needed;
}

static bool unpack(const struct nw_record *record, const void *data, size_t size, maker_fn *tell,
		   void *arg)
{
	struct http_event event;
	struct made made = {.record = record, .what = &event};
	const char *p = data;
	size_t left;

	if (size < sizeof(event))
		return false;
	left = size - sizeof(event);
	memcpy(&event, data, sizeof(event));
	p += sizeof(event);
	for (size_t i = 0; i < N_STRINGS; i++) {
		struct http_string *string = string_of(&event, i);

		if (string->length > left)
			return false;
		string->text = p;
		p += string->length;
		left -= string->length;
	}
	made.time_ns = event.time_ns;
	tell(arg, &made);
	return true;
}

static const struct category_maker maker = {
	.take = take,
	.forget = forget,
	.write = write_http,
	.accepts = accepts,
	.pack = pack,
	.unpack = unpack,
};

static const struct category_hook hooks[] = {
	{.name = "cgroup_skb/ingress"},
	{.name = "cgroup_skb/egress"},
	{.name = "tp_btf/inet_sock_set_state",
	 .without = "no request that comes with the end of a handshake, and no response of a "
		    "connection that ends without FIN within its head"},
	{.name = NULL},
};

const struct category category_http = {
	.name = "http",
	.field = 10,
	.wants = 1ULL << NW_WANT_HTTP,
	.hooks = hooks,
	.elf = http_bpf__elf_bytes,
	.maker = &maker,
};
