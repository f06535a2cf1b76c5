// SPDX-License-Identifier: GPL-2.0-only
// --reconnect: the delays, and when which gap is told.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "client/event.h"
#include "client/resume.h"
#include "netwatch.pb-c.h"

#define ROUNDS 200

static void delays(void **state)
{
	int least[12], most[12];

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct resume resume = {.tries = 0};

		for (unsigned try = 0; try < 12; try++) {
			int delay = resume_delay(&resume);

			least[try] = round && least[try] < delay ? least[try] : delay;
			most[try] = round && most[try] > delay ? most[try] : delay;
		}
	}
	for (unsigned try = 0; try < 12; try++) {
		int bound = try < 6 ? RESUME_FIRST_MS <<
		try : RESUME_MOST_MS
			;

		assert_in_range(least[try], bound / 2, bound * 7 / 10);
		assert_in_range(most[try], bound * 8 / 10, bound);
	}
}

/* Connected, live, and broken off. */
static void break_off(struct resume *resume, uint64_t epoch)
{
	resume_hello(resume, epoch);
	resume_live(resume);
	assert_false(resume->gap);
	resume->wanted = true;
}

static void expect_gap(struct resume *resume, Netwatch__Lost__Cause cause)
{
	uint8_t data[RESUME_LOST_MAX];
	struct timespec now;
	Netwatch__Event *event;
	size_t size;

	assert_true(resume->gap);
	size = resume_take_gap(resume, data);
	clock_gettime(CLOCK_REALTIME, &now);
	assert_true(size <= RESUME_LOST_MAX);
	event = netwatch__event__unpack(NULL, size, data);
	assert_non_null(event);
	assert_non_null(event->lost);
	assert_null(event->time);
	assert_int_equal(event->lost->cause, cause);
	assert_false(event->lost->has_count);
	assert_int_equal(event->lost->first->seconds, resume->begin.tv_sec);
	assert_int_equal(event->lost->first->nanos, resume->begin.tv_nsec);
	assert_in_range(event->lost->last->seconds, now.tv_sec - 1, now.tv_sec);
	netwatch__event__free_unpacked(event, NULL);
	assert_false(resume->gap);
}

static void first_connection_has_no_gap(void **state)
{
	struct resume resume = {.tries = 0};

	(void)state;
	resume_hello(&resume, 7);
	assert_false(resume.gap);
	assert_false(resume.wanted);
}

static void cause_by_epoch(void **state)
{
	struct resume resume = {.tries = 0};

	(void)state;
	break_off(&resume, 1);
	resume_hello(&resume, 2);
	expect_gap(&resume, NETWATCH__LOST__CAUSE__RESTART);
	resume_live(&resume);
	resume.wanted = true;
	resume_hello(&resume, 2);
	expect_gap(&resume, NETWATCH__LOST__CAUSE__SUBSCRIBER_QUEUE);
	resume_live(&resume);
	resume.wanted = true;
	resume_hello(&resume, 1);
	expect_gap(&resume, NETWATCH__LOST__CAUSE__RESTART);
}

/* A collector that says hello and then that it is busy has restarted all the same. */
static void hello_without_more(void **state)
{
	struct resume resume = {.tries = 0};

	(void)state;
	break_off(&resume, 1);
	resume_hello(&resume, 2);
	resume.wanted = true;
	resume_hello(&resume, 2);
	expect_gap(&resume, NETWATCH__LOST__CAUSE__RESTART);
}

static void see(struct resume *resume, Google__Protobuf__Timestamp *time)
{
	Netwatch__Event message = NETWATCH__EVENT__INIT;
	uint8_t data[64];
	struct event event;

	message.time = time;
	assert_int_equal(event_read(&event, data, netwatch__event__pack(&message, data)), 0);
	resume_seen(resume, &event);
}

static void gap_begins_with_the_last_event(void **state)
{
	Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	struct resume resume = {.tries = 5};
	struct timespec now;

	(void)state;
	clock_gettime(CLOCK_REALTIME, &now);
	resume_hello(&resume, 1);
	resume_live(&resume);
	assert_int_equal(resume.tries, 0);
	assert_in_range(resume.begin.tv_sec, now.tv_sec, now.tv_sec + 1);
	time.seconds = now.tv_sec + 100;
	time.nanos = 5;
	see(&resume, &time);
	assert_int_equal(resume.begin.tv_sec, now.tv_sec + 100);
	see(&resume, NULL); /* a loss has no time */
	time.nanos = 1000000000;
	see(&resume, &time);
	assert_int_equal(resume.begin.tv_nsec, 5);
	resume.wanted = true;
	resume_hello(&resume, 2);
	expect_gap(&resume, NETWATCH__LOST__CAUSE__RESTART);
}

static int setup(void **state)
{
	(void)state;
	return event_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delays),
		cmocka_unit_test(first_connection_has_no_gap),
		cmocka_unit_test(cause_by_epoch),
		cmocka_unit_test(hello_without_more),
		cmocka_unit_test(gap_begins_with_the_last_event),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
