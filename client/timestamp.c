// SPDX-License-Identifier: GPL-2.0-only
// The forms of a timestamp, one function each.
#include <string.h>
#include <time.h>

#include "output.h"
#include "timestamp.h"

#define SECONDS_MAX 253402300799 /* end of the year 9999, and of RFC 3339 */
#define BILLION	    1000000000

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

/* Seconds with nanoseconds. */
static char *put_seconds(char *to, int64_t nanoseconds)
{
	if (nanoseconds < 0)
		*to++ = '-';
	nanoseconds = nanoseconds < 0 ? -nanoseconds : nanoseconds;
	to = output_put_unsigned(to, (uint64_t)nanoseconds / BILLION);
	*to++ = '.';
	return output_put_digits(to, (uint64_t)nanoseconds % BILLION, 9);
}

/* Since 1970: fits until 2262, after which there is none of these. */
static bool to_nanoseconds(int64_t seconds, uint32_t nanoseconds, int64_t *sum)
{
	return !__builtin_mul_overflow(seconds, BILLION, sum) &&
	       !__builtin_add_overflow(*sum, (int64_t)nanoseconds, sum);
}

static char *put_unix(char *to, int64_t seconds, uint32_t nanoseconds)
{
	int64_t time;

	return to_nanoseconds(seconds, nanoseconds, &time) ? put_seconds(to, time) : NULL;
}

static int64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * BILLION + now.tv_nsec;
}

/* What CLOCK_MONOTONIC showed then, if the clock was not set since; of this host only. */
static char *put_mono(char *to, int64_t seconds, uint32_t nanoseconds)
{
	int64_t time, offset = read_clock(CLOCK_REALTIME) - read_clock(CLOCK_MONOTONIC);

	if (!to_nanoseconds(seconds, nanoseconds, &time) ||
	    __builtin_sub_overflow(time, offset, &time))
		return NULL;
	return put_seconds(to, time);
}

/* Since the time that was printed before. Events of several processors may come out of order. */
static char *put_delta(char *to, int64_t seconds, uint32_t nanoseconds)
{
	static int64_t before = -1;
	int64_t time, delta;

	if (!to_nanoseconds(seconds, nanoseconds, &time))
		return NULL;
	delta = before < 0 ? 0 : time - before;
	before = time;
	return put_seconds(to, delta);
}

const struct time_format time_of_day = {15, put_of_day};
const struct time_format time_of_day_ms = {12, put_of_day_ms};
const struct time_format time_rfc3339 = {30, put_rfc3339};

const char *const time_format_words[] = {"rfc3339", "unix", "mono", "delta", NULL};

const struct time_format *time_format_of(unsigned index)
{
	static const struct time_format of_words[] = {
		{30, put_rfc3339},
		{20, put_unix},
		{16, put_mono},
		{12, put_delta},
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
