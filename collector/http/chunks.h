/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a chunked body ends (RFC 9112, 7.1), as long as its chunk sizes are seen. */
#ifndef NETWATCH_HTTP_CHUNKS_H
#define NETWATCH_HTTP_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_chunks {
	uint64_t remaining; /* of the chunk's data */
	uint8_t state;
	bool cr;  /* the last byte was a CR */
	bool any; /* the size has a digit; the trailer's line is not empty */
};

enum http_chunks_progress { HTTP_CHUNKS_MORE, HTTP_CHUNKS_END, HTTP_CHUNKS_LOST };

void http_chunks_begin(struct http_chunks *c);

/* Takes bytes, says in *used how many; the end is behind them. HTTP_CHUNKS_LOST: no chunks. */
enum http_chunks_progress http_chunks_feed(struct http_chunks *c, const char *data, size_t size,
					   size_t *used);

/* Bytes passed that nobody saw: false when a size may be among them. */
bool http_chunks_hidden(struct http_chunks *c, uint64_t size);

#endif
