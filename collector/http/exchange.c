// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "connection.h"

static struct http_string string(const struct http_head *head, struct http_text text)
{
	return (struct http_string){.text = head->text + text.at, .length = text.length};
}

static bool is_method(const struct http_head *head, const char *method)
{
	return strlen(method) == head->method.length &&
	       !memcmp(head->text + head->method.at, method, head->method.length);
}

static size_t request_size(const struct http_request *r)
{
	return sizeof(*r) + r->method + r->target + r->host;
}

static void drop_first(struct http *http, struct http_connection *c)
{
	struct http_request *r = STAILQ_FIRST(&c->requests);

	STAILQ_REMOVE_HEAD(&c->requests, link);
	c->n_requests--;
	http_release(http, r, request_size(r));
}

/* Where nothing is missing any more, the next request is queued behind none. */
void http_exchange_clear(struct http *http, struct http_connection *c)
{
	while (c->n_requests)
		drop_first(http, c);
	c->overflow = 0;
}

static bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static bool waiting(const struct http_connection *c)
{
	return c->n_requests || c->overflow;
}

/* Whose a response is cannot be known any more. */
static bool in_doubt(const struct http_connection *c)
{
	return c->pipelines == HTTP_PIPELINES && !c->in_step;
}

/* Of those that wait nobody will know which are answered. */
static void settle(struct http *http, struct http_connection *c)
{
	if (in_doubt(c))
		http_exchange_clear(http, c);
}

/* By the rule of http.h; of a client that may pipeline it is a guess. */
static struct http_request *by_position(const struct http_connection *c, uint32_t seq)
{
	struct http_request *r;

	STAILQ_FOREACH (r, &c->requests, link) {
		if (r->origin.turn && r->origin.ack == seq)
			return r;
	}
	return NULL;
}

bool http_exchange_expects(const struct http_connection *c, uint32_t seq)
{
	return c->pipelines != HTTP_PIPELINES && by_position(c, seq);
}

bool http_exchange_plausible(const struct http_connection *c, enum http_kind kind, uint32_t seq)
{
	bool seen = c->flows[!c->requests_in].place != HTTP_UNSEEN;

	if (in_doubt(c) || !c->any_request)
		return true;
	if (kind == HTTP_REQUEST)
		return !waiting(c);
	if (seen && c->pipelines != HTTP_PIPELINES)
		return http_exchange_expects(c, seq);
	return waiting(c);
}

static void queue(struct http *http, struct http_connection *c, const struct http_message *m)
{
	const struct http_head *head = m->head;
	struct http_request *r = NULL;

	if (in_doubt(c))
		return;
	if (c->n_requests < HTTP_OUTSTANDING_MAX && !c->overflow)
		r = http_allocate(http, sizeof(*r) + head->method.length + head->target.length +
						head->host.length);
	if (!r) {
		c->overflow++;
		http->counters.missed++;
		return;
	}
	r->origin = *m->origin;
	r->after_gap = !m->contiguous;
	r->method = head->method.length;
	r->target = head->target.length;
	r->host = head->host.length;
	r->head = is_method(head, "HEAD");
	r->connect = is_method(head, "CONNECT");
	memcpy(r->text, head->text + head->method.at, r->method);
	memcpy(r->text + r->method, head->text + head->target.at, r->target);
	memcpy(r->text + r->method + r->target, head->text + head->host.at, r->host);
	STAILQ_INSERT_TAIL(&c->requests, r, link);
	c->n_requests++;
}

void http_exchange_suspect(struct http_connection *c)
{
	if (!c->pipelines)
		c->pipelines = HTTP_PERHAPS;
}

static void before_request(struct http *http, struct http_connection *c,
			   const struct http_message *m)
{
	c->any_request = true;
	if (m->origin->pipelined || (!m->origin->turn && !m->contiguous))
		http_exchange_suspect(c);
	if (!m->origin->turn && m->contiguous)
		c->pipelines = HTTP_PIPELINES;
	if (!c->n_requests)
		c->in_step = m->contiguous && (c->in_step || m->origin->start);
	settle(http, c);
}

static void describe(struct http_event *event, const struct http_message *m)
{
	const struct http_head *head = m->head;
	static const char *const versions[] = {"HTTP/1.0", "HTTP/1.1"};

	*event = (struct http_event){
		.time_ns = m->origin->time_ns,
		.kind = head->kind,
		.malformed = head->malformed,
		.truncated = m->truncated,
		.content_type = string(head, head->content_type),
		.version = head->started ? versions[head->minor] : NULL,
		.has_content_length = head->has_length && !head->malformed,
	};
	if (event->has_content_length)
		event->content_length = head->length;
}

