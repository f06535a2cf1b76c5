// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "connection.h"

/*
 * A segment that begins this little before what came last was sent again; one that seems to be
 * further back is ahead, behind a body of which nothing was delivered. No receive window is larger
 * in practice.
 */
#define OLD_MAX (1U << 28)

/* One direction of a connection, while a piece of it is read. */
struct walk {
	struct http *http;
	struct http_connection *c;
	struct http_flow *flow;
	const struct http_piece *piece;
	uint32_t seq; /* where it is */
	uint8_t direction;
	bool first; /* at the first byte of the segment */
};

/* Nothing of a head stays in memory. */
static void release_head(struct http *http, struct http_flow *flow)
{
	struct http_head *head = flow->head;

	flow->head = NULL;
	if (!head)
		return;
	explicit_bzero(head, offsetof(struct http_head, text) + head->used);
	http_release(http, head, sizeof(*head));
}

/* Which kind this direction has; from the first message, unless the kernel knows. */
static bool fits_role(struct walk *w, enum http_kind kind)
{
	struct http_connection *c = w->c;
	uint8_t requests_in = kind == HTTP_REQUEST ? w->direction : !w->direction;

	if (c->role_known && c->requests_in == requests_in)
		return true;
	if (c->role_known && (c->role_given || w->flow->before == HTTP_BLIND))
		return false;
	if (c->role_known) { /* what was taken for a message was something else */
		http_exchange_clear(w->http, c);
		c->in_step = false;
		w->http->counters.resynchronised++;
	}
	c->role_known = true;
	c->requests_in = requests_in;
	return true;
}

static void tunnel(struct walk *w)
{
	for (int i = 0; i < 2; i++) {
		release_head(w->http, &w->c->flows[i]);
		w->c->flows[i].place = HTTP_REST;
	}
}

static void begin_body(struct walk *w, const struct http_head *head, enum http_body body)
{
	struct http_flow *flow = w->flow;

	flow->place = HTTP_BOUNDARY;
	flow->unsure = body == HTTP_BODY_UNSURE;
	if (body == HTTP_BODY_NONE || body == HTTP_BODY_INTERIM)
		return;
	if (head->chunked) {
		flow->place = HTTP_CHUNKED;
		http_chunks_begin(&flow->chunks);
	} else if (head->has_length) {
		flow->place = head->length ? HTTP_LENGTH : HTTP_BOUNDARY;
		flow->remaining = head->length;
	} else if (head->kind == HTTP_RESPONSE) {
		flow->place = body == HTTP_BODY_UNSURE ? HTTP_BLIND : HTTP_REST;
	}
}

/* What began the head turned out to be no message, or none that can be here. */
static void refuse(struct walk *w)
{
	struct http_flow *flow = w->flow;

	flow->place = flow->before;
	if (flow->before == HTTP_BOUNDARY) {
		w->http->counters.malformed++;
		flow->place = HTTP_ASTRAY;
	}
}

static void cut(struct walk *w, struct http_head *head, bool hidden);

/* A response that no request waits for answers the one of which only a part came. */
static void cut_request(struct walk *w)
{
	struct http_connection *c = w->c;
	struct walk other = {.http = w->http,
			     .c = c,
			     .flow = &c->flows[!w->direction],
			     .direction = !w->direction};

	if (other.flow->place == HTTP_HEAD && other.flow->head &&
	    other.flow->head->kind == HTTP_REQUEST && !c->n_requests && !c->overflow)
		cut(&other, other.flow->head, true);
}

/* A head of which at least the start line came. */
static void message(struct walk *w, const struct http_head *head, bool truncated)
{
	struct http_flow *flow = w->flow;
	struct http_message m = {
		.head = head,
		.origin = &flow->origin,
		.contiguous = flow->before == HTTP_BOUNDARY || flow->origin.start,
		.truncated = truncated,
	};
	enum http_body body;

	if (!fits_role(w, head->kind)) {
		refuse(w);
		return;
	}
	if (head->kind == HTTP_RESPONSE && (head->status / 100 != 1 || head->status == 101))
		cut_request(w);
	w->http->counters.malformed += head->malformed != HTTP_WELL_FORMED;
	w->http->counters.resynchronised += flow->before == HTTP_ASTRAY;
	body = http_exchange(w->http, w->c, &m);
	if (body == HTTP_BODY_TUNNEL)
		tunnel(w);
	else if (head->malformed)
		flow->place = HTTP_ASTRAY;
	else if (truncated)
		flow->place = HTTP_BLIND;
	else
		begin_body(w, head, body);
}

