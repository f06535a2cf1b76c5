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

void http_exchange_clear(struct http *http, struct http_connection *c)
{
	while (c->n_requests)
		drop_first(http, c);
	c->overflow = 0;
	c->hole = false;
}

/* They were answered unseen, or nobody can know. */
static void give_up_waiting(struct http *http, struct http_connection *c)
{
	http->counters.missed += c->n_requests + c->overflow;
	http_exchange_clear(http, c);
}

bool http_exchange_plausible(const struct http_connection *c, enum http_kind kind)
{
	bool waiting = c->n_requests || c->overflow;

	if (c->doubt || !c->any_request)
		return true;
	return kind == HTTP_RESPONSE ? waiting : !waiting;
}

/*
 * Pieces are missing, and what waits may have been answered or not. A client that never sent a
 * request while another one waited does not begin to do so just now: the next response is that of
 * the next request. Of others nothing is known from here on.
 */
static void begin_anew(struct http *http, struct http_connection *c)
{
	give_up_waiting(http, c);
	c->doubt = c->doubt || c->pipelined;
	c->suspect = false;
}

static void before_request(struct http *http, struct http_connection *c,
			   const struct http_message *m)
{
	enum http_gap gap = m->gap;
	bool suspect = c->suspect && (m->blind || m->truncated);

	c->any_request = true;
	if (!c->n_requests) {
		if (gap)
			begin_anew(http, c);
		c->suspect = suspect;
	} else if (c->hole) {
		c->doubt = true;
	} else if (gap) {
		c->hole = true; /* the next response tells: see hole() */
	} else if (!c->suspect) {
		c->pipelined = true;
	}
}

static void queue(struct http *http, struct http_connection *c, const struct http_head *head,
		  uint64_t time_ns)
{
	struct http_request *r = NULL;

	if (c->doubt)
		return;
	if (c->n_requests < HTTP_OUTSTANDING_MAX && !c->overflow)
		r = http_allocate(http, sizeof(*r) + head->method.length + head->target.length +
						head->host.length);
	if (!r) {
		c->overflow++;
		http->counters.missed++;
		return;
	}
	r->time_ns = time_ns;
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

static void describe(struct http_event *event, const struct http_message *m)
{
	const struct http_head *head = m->head;
	static const char *const versions[] = {"HTTP/1.0", "HTTP/1.1"};

	*event = (struct http_event){
		.time_ns = m->time_ns,
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
	if (m->truncated && m->time_ns < c->responded_ns)
		http->counters.missed++; /* told late: perhaps that was its response */
	else
		queue(http, c, head, m->time_ns);
	http->told(http->arg, &event);
	return HTTP_BODY_BY_HEAD;
}

static void keep_last(struct http *http, struct http_connection *c)
{
	while (c->n_requests > 1) {
		http->counters.missed++;
		drop_first(http, c);
	}
	c->pipelined = false;
	c->suspect = false;
	c->hole = false;
}

/*
 * Requests were missed behind the first that waits. If no response was, this is its response, and
 * the next one may be anybody's; else it is that of the last, of a client that does not pipeline.
 */
static void hole(struct http *http, struct http_connection *c, enum http_gap gap)
{
	if (gap && !c->pipelined && !c->doubt && !c->suspect && !c->overflow) {
		keep_last(http, c);
	} else if (gap || c->n_requests < 2) {
		begin_anew(http, c);
		c->doubt = true;
	}
}

/*
 * The request that is answered now, or NULL. It stays first in the queue. Where pieces were lost, a
 * request may be as well that came after those that wait: then a gap says nothing.
 */
static struct http_request *answered(struct http *http, struct http_connection *c,
				     const struct http_message *m)
{
	bool one_each = m->gap == HTTP_GAP_SURE && c->n_requests == 2; /* one missed, one here */
	bool maybe = m->gap == HTTP_GAP_MAYBE && c->n_requests == 1 && !c->pipelined;

	if (c->n_requests && STAILQ_FIRST(&c->requests)->time_ns > m->time_ns)
		return NULL; /* a part, told when no more came: it began before the request */
	if (c->hole)
		hole(http, c, m->gap);
	else if ((one_each || maybe) && !c->suspect && !c->overflow)
		keep_last(http, c);
	else if (m->gap || (m->blind && c->suspect))
		begin_anew(http, c);
	if (c->n_requests)
		return STAILQ_FIRST(&c->requests);
	http->counters.missed += c->doubt;
	if (c->overflow)
		c->overflow--;
	return NULL;
}

static void repeat(struct http_event *event, const struct http_request *r)
{
	const char *text = r->text;

	event->method = (struct http_string){text, r->method};
	event->target = (struct http_string){text + r->method, r->target};
	event->host = (struct http_string){text + r->method + r->target, r->host};
	event->has_latency = event->time_ns >= r->time_ns;
	if (event->has_latency)
		event->latency_us = (event->time_ns - r->time_ns) / 1000;
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
	struct http_request *r;
	struct http_event event;
	enum http_body body;

	if (m->head->status / 100 == 1 && m->head->status != 101)
		return HTTP_BODY_INTERIM;
	describe(&event, m);
	event.status = m->head->status;
	event.reason = string(m->head, m->head->reason);
	c->responded_ns = m->time_ns;
	r = answered(http, c, m);
	if (r) {
		repeat(&event, r);
		c->role_given = true; /* both sides are as we thought */
	}
	http->told(http->arg, &event);
	body = body_of(m->head, r);
	if (r)
		drop_first(http, c);
	return body;
}

enum http_body http_exchange(struct http *http, struct http_connection *c,
			     const struct http_message *message)
{
	return message->head->kind == HTTP_REQUEST ? request(http, c, message)
						   : response(http, c, message);
}
