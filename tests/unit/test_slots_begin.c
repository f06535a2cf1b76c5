// SPDX-License-Identifier: GPL-2.0-only
/*
 * When readers begin. A program that read a category's word before the slot's bit was set may
 * tell an event without it; so who has history before the stream waits for a grace period, else
 * such an event would be in neither.
 */
#include <string.h>

#include "cmocka_all.h"
#include "collector/grace.h"
#include "collector/slots_table.h"
#include "common/kernel_side.h"

#define TICKET 7

static struct {
	struct slots slots;
	struct nw_shared shared;
	struct reader plain, seamless;
	struct slot *slot;
	uint64_t passed; /* the last ticket that has */
	unsigned marks, walks, live;
} t;

/* In place of the collector's: marks and walks that are reached when the test says so. */

void dispatch_set_mark(struct dispatch *dispatch, struct dispatch_mark *mark,
		       void (*reached)(void *arg), void *arg)
{
	(void)dispatch;
	mark->set = true;
	mark->reached = reached;
	mark->arg = arg;
	t.marks++;
}

void walks_ask(struct walks *walks, struct walk_request *request)
{
	(void)walks;
	t.walks++;
	request->begin(request);
	request->done(request, 0);
}

bool grace_passed(const struct grace *grace, uint64_t ticket)
{
	(void)grace;
	return ticket <= t.passed;
}

static void on_live(struct reader *reader)
{
	(void)reader;
	t.live++;
}

static const struct reader_ops ops = {.live = on_live};

static void wait_in_slot(struct reader *reader)
{
	reader->ops = &ops;
	reader->slot = t.slot;
	reader->state = READER_WAITING;
	TAILQ_INSERT_TAIL(&t.slot->waiting, reader, link);
}

/* A slot whose bit was just set, with two who wait for it. */
static int begin(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.slots.shared = &t.shared;
	t.slot = &t.slots.slot[3];
	t.slot->slots = &t.slots;
	t.slot->state = SLOT_LIVE;
	t.slot->ticket = TICKET;
	TAILQ_INIT(&t.slot->waiting);
	slots_begin_init(&t.slots);
	wait_in_slot(&t.seamless);
	wait_in_slot(&t.plain);
	t.seamless.seamless = true;
	t.passed = TICKET - 1;
	return 0;
}

static void test_grace_period(void **state)
{
	(void)state;
	slots_begin(&t.slots, false);
	assert_int_equal(t.plain.state, READER_JOINING);
	assert_int_equal(t.seamless.state, READER_WAITING);
	assert_int_equal(t.marks, 1);
	assert_int_equal(t.live, 1);
	slots_begin(&t.slots, false); /* something else happened */
	assert_int_equal(t.seamless.state, READER_WAITING);
	t.passed = TICKET;
	slots_begin(&t.slots, false);
	assert_int_equal(t.seamless.state, READER_JOINING);
	assert_int_equal(t.marks, 2);
	assert_int_equal(t.live, 2);
}

/* With the walk of a new filter, too. */
static void test_grace_period_and_walk(void **state)
{
	(void)state;
	slots_begin(&t.slots, true);
	assert_int_equal(t.walks, 1);
	assert_int_equal(t.plain.state, READER_JOINING);
	assert_int_equal(t.seamless.state, READER_WAITING);
	t.passed = TICKET;
	slots_begin(&t.slots, false);
	assert_int_equal(t.seamless.state, READER_JOINING);
}

/* Who joins a slot that has been there for long waits for nothing. */
static void test_old_slot(void **state)
{
	(void)state;
	t.passed = TICKET + 1;
	slots_begin(&t.slots, false);
	assert_int_equal(t.seamless.state, READER_JOINING);
	assert_int_equal(t.plain.state, READER_JOINING);
	assert_int_equal(t.live, 2);
}

#define TEST(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_grace_period),
		TEST(test_grace_period_and_walk),
		TEST(test_old_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
