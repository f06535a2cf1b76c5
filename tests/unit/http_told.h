/* SPDX-License-Identifier: GPL-2.0-only */
/* Feeds bytes to collector/http as pieces and writes what it tells as lines of text. */
#ifndef NETWATCH_TESTS_HTTP_TOLD_H
#define NETWATCH_TESTS_HTTP_TOLD_H

#include <stdio.h>
#include <string.h>

#include "collector/http/http.h"

/*
 * One line per event: "> GET /x h", "< 200 GET /x h 5us"; then "truncated" or the word for a
 * malformation, and a response whose request is not known has none.
 */
struct told {
	char text[1 << 16];
	size_t used;
	unsigned events;
};

static inline void told_add(struct told *t, const char *before, const char *text, size_t length)
{
	if (length && t->used + strlen(before) + length + 2 < sizeof(t->text))
		t->used += (size_t)sprintf(t->text + t->used, "%s%.*s", before, (int)length, text);
}

static inline void told_event(void *arg, const struct http_event *e)
{
	struct told *t = arg;
	const char *word = http_malformed_name(e->malformed);
	char status[32];

	t->events++;
	snprintf(status, sizeof(status), "%u", e->status);
	if (t->used)
		told_add(t, "", "\n", 1);
	told_add(t, "", e->kind == HTTP_REQUEST ? ">" : "<", 1);
	if (e->kind == HTTP_RESPONSE)
		told_add(t, " ", status, strlen(status));
	told_add(t, " ", e->method.text, e->method.length);
	told_add(t, " ", e->target.text, e->target.length);
	told_add(t, " ", e->host.text, e->host.length);
	snprintf(status, sizeof(status), " %lluus", (unsigned long long)e->latency_us);
	if (e->has_latency)
		told_add(t, "", status, strlen(status));
	if (e->truncated)
		told_add(t, " ", "truncated", 9);
	if (word)
		told_add(t, " ", word, strlen(word));
}

static inline void told_reset(struct told *t)
{
	t->used = 0;
	t->text[0] = '\0';
	t->events = 0;
}

#endif