/* The rest of a head does not come. hidden: but it is there. */
static void cut(struct walk *w, struct http_head *head, bool hidden)
{
	struct http_flow *flow = w->flow;

	if (http_head_cut(head, hidden)) {
		message(w, head, true);
	} else if (flow->before == HTTP_BOUNDARY) {
		w->http->counters.missed += hidden || http_head_begun(head);
		flow->place = HTTP_ASTRAY;
	} else {
		flow->place = flow->before;
	}
	release_head(w->http, flow);
}

static size_t in_head(struct walk *w, const char *data, size_t size)
{
	struct http_flow *flow = w->flow;
	struct http_head *head = flow->head ? flow->head : &w->http->scratch;
	size_t used;

	switch (http_head_feed(head, data, size, &used)) {
	case HTTP_MORE:
		return size;
	case HTTP_COMPLETE:
		message(w, head, false);
		break;
	case HTTP_MALFORMED:
		message(w, head, false);
		used = size;
		break;
	case HTTP_TOO_LONG:
		cut(w, head, true);
		used = size;
		break;
	case HTTP_NOT:
		if (head->http2)
			tunnel(w);
		else
			refuse(w);
		used = size;
		break;
	}
	release_head(w->http, flow);
	return used;
}

static size_t begin_head(struct walk *w, const char *data, size_t size)
{
	bool answered =
		w->piece->ack != w->flow->origin.ack; /* the message before, at least partly */

	http_head_begin(&w->http->scratch);
	w->flow->before = w->flow->place;
	w->flow->place = HTTP_HEAD;
	w->flow->origin = (struct http_origin){
		.time_ns = w->piece->time_ns,
		.seq = w->seq,
		.ack = w->piece->ack,
		.start = w->piece->start && w->first,
		.turn = w->flow->before == HTTP_BOUNDARY ? answered : w->piece->turn,
		.pipelined = w->piece->pipelined,
	};
	return in_head(w, data, size);
}

/*
 * Where the position does not say that a message begins, the segment must: with more than the end
 * of some text, which the next segment would complete. In a body it must be one that can come now;
 * the others are text, or messages whose counterpart was missed. Only the first segment of all may
 * have fewer bytes than that takes: who sends byte by byte does so from the beginning.
 */
static size_t at_start(struct walk *w, const char *data, size_t size)
{
	enum http_kind kind = http_head_begins(data, size);
	bool requests = w->c->requests_in == w->direction;

	if (!w->first)
		return size;
	if (kind == HTTP_NONE)
		return w->flow->place == HTTP_UNSEEN && http_head_may_begin(data, size)
			       ? begin_head(w, data, size)
			       : size;
	if (w->flow->place == HTTP_ASTRAY || http_exchange_plausible(w->c, kind, w->seq))
		return begin_head(w, data, size);
	w->http->counters.missed += !w->c->role_known || requests == (kind == HTTP_REQUEST);
	if (kind == HTTP_REQUEST && requests && !w->piece->turn)
		http_exchange_suspect(w->c);
	return size;
}

static size_t in_length(struct walk *w, const char *data, size_t size)
{
	struct http_flow *flow = w->flow;
	size_t used = size < flow->remaining ? size : (size_t)flow->remaining;

	(void)data;
	flow->remaining -= used;
	if (!flow->remaining)
		flow->place = HTTP_BOUNDARY;
	return used;
}

static size_t in_chunked(struct walk *w, const char *data, size_t size)
{
	size_t used;

	switch (http_chunks_feed(&w->flow->chunks, data, size, &used)) {
	case HTTP_CHUNKS_MORE:
		break;
	case HTTP_CHUNKS_END:
		w->flow->place = HTTP_BOUNDARY;
		break;
	case HTTP_CHUNKS_LOST: /* perhaps it answered a HEAD that was missed, and has no body */
		w->flow->place = HTTP_BLIND;
		return w->first ? 0 : used;
	}
	return used;
}

/* A response that somebody waits for may be hidden in what is all body. */
static size_t in_rest(struct walk *w, const char *data, size_t size)
{
	const struct http_connection *c = w->c;
	bool waiting = c->requests_in != w->direction && (c->n_requests || c->overflow);

	w->http->counters.missed += waiting && w->first && http_head_begins(data, size);
	return size;
}

