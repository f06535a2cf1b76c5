// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "chunks.h"

enum state { SIZE, EXTENSION, DATA, DATA_END, TRAILER };

void http_chunks_begin(struct http_chunks *c)
{
	memset(c, 0, sizeof(*c));
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum http_chunks_progress end_line(struct http_chunks *c)
{
	bool any = c->any;

	if (c->state == TRAILER) {
		c->any = false;
		return any ? HTTP_CHUNKS_MORE : HTTP_CHUNKS_END;
	}
	if (c->state == DATA_END) {
		http_chunks_begin(c);
		return HTTP_CHUNKS_MORE;
	}
	if (!any)
		return HTTP_CHUNKS_LOST;
	c->any = false;
	c->state = c->remaining ? DATA : TRAILER;
	return HTTP_CHUNKS_MORE;
}

static enum http_chunks_progress take(struct http_chunks *c, char byte)
{
	int value;

	if (byte == '\n') {
		c->cr = false;
		return end_line(c);
	}
	if (c->cr)
		return HTTP_CHUNKS_LOST;
	c->cr = byte == '\r';
	if (c->cr)
		return HTTP_CHUNKS_MORE;
	if (c->state == TRAILER)
		c->any = true;
	if (c->state == TRAILER || c->state == EXTENSION)
		return HTTP_CHUNKS_MORE;
	value = digit(byte);
	if (c->state == SIZE && value >= 0 && !(c->remaining >> 60)) {
		c->remaining = c->remaining << 4 | (uint64_t)value;
		c->any = true;
		return HTTP_CHUNKS_MORE;
	}
	if (c->state == SIZE && c->any && strchr("; \t", byte)) {
		c->state = EXTENSION;
		return HTTP_CHUNKS_MORE;
	}
	return HTTP_CHUNKS_LOST;
}

enum http_chunks_progress http_chunks_feed(struct http_chunks *c, const char *data, size_t size,
					   size_t *used)
{
	enum http_chunks_progress progress = HTTP_CHUNKS_MORE;
	size_t i = 0;

	while (i < size && progress == HTTP_CHUNKS_MORE) {
		if (c->state == DATA) {
			size_t n = size - i < c->remaining ? size - i : (size_t)c->remaining;

			i += n;
			http_chunks_hidden(c, n);
		} else {
			progress = take(c, data[i++]);
		}
	}
	*used = i;
	return progress;
}

bool http_chunks_hidden(struct http_chunks *c, uint64_t size)
{
	if (!size)
		return true;
	if (c->state != DATA || size > c->remaining)
		return false;
	c->remaining -= size;
	if (!c->remaining)
		c->state = DATA_END;
	return true;
}
