// SPDX-License-Identifier: GPL-2.0-only
/* Unix time of events: what is added to the kernel's clock changes only with the clock. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "collector/event.h"

#define NS_PER_S 1000000000LL
#define MS	 1000000LL
#define LOOK_NS	 30 /* from one look at a clock to the next */
#define START	 (1000 * NS_PER_S)
#define OFFSET	 (1795713472 * NS_PER_S + 123456789)

static struct {
	bool fake;
	int64_t now;	   /* CLOCK_MONOTONIC */
	int64_t offset;	   /* of CLOCK_REALTIME */
	int64_t slept;	   /* how long at each look */
	unsigned sleep_at; /* the look, from 1; 0: at none */
	unsigned looks;
} t;

/* Instead of the C library's. */
int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int64_t ns;

	if (!t.fake)
		return (int)syscall(SYS_clock_gettime, clock, ts);
	t.now += LOOK_NS + (++t.looks == t.sleep_at ? t.slept : 0);
	ns = t.now + (clock == CLOCK_REALTIME ? t.offset : 0);
	*ts = (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
	return 0;
}

static int64_t look(int64_t before, unsigned sleep_at, int64_t slept)
{
	int64_t offset;

	t.fake = true;
	t.looks = 0;
	t.sleep_at = sleep_at;
	t.slept = slept;
	offset = event_unix_offset(before);
	t.fake = false;
	return offset;
}

static int begin(void **state)
{
	(void)state;
	t.now = START;
	t.offset = OFFSET;
	return 0;
}

static void assert_near(int64_t offset, int64_t wanted, int64_t by)
{
	assert_in_range(offset - wanted + by, 0, 2 * by);
}

static void stays(void **state)
{
	int64_t offset = look(0, 0, 0);

	(void)state;
	assert_near(offset, OFFSET, LOOK_NS);
	for (unsigned sleep_at = 0; sleep_at < 4; sleep_at++)
		assert_int_equal(look(offset, sleep_at, 50 * MS), offset);
}

/* The very first time it may be off by that, and no longer than until the next. */
static void begins_while_stopped(void **state)
{
	(void)state;
	for (unsigned sleep_at = 0; sleep_at < 4; sleep_at++) {
		int64_t offset = look(0, sleep_at, 50 * MS);

		assert_near(offset, OFFSET, 50 * MS + LOOK_NS);
		assert_near(look(offset, 0, 0), OFFSET, LOOK_NS);
	}
}

static void follows_the_clock(void **state)
{
	static const int64_t set[] = {3600 * NS_PER_S, -3600 * NS_PER_S, MS, -MS, 500, -500};
	int64_t offset = look(0, 0, 0);

	(void)state;
	for (unsigned i = 0; i < sizeof(set) / sizeof(set[0]); i++) {
		t.offset += set[i];
		offset = look(offset, 0, 0);
		assert_near(offset, t.offset, LOOK_NS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(stays, begin),
		cmocka_unit_test_setup(begins_while_stopped, begin),
		cmocka_unit_test_setup(follows_the_clock, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