static void visible(struct walk *w, const char *data, size_t size)
{
	static size_t (*const in[HTTP_PLACES])(struct walk * w, const char *data, size_t size) = {
		[HTTP_UNSEEN] = at_start, [HTTP_ASTRAY] = at_start,  [HTTP_BOUNDARY] = begin_head,
		[HTTP_HEAD] = in_head,	  [HTTP_LENGTH] = in_length, [HTTP_CHUNKED] = in_chunked,
		[HTTP_BLIND] = at_start,  [HTTP_REST] = in_rest,
	};

	while (size) {
		size_t used = in[w->flow->place](w, data, size);

		w->first = w->first && !used;
		w->seq += (uint32_t)used;
		data += used;
		size -= used;
	}
}

/* Bytes that nobody saw: bodies, or what was lost. */
static void hidden(struct walk *w, uint64_t size)
{
	struct http_flow *flow = w->flow;

	if (!size)
		return;
	if (flow->place == HTTP_HEAD)
		cut(w, flow->head ? flow->head : &w->http->scratch, true);
	else if (flow->place == HTTP_CHUNKED && !http_chunks_hidden(&flow->chunks, size))
		flow->place = HTTP_BLIND;
	else if (flow->place == HTTP_LENGTH && size <= flow->remaining)
		in_length(w, NULL, size);
	else if (flow->place == HTTP_LENGTH || flow->place == HTTP_BOUNDARY) {
		w->http->counters.missed++;
		flow->place = HTTP_ASTRAY;
	}
}

/* From what came last to a segment, which begins `size` or 4 GiB more bytes behind it. */
static void jump(struct walk *w, uint32_t size)
{
	struct http_flow *flow = w->flow;

	if (flow->place == HTTP_LENGTH && flow->remaining > UINT32_MAX &&
	    (uint32_t)flow->remaining == size)
		flow->place = HTTP_BLIND; /* the body's end, or in it, at the same position */
	else
		hidden(w, size);
}

/* A response that is expected here shows that the one before had no body. */
static void check_body(struct walk *w, const char *data, size_t size)
{
	struct http_flow *flow = w->flow;
	bool in_body = flow->place == HTTP_LENGTH || flow->place == HTTP_CHUNKED;

	if (in_body && flow->unsure && w->first && http_exchange_expects(w->c, w->seq) &&
	    http_head_begins(data, size) == HTTP_RESPONSE)
		flow->place = HTTP_BLIND;
}

/* What began and did not end waits for the next piece. */
static void keep_head(struct walk *w)
{
	struct http_flow *flow = w->flow;

	if (flow->place != HTTP_HEAD || flow->head)
		return;
	flow->head = http_allocate(w->http, sizeof(*flow->head));
	if (flow->head) {
		http_head_copy(flow->head, &w->http->scratch);
		return;
	}
	w->http->counters.missed++;
	flow->place = HTTP_ASTRAY;
}

void http_flow_take(struct http *http, struct http_connection *c, const struct http_piece *piece)
{
	struct http_flow *flow = &c->flows[piece->direction];
	struct walk w = {.http = http,
			 .c = c,
			 .flow = flow,
			 .piece = piece,
			 .direction = piece->direction,
			 .first = true};
	uint32_t captured = piece->captured, length = piece->length, seq = piece->seq;
	const char *data = piece->data;
	uint32_t back = flow->next - seq;

	if (!length)
		return;
	if (flow->known && back && back <= OLD_MAX) { /* sent again, at least its beginning */
		uint32_t seen = back < captured ? back : captured;

		if (length <= back)
			return;
		data += seen;
		captured -= seen;
		length -= back;
		seq = flow->next;
		w.first = false;
	}
	w.seq = seq;
	if (flow->known)
		jump(&w, seq - flow->next);
	check_body(&w, data, captured);
	flow->known = true;
	flow->next = seq + length;
	visible(&w, data, captured);
	hidden(&w, length - captured);
	keep_head(&w);
}

void http_flow_end(struct http *http, struct http_connection *c, enum http_direction direction)
{
	struct http_flow *flow = &c->flows[direction];
	struct walk w = {.http = http, .c = c, .flow = flow, .direction = (uint8_t)direction};

	if (flow->place == HTTP_HEAD)
		cut(&w, flow->head, false);
	flow->place = HTTP_REST;
}
