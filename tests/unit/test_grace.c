// SPDX-License-Identifier: GPL-2.0-only
/* A ticket passes only by a wait that began after it was drawn. */
#include <event2/event.h>
#include <errno.h>
#include <semaphore.h>
#include <time.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "collector/grace.h"

#define DEADLINE_S 10

static struct {
	sem_t begun, may_end; /* each wait posts one and waits for the other */
	struct event_base *base;
	struct grace *grace;
	unsigned passed;
} t;

static int on_wait(void *arg)
{
	assert_ptr_equal(arg, &t);
	sem_post(&t.begun);
	while (sem_wait(&t.may_end) && errno == EINTR)
		;
	return 0;
}

static void on_passed(void *arg)
{
	assert_ptr_equal(arg, &t);
	t.passed++;
}

static int begin(void **state)
{
	(void)state;
	sem_init(&t.begun, 0, 0);
	sem_init(&t.may_end, 0, 0);
	t.passed = 0;
	t.base = event_base_new();
	t.grace = t.base ? grace_new(t.base, on_wait, on_passed, &t) : NULL;
	return t.grace ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		sem_post(&t.may_end); /* a test that failed must not hang */
	grace_free(t.grace);
	grace_free(NULL);
	event_base_free(t.base);
	sem_destroy(&t.begun);
	sem_destroy(&t.may_end);
	return 0;
}

static void await_wait(void)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += DEADLINE_S;
	assert_int_equal(sem_timedwait(&t.begun, &deadline), 0);
}

/* Ends the wait that runs, and lets the loop see it. */
static void end_wait(void)
{
	struct timeval deadline = {.tv_sec = DEADLINE_S};
	unsigned before = t.passed;

	sem_post(&t.may_end);
	event_base_loopexit(t.base, &deadline);
	while (t.passed == before && !event_base_got_exit(t.base))
		event_base_loop(t.base, EVLOOP_ONCE);
	assert_int_equal(t.passed, before + 1);
}

static void test_ticket_zero(void **state)
{
	(void)state;
	assert_true(grace_passed(t.grace, 0));
	assert_false(grace_passed(t.grace, 1));
}

static void test_one(void **state)
{
	uint64_t ticket = grace_begin(t.grace);

	(void)state;
	assert_true(ticket > 0);
	await_wait();
	event_base_loop(t.base, EVLOOP_NONBLOCK);
	assert_false(grace_passed(t.grace, ticket));
	end_wait();
	assert_true(grace_passed(t.grace, ticket));
}

/* Drawn while a wait runs: that one began too early for it. */
static void test_drawn_during_a_wait(void **state)
{
	uint64_t first = grace_begin(t.grace), second, third;

	(void)state;
	await_wait();
	second = grace_begin(t.grace);
	third = grace_begin(t.grace);
	assert_true(first < second && second < third);
	end_wait();
	assert_true(grace_passed(t.grace, first));
	assert_false(grace_passed(t.grace, second));
	await_wait(); /* one serves both */
	end_wait();
	assert_true(grace_passed(t.grace, second));
	assert_true(grace_passed(t.grace, third));
	assert_int_equal(sem_trywait(&t.begun), -1);
}

/* What is waited for may take its time, but not from one question to the next without an end. */
static void test_serves(void **state)
{
	(void)state;
	assert_true(grace_serves(t.grace));
	grace_begin(t.grace);
	assert_true(grace_serves(t.grace));
	await_wait();
	assert_false(grace_serves(t.grace));
	grace_begin(t.grace);
	end_wait();
	assert_true(grace_serves(t.grace)); /* one has passed, another one is waited for */
	await_wait();
	end_wait();
	assert_true(grace_serves(t.grace));
	assert_true(grace_serves(t.grace));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ticket_zero, begin, end),
		cmocka_unit_test_setup_teardown(test_one, begin, end),
		cmocka_unit_test_setup_teardown(test_drawn_during_a_wait, begin, end),
		cmocka_unit_test_setup_teardown(test_serves, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
