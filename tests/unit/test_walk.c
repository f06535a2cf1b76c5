// SPDX-License-Identifier: GPL-2.0-only
/* How soon a walk follows on another: by what that one cost, not by how long it took. */
#include <event2/event.h>
#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "collector/iterator.h"
#include "collector/walk.h"

#define MS	 1000000ULL /* in ns */
#define SLEEP_MS 300
#define BURN_MS	 50

static struct {
	struct event_base *base;
	struct walks *walks;
	unsigned begun, done;
	void (*at_walk)(void); /* once in each */
} t;

static uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000 * MS + (uint64_t)ts.tv_nsec;
}

/* Instead of the kernel's: without a row. */
int iterator_open(struct iterator *iterator, const struct probe *probe, const char *program,
		  const char *map)
{
	(void)probe;
	(void)program;
	if (!map && t.at_walk)
		t.at_walk();
	iterator->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return iterator->fd < 0 ? -1 : 0;
}

void iterator_close(struct iterator *iterator)
{
	close(iterator->fd);
}

static void sleep_long(void)
{
	struct timespec ts = {.tv_nsec = SLEEP_MS * (long)MS};

	nanosleep(&ts, NULL);
}

static void burn_long(void)
{
	uint64_t end = now_ns(CLOCK_THREAD_CPUTIME_ID) + BURN_MS * MS;

	while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end)
		;
}

static void on_begin(struct walk_request *request)
{
	(void)request;
	t.begun++;
}

static void on_done(struct walk_request *request, int err)
{
	(void)request;
	assert_int_equal(err, 0);
	t.done++;
}

static int begin(void **state)
{
	(void)state;
	t.begun = t.done = 0;
	t.at_walk = NULL;
	t.base = event_base_new();
	t.walks = t.base ? walks_new(t.base, NULL) : NULL;
	return t.walks ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	walks_free(t.walks);
	event_base_free(t.base);
	return 0;
}

/* ms from the end of one walk to the beginning of the next. */
static uint64_t pause_after(void (*at_walk)(void))
{
	struct walk_request request = {.begin = on_begin, .done = on_done};
	uint64_t ended;

	t.at_walk = at_walk;
	walks_ask(t.walks, &request);
	event_base_dispatch(t.base);
	assert_int_equal(t.done, 1);
	ended = now_ns(CLOCK_MONOTONIC);
	t.at_walk = NULL;
	walks_ask(t.walks, &request);
	event_base_dispatch(t.base);
	assert_int_equal(t.done, 2);
	return (now_ns(CLOCK_MONOTONIC) - ended) / MS;
}

static void waits_for_what_it_cost(void **state)
{
	(void)state;
	assert_in_range(pause_after(burn_long), 9 * BURN_MS - 1, UINT64_MAX);
}

/* As on a machine where others have the CPU. */
static void waits_not_for_how_long_it_took(void **state)
{
	(void)state;
	assert_in_range(pause_after(sleep_long), 0, 9 * SLEEP_MS - 100);
}

static void is_shared(void **state)
{
	struct walk_request one = {.begin = on_begin, .done = on_done}, other = one, gone = one;

	(void)state;
	walks_ask(t.walks, &one);
	walks_ask(t.walks, &other);
	walks_ask(t.walks, &one); /* which changes nothing */
	walks_ask(t.walks, &gone);
	walks_cancel(t.walks, &gone);
	event_base_dispatch(t.base);
	assert_int_equal(t.begun, 2);
	assert_int_equal(t.done, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(waits_for_what_it_cost, begin, end),
		cmocka_unit_test_setup_teardown(waits_not_for_how_long_it_took, begin, end),
		cmocka_unit_test_setup_teardown(is_shared, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
