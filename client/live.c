// SPDX-License-Identifier: GPL-2.0-only
// The latest events as JSON in a ring; and who may read them.
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "event.h"
#include "live.h"
#include "live_files.h"
#include "number.h"
#include "output.h"
#include "writer.h"

#define AFTER "after="

static struct {
	char token[LIVE_TOKEN_SIZE];
	char *events[LIVE_EVENTS_MAX]; /* by number; NULL: it was too long */
	uint64_t next;		       /* number of the next one, from 1 */
	time_t looked;		       /* monotonic; 0: never */
	struct output line;
} live;

static time_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec;
}

int live_init(void)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t random[LIVE_TOKEN_SIZE / 2];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EAGAIN;
	for (unsigned i = 0; i < 2 * sizeof(random); i++)
		live.token[i] = hex[random[i / 2] >> (i % 2 ? 0 : 4) & 15];
	live.next = 1;
	return output_init(&live.line, -1);
}

void live_deinit(void)
{
	for (unsigned i = 0; i < LIVE_EVENTS_MAX; i++)
		free(live.events[i]);
	output_deinit(&live.line);
	memset(&live, 0, sizeof(live));
}

const char *live_token(void)
{
	return live.token;
}

/* Reports at intervals would push all else out. */
static bool is_report(const struct event *event)
{
	return event->category && !strcmp(event->category->name, "tcpinfo");
}

void live_take(const struct event *event)
{
	char **slot = &live.events[live.next % LIVE_EVENTS_MAX];

	if (!live.looked || now_s() - live.looked > LIVE_LOOKED_S || is_report(event))
		return;
	live.line.used = live.line.line = 0;
	live.line.err = 0;
	writer_json.event(&live.line, event);
	free(*slot);
	*slot = live.line.err || live.line.used > LIVE_EVENT_MAX
			? NULL
			: strndup(live.line.data, live.line.used);
	live.next++;
}

/* {"next":N,"missed":N,"events":[...]}: those from number first on. */
static void put_events(struct output *output, uint64_t first)
{
	uint64_t oldest = live.next > LIVE_EVENTS_MAX ? live.next - LIVE_EVENTS_MAX : 1;
	uint64_t at = first < oldest ? oldest : first, missed = at - first;
	bool more = false;

	live.looked = now_s();
	output_text(output, "{\"events\":[");
	for (; at < live.next && output->used < LIVE_ANSWER_MAX; at++) {
		const char *text = live.events[at % LIVE_EVENTS_MAX];

		missed += !text;
		if (!text)
			continue;
		output_text(output, more ? ",\n" : "\n");
		output_text(output, text);
		more = true;
	}
	output_text(output, "],\"missed\":");
	output_unsigned(output, missed);
	output_text(output, ",\"next\":");
	output_unsigned(output, at);
	output_text(output, "}\n");
}

/* Without a number, or with one of another run: from now on. */
static uint64_t first_of(const char *query)
{
	const char *text =
		query && !strncmp(query, AFTER, strlen(AFTER)) ? query + strlen(AFTER) : "";
	uint64_t first;

	if (number_parse(text, strlen(text), 1, live.next, &first))
		return live.next;
	return first;
}

/* In a time that does not tell how much of it is right. */
static bool is_token(const char *text)
{
	unsigned differs = 0;

	if (strlen(text) < LIVE_TOKEN_SIZE || text[LIVE_TOKEN_SIZE - 1] != '/')
		return false;
	for (unsigned i = 0; i < LIVE_TOKEN_SIZE - 1; i++)
		differs |= (unsigned char)(text[i] ^ live.token[i]);
	return !differs;
}

const char *live_page(struct output *output, const char *path, const char *query)
{
	if (!is_token(path))
		return NULL;
	path += LIVE_TOKEN_SIZE;
	if (!strcmp(path, "events")) {
		put_events(output, first_of(query));
		return "application/json";
	}
	for (unsigned i = 0; i < live_n_files; i++) {
		if (strcmp(path, live_files[i].name))
			continue;
		output_text(output, live_files[i].text);
		return live_files[i].type;
	}
	return NULL;
}
