/* SPDX-License-Identifier: GPL-2.0-only */
/* Values of headers, for head.c: which are kept, and what those mean that say where a body ends. */
#ifndef NETWATCH_HTTP_HEAD_VALUE_H
#define NETWATCH_HTTP_HEAD_VALUE_H

#include <stdint.h>

#include "head.h"

static inline char http_lower(uint8_t c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

/* The name is complete; may set malformed. */
void http_value_begin(struct http_head *head);

/* One byte of the value, no control character but a tab. */
enum http_malformed http_value_byte(struct http_head *head, uint8_t c);

enum http_malformed http_value_end(struct http_head *head);

/* At the end of the head: do Content-Length and Transfer-Encoding make sense together? */
enum http_malformed http_framing(const struct http_head *head);

#endif
