// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "head_value.h"

/* How a value is taken. */
struct sink {
	void (*begin)(struct http_head *h);
	enum http_malformed (*byte)(struct http_head *h, uint8_t c);
	enum http_malformed (*end)(struct http_head *h);
};

static void text_begin(struct http_head *h)
{
	h->value = (struct http_text){.at = h->used};
}

static enum http_malformed text_byte(struct http_head *h, uint8_t c)
{
	h->text[h->used++] = (char)c;
	h->value.length++;
	return HTTP_WELL_FORMED;
}

static void trim(struct http_head *h)
{
	while (h->value.length && memchr(" \t", h->text[h->value.at + h->value.length - 1], 2)) {
		h->value.length--;
		h->used--;
	}
}

/* Of several the first counts. */
static void keep(struct http_head *h, struct http_text *field)
{
	trim(h);
	if (field->length) {
		h->used = h->value.at;
		return;
	}
	*field = h->value;
}

static enum http_malformed user_agent_end(struct http_head *h)
{
	keep(h, &h->user_agent);
	return HTTP_WELL_FORMED;
}

static enum http_malformed content_type_end(struct http_head *h)
{
	keep(h, &h->content_type);
	return HTTP_WELL_FORMED;
}

static enum http_malformed host_end(struct http_head *h)
{
	char *host = h->text + h->value.at, *at;

	trim(h);
	if (h->host_seen || memchr(host, ' ', h->value.length) ||
	    memchr(host, '\t', h->value.length) || memchr(host, ',', h->value.length))
		return HTTP_HOST;
	h->host_seen = true;
	at = memrchr(host, '@', h->value.length);
	if (at) { /* no userinfo, whoever put it there */
		size_t rest = (size_t)(host + h->value.length - at - 1);

		memmove(host, at + 1, rest);
		h->value.length = (uint16_t)rest;
		h->used = (uint16_t)(h->value.at + rest);
	}
	h->host = h->value;
	return HTTP_WELL_FORMED;
}

static void number_begin(struct http_head *h)
{
	h->number = 0;
	h->value_end = false;
}

static enum http_malformed number_byte(struct http_head *h, uint8_t c)
{
	if (c == ' ') {
		h->value_end = true;
		return HTTP_WELL_FORMED;
	}
	if (c < '0' || c > '9' || h->value_end ||
	    __builtin_mul_overflow(h->number, 10, &h->number) ||
	    __builtin_add_overflow(h->number, (uint64_t)(c - '0'), &h->number))
		return HTTP_CONTENT_LENGTH;
	return HTTP_WELL_FORMED;
}

static enum http_malformed number_end(struct http_head *h)
{
	if (!h->any || (h->has_length && h->length != h->number))
		return HTTP_CONTENT_LENGTH;
	h->has_length = true;
	h->length = h->number;
	return HTTP_WELL_FORMED;
}

static void coding_begin(struct http_head *h)
{
	h->has_coding = true;
	h->token_length = 0;
	h->value_end = false;
}

/* Nothing may follow chunked, which is in the list once; of empty elements parsers disagree. */
static enum http_malformed coding_end(struct http_head *h)
{
	if (!h->token_length || h->chunked)
		return HTTP_TRANSFER_ENCODING;
	h->chunked = h->token_length == 7 && !memcmp(h->token, "chunked", 7);
	h->token_length = 0;
	return HTTP_WELL_FORMED;
}

static enum http_malformed coding_byte(struct http_head *h, uint8_t c)
{
	if (c == ',') {
		h->value_end = false;
		return coding_end(h);
	}
	if (c == ' ') {
		h->value_end = h->token_length;
		return HTTP_WELL_FORMED;
	}
	if (h->value_end ||
	    c == '\t') /* two words, or a blank, that somebody takes for part of one */
		return HTTP_TRANSFER_ENCODING;
	if (h->token_length < sizeof(h->token))
		h->token[h->token_length++] = http_lower(c); /* a longer one is not chunked */
	return HTTP_WELL_FORMED;
}

static const struct header {
	const char *name; /* in lower case, at most HTTP_NAME_MAX bytes */
	bool in_response; /* also */
	struct sink sink;
} headers[] = {
	{.name = ""}, /* any other: skipped */
	{"host", false, {text_begin, text_byte, host_end}},
	{"user-agent", false, {text_begin, text_byte, user_agent_end}},
	{"content-type", true, {text_begin, text_byte, content_type_end}},
	{"content-length", true, {number_begin, number_byte, number_end}},
	{"transfer-encoding", true, {coding_begin, coding_byte, coding_end}},
};

void http_value_begin(struct http_head *h)
{
	h->any = false;
	h->header = 0;
	for (uint8_t i = 1; i < sizeof(headers) / sizeof(headers[0]); i++) {
		if (strlen(headers[i].name) == h->name_length &&
		    !memcmp(headers[i].name, h->name, h->name_length) &&
		    (h->kind == HTTP_REQUEST || headers[i].in_response))
			h->header = i;
	}
	if (h->header)
		headers[h->header].sink.begin(h);
}

enum http_malformed http_value_byte(struct http_head *h, uint8_t c)
{
	if (!h->any && (c == ' ' || c == '\t'))
		return HTTP_WELL_FORMED;
	h->any = true;
	return h->header ? headers[h->header].sink.byte(h, c) : HTTP_WELL_FORMED;
}

enum http_malformed http_value_end(struct http_head *h)
{
	return h->header ? headers[h->header].sink.end(h) : HTTP_WELL_FORMED;
}

enum http_malformed http_framing(const struct http_head *h)
{
	if (h->has_coding && h->has_length)
		return HTTP_LENGTH_AND_CODING;
	if (h->has_coding && (!h->minor || (h->kind == HTTP_REQUEST && !h->chunked)))
		return HTTP_TRANSFER_ENCODING;
	return HTTP_WELL_FORMED;
}