static enum http_body request(struct http *http, struct http_connection *c,
			      const struct http_message *m)
{
	const struct http_head *head = m->head;
	struct http_event event;

	describe(&event, m);
	event.method = string(head, head->method);
	event.target = string(head, head->target);
	event.host = string(head, head->host);
	event.user_agent = string(head, head->user_agent);
	before_request(http, c, m);
	queue(http, c, m);
	http->told(http->arg, &event);
	return HTTP_BODY_BY_HEAD;
}

/* Those before a request that is answered were answered, if the client does not pipeline. */
static void find_step(struct http *http, struct http_connection *c, uint32_t seq)
{
	const struct http_request *found = by_position(c, seq), *r;

	while ((r = STAILQ_FIRST(&c->requests)) && r != found &&
	       (found || before(r->origin.ack, seq))) {
		http->counters.missed++;
		drop_first(http, c);
	}
	c->in_step = found && !c->pipelines;
	if (found && c->pipelines)
		drop_first(http, c);
}

/*
 * The request that is answered now, or NULL. It stays first in the queue. Two observations show a
 * client that pipelines: a response that was sent before its request was received is another's, and
 * a request behind that was sent before any of this response was received.
 */
static struct http_request *answered(struct http *http, struct http_connection *c,
				     const struct http_message *m)
{
	const struct http_origin *o = m->origin;
	struct http_request *r, *next;

	if (!m->contiguous)
		c->in_step = false;
	if (!c->in_step)
		find_step(http, c, o->seq);
	settle(http, c);
	r = c->in_step ? STAILQ_FIRST(&c->requests) : NULL;
	if (!r)
		return NULL;
	next = STAILQ_NEXT(r, link);
	if (next && !before(o->seq, next->origin.ack))
		c->pipelines = HTTP_PIPELINES;
	if (before(r->origin.seq, o->ack))
		return r;
	c->pipelines = HTTP_PIPELINES;
	c->in_step = false;
	settle(http, c);
	return NULL;
}

/* A response was told; r, first in the queue, was its request, or it has none. */
static void step(struct http *http, struct http_connection *c, const struct http_request *r)
{
	const struct http_request *next;

	if (!r && c->in_step && c->overflow) {
		c->overflow--;
		return;
	}
	if (!r) {
		c->in_step = false;
		settle(http, c);
		return;
	}
	drop_first(http, c);
	next = STAILQ_FIRST(&c->requests);
	if (next && next->after_gap) {
		c->in_step = false;
		settle(http, c);
	}
}

static void repeat(struct http_event *event, const struct http_request *r)
{
	const char *text = r->text;

	event->method = (struct http_string){text, r->method};
	event->target = (struct http_string){text + r->method, r->target};
	event->host = (struct http_string){text + r->method + r->target, r->host};
	event->has_latency = event->time_ns >= r->origin.time_ns;
	if (event->has_latency)
		event->latency_us = (event->time_ns - r->origin.time_ns) / 1000;
}

static enum http_body body_of(const struct http_head *head, const struct http_request *r)
{
	unsigned status = head->status;

	if (status == 101 || (r && r->connect && status / 100 == 2))
		return HTTP_BODY_TUNNEL;
	if (status == 204 || status == 304 || (r && r->head))
		return HTTP_BODY_NONE;
	return r ? HTTP_BODY_BY_HEAD : HTTP_BODY_UNSURE;
}

static enum http_body response(struct http *http, struct http_connection *c,
			       const struct http_message *m)
{
	uint64_t missed = http->counters.missed;
	struct http_request *r = answered(http, c, m);
	struct http_event event;
	enum http_body body;

	if (m->head->status / 100 == 1 && m->head->status != 101)
		return HTTP_BODY_INTERIM;
	describe(&event, m);
	event.status = m->head->status;
	event.reason = string(m->head, m->head->reason);
	if (r) {
		repeat(&event, r);
		c->role_given = true; /* both sides are as we thought */
	}
	http->told(http->arg, &event);
	body = body_of(m->head, r);
	if (!r && !(c->in_step && c->overflow) && missed == http->counters.missed)
		http->counters.missed += c->any_request;
	step(http, c, r);
	return body;
}

enum http_body http_exchange(struct http *http, struct http_connection *c,
			     const struct http_message *message)
{
	return message->head->kind == HTTP_REQUEST ? request(http, c, message)
						   : response(http, c, message);
}
