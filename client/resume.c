// SPDX-License-Identifier: GPL-2.0-only
// Waiting with jitter, so that a hundred clients do not come back at once; and the gap.
#include <string.h>
#include <sys/random.h>

#include "categories.h"
#include "event.h"
#include "netwatch.pb-c.h"
#include "resume.h"

int resume_delay(struct resume *resume)
{
	int most = RESUME_FIRST_MS;
	unsigned random = 0;

	for (unsigned i = 0; i < resume->tries && most < RESUME_MOST_MS; i++)
		most *= 2;
	if (most > RESUME_MOST_MS)
		most = RESUME_MOST_MS;
	resume->tries++;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = 0;
	return most - (int)(random % (unsigned)(most / 2 + 1));
}

void resume_hello(struct resume *resume, uint64_t epoch)
{
	resume->gap |= resume->wanted;
	resume->restarted |= resume->epoch != epoch; /* until told: a hello may be all that comes */
	resume->epoch = epoch;
	resume->wanted = resume->asked = resume->filled = false;
	resume->skip = 0;
}

bool resume_from_place(struct resume *resume)
{
	return resume->asked = !resume->restarted && resume->place.count;
}

uint64_t resume_since_ms(const struct resume *resume)
{
	struct timespec now;
	int64_t ms;

	clock_gettime(CLOCK_REALTIME, &now);
	ms = (now.tv_sec - resume->begin.tv_sec) * 1000 +
	     (now.tv_nsec - resume->begin.tv_nsec) / 1000000;
	return ms > 0 ? (uint64_t)ms : 1; /* somebody set the clock */
}

/* False: it has none. */
static bool place_of(const struct event *event, struct timespec *time, uint64_t *id)
{
	int index = schema_find(event_connection_schema(), "id");
	uint32_t nanoseconds;
	int64_t seconds;
	struct value at;

	if (!event_time(event, &at) || message_time(at, &seconds, &nanoseconds))
		return false;
	*time = (struct timespec){.tv_sec = seconds, .tv_nsec = nanoseconds};
	*id = message_has(&event->connection, index) ? event->connection.values[index].number : 0;
	return true;
}

static bool is_remembered(const struct event *event)
{
	return event->category && !event_is_lost(event) &&
	       categories_is_remembered(event->category->name) &&
	       event_stage(event) != NETWATCH__CONN__STAGE__EXISTING;
}

static bool is_place(const struct resume *resume, const struct timespec *time, uint64_t id)
{
	return resume->place.count && resume->place.time.tv_sec == time->tv_sec &&
	       resume->place.time.tv_nsec == time->tv_nsec && resume->place.id == id;
}

bool resume_has_work(const struct resume *resume)
{
	return resume->gap || resume->asked || resume->filled || resume->held_size;
}

bool resume_was_told(struct resume *resume, const struct event *event, bool partial)
{
	struct timespec time;
	uint64_t id;
	bool here =
		is_remembered(event) && place_of(event, &time, &id) && is_place(resume, &time, id);

	if (resume->asked && here) {
		resume->filled = true;
		resume->skip = resume->place.count;
		resume->gap &= partial;
		if (!partial)
			resume->held_size = 0;
	}
	resume->asked = false;
	if (here && resume->skip) {
		resume->skip--;
		return true;
	}
	return resume->filled && event_stage(event) == NETWATCH__CONN__STAGE__EXISTING;
}

void resume_live(struct resume *resume)
{
	resume->tries = resume->skip = 0;
	resume->restarted = resume->asked = resume->filled = false;
	clock_gettime(CLOCK_REALTIME, &resume->begin);
}

void resume_seen(struct resume *resume, const struct event *event)
{
	struct timespec time;
	uint64_t id;

	if (!place_of(event, &time, &id))
		return;
	resume->begin = time;
	if (!is_remembered(event))
		return;
	if (!is_place(resume, &time, id)) {
		resume->place.time = time;
		resume->place.id = id;
		resume->place.count = 0;
	}
	resume->place.count++;
}

bool resume_hold(struct resume *resume, const struct event *lost)
{
	const struct message *detail = &lost->detail;
	int cause = schema_find(detail->schema, "cause");

	if (!message_has(detail, cause) || lost->size > sizeof(resume->held) ||
	    detail->values[cause].number != NETWATCH__LOST__CAUSE__SUBSCRIBER_QUEUE)
		return false;
	memcpy(resume->held, lost->data, lost->size);
	resume->held_size = lost->size;
	return true;
}

size_t resume_take_gap(struct resume *resume, uint8_t data[RESUME_LOST_MAX])
{
	Netwatch__Event event = NETWATCH__EVENT__INIT;
	Netwatch__Lost lost = NETWATCH__LOST__INIT;
	Google__Protobuf__Timestamp first = GOOGLE__PROTOBUF__TIMESTAMP__INIT, last = first;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	first.seconds = resume->begin.tv_sec;
	first.nanos = (int32_t)resume->begin.tv_nsec;
	last.seconds = now.tv_sec;
	last.nanos = (int32_t)now.tv_nsec;
	lost.has_cause = true;
	lost.cause = resume->restarted ? NETWATCH__LOST__CAUSE__RESTART
				       : NETWATCH__LOST__CAUSE__SUBSCRIBER_QUEUE;
	lost.first = &first;
	lost.last = &last;
	event.lost = &lost;
	resume->gap = resume->restarted = false;
	return netwatch__event__pack(&event, data);
}
