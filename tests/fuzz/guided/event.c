// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a collector or a recording says, as the client reads and prints it: frames, events, every
 * format. Whatever it is, a line is one line of UTF-8 without control characters.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/categories.h"
#include "client/columns.h"
#include "client/event.h"
#include "client/writer.h"
#include "common/frame.h"
#include "netwatch.pb-c.h"

#define EVENT 3 /* number of netwatch.Reply.event */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct writer *const writers[] = {&writer_json,	&writer_csv, &writer_table,
					       &writer_compact, &writer_pb,  &writer_recording};
static struct output output;

static void __attribute__((noreturn)) fail(const struct writer *writer, const char *what)
{
	fprintf(stderr, "%s: %s: %.*s\n", writer->name, what, (int)output.used, output.data);
	abort();
}

/* Bytes of the character that begins here (RFC 3629), or 0. */
static size_t utf8_length(const uint8_t *text, size_t size)
{
	static const struct {
		uint8_t first, last, second_min, second_max;
		size_t length;
	} rows[] = {
		{0x00, 0x7f, 0, 0, 1},	     {0xc2, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (*text < rows[i].first || *text > rows[i].last || size < rows[i].length)
			continue;
		if (rows[i].length > 1 &&
		    (text[1] < rows[i].second_min || text[1] > rows[i].second_max))
			return 0;
		for (size_t j = 2; j < rows[i].length; j++) {
			if ((text[j] & 0xc0) != 0x80)
				return 0;
		}
		return rows[i].length;
	}
	return 0;
}

static void check_line(const struct writer *writer)
{
	const uint8_t *text = (const uint8_t *)output.data;
	size_t at = 0, n;

	for (; at < output.used; at += n) {
		n = utf8_length(text + at, output.used - at);
		if (!n)
			fail(writer, "no UTF-8");
		if (text[at] < ' ' || text[at] == 0x7f)
			fail(writer, "a control character");
	}
}

static void print(const struct event *event, const struct writer *writer)
{
	static const struct categories all = {.count = 0};
	static const struct columns none;
	const struct writer_layout layout = {.categories = &all, .columns = &none};

	output.used = 0;
	if (writer->start)
		writer->start(&output, &layout);
	output.used = 0;
	if (output_begin(&output))
		abort();
	writer->event(&output, event);
	if (!output.err && !writer->binary)
		check_line(writer);
	output_undo(&output);
}

static void take(const uint8_t *data, size_t size)
{
	struct event event;
	struct value value;

	if (!message_locate(data, size, EVENT, &value) ||
	    event_read(&event, value.data, value.length) || !event.category)
		return;
	for (size_t i = 0; i < sizeof(writers) / sizeof(writers[0]); i++)
		print(&event, writers[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	const uint8_t *body;
	size_t length;
	ssize_t n;

	if (!ready && (event_init() || output_init(&output, -1)))
		abort();
	ready = true;
	for (; (n = frame_get(data, size, FRAME_REPLY_MAX, &body, &length)) > 0;
	     data += n, size -= (size_t)n)
		take(body, length);
	return 0;
}
