// SPDX-License-Identifier: GPL-2.0-only
// Waiting with jitter, so that a hundred clients do not come back at once; and the gap.
#include <sys/random.h>

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
	resume->wanted = false;
}

void resume_live(struct resume *resume)
{
	resume->tries = 0;
	resume->restarted = false;
	clock_gettime(CLOCK_REALTIME, &resume->begin);
}

void resume_seen(struct resume *resume, const struct event *event)
{
	uint32_t nanoseconds;
	struct value time;
	int64_t seconds;

	if (!event_time(event, &time) || message_time(time, &seconds, &nanoseconds))
		return;
	resume->begin = (struct timespec){.tv_sec = seconds, .tv_nsec = nanoseconds};
}

size_t resume_take_gap(struct resume *resume, uint8_t data[RESUME_GAP_MAX])
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
