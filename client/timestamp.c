// SPDX-License-Identifier: GPL-2.0-only
// The forms of a timestamp, one function each.
#include <string.h>
#include <time.h>

#include "output.h"
#include "timestamp.h"

#define SECONDS_MAX  253402300799 /* end of the year 9999, and of RFC 3339 */
#define BILLION	     1000000000
#define CLOCK_SET_NS 1000000 /* a smaller step is the time that measuring takes */

/* The date of a second, as that of the previous line, nearly always. */
struct second {
	struct tm *(*convert)(const time_t *time, struct tm *tm);
	const char *format;
	int64_t seconds;
	size_t length;
	char text[32];
};

static char *put_second(char *to, struct second *second, int64_t seconds)
{
	time_t time = (time_t)seconds;
	struct tm tm;

	if (!second->length || second->seconds != seconds) {
		second->length = strftime(second->text, sizeof(second->text), second->format,
					  second->convert(&time, &tm));
		second->seconds = seconds;
	}
	memcpy(to, second->text, sizeof(second->text)); /* a constant size is quicker */
	return to + second->length;
}

static struct second local = {.convert = localtime_r, .format = "%H:%M:%S."};

static char *put_of_day(char *to, int64_t seconds, uint32_t nanoseconds)
{
	return output_put_digits(put_second(to, &local, seconds), nanoseconds / 1000, 6);
}

static char *put_of_day_ms(char *to, int64_t seconds, uint32_t nanoseconds)
{
	return output_put_digits(put_second(to, &local, seconds), nanoseconds / 1000000, 3);
}

static char *put_rfc3339(char *to, int64_t seconds, uint32_t nanoseconds)
{
	static struct second second = {.convert = gmtime_r, .format = "%Y-%m-%dT%H:%M:%S."};

	to = output_put_digits(put_second(to, &second, seconds), nanoseconds, 9);
	*to++ = 'Z';
	return to;
}

/* Both parts of time less those of start: a single number of nanoseconds ends in 2262. */
static struct timespec since(struct timespec time, struct timespec start)
{
	struct timespec rest = {time.tv_sec - start.tv_sec, time.tv_nsec - start.tv_nsec};

	if (rest.tv_nsec < 0) {
		rest.tv_sec--;
		rest.tv_nsec += BILLION;
	}
	return rest;
}

static char *put_seconds(char *to, struct timespec time)
{
	if (time.tv_sec < 0) {
		*to++ = '-';
		time = since((struct timespec){0}, time);
	}
	to = output_put_unsigned(to, (uint64_t)time.tv_sec);
	*to++ = '.';
	return output_put_digits(to, (uint64_t)time.tv_nsec, 9);
}

static char *put_unix(char *to, int64_t seconds, uint32_t nanoseconds)
{
	return put_seconds(to, (struct timespec){seconds, nanoseconds});
}

/*
 * When CLOCK_MONOTONIC was zero. Measured anew each time, it would vary by what passes between
 * two looks; so it is kept until the clock was set.
 */
static struct timespec monotonic_zero(void)
{
	static struct timespec kept;
	struct timespec mono, now, zero, moved;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &now);
	zero = since(now, mono);
	moved = since(zero, kept);
	if (moved.tv_sec < -1 || moved.tv_sec > 0 ||
	    (moved.tv_sec ? BILLION - moved.tv_nsec : moved.tv_nsec) > CLOCK_SET_NS)
		kept = zero;
	return kept;
}

/* What CLOCK_MONOTONIC showed then, if the clock was not set since; of this host only. */
static char *put_mono(char *to, int64_t seconds, uint32_t nanoseconds)
{
	return put_seconds(to, since((struct timespec){seconds, nanoseconds}, monotonic_zero()));
}

/* Since the time that was printed before. Events of several processors may come out of order. */
static char *put_delta(char *to, int64_t seconds, uint32_t nanoseconds)
{
	static struct timespec before = {.tv_sec = -1};
	struct timespec time = {seconds, nanoseconds};

	if (before.tv_sec < 0)
		before = time;
	to = put_seconds(to, since(time, before));
	before = time;
	return to;
}

const struct time_format time_of_day = {15, false, put_of_day};
const struct time_format time_of_day_ms = {12, false, put_of_day_ms};
const struct time_format time_rfc3339 = {30, false, put_rfc3339};

const char *const time_format_words[] = {"rfc3339", "unix", "mono", "delta", NULL};

const struct time_format *time_format_of(unsigned index)
{
	static const struct time_format of_words[] = {
		{30, false, put_rfc3339},
		{20, false, put_unix},
		{16, false, put_mono},
		{12, true, put_delta},
	};

	return &of_words[index];
}

char *timestamp_put(char *to, const struct time_format *format, struct value timestamp)
{
	uint32_t nanoseconds;
	int64_t seconds;

	if (message_time(timestamp, &seconds, &nanoseconds) || seconds < 0 || seconds > SECONDS_MAX)
		return NULL;
	return format->put(to, seconds, nanoseconds);
}
