// SPDX-License-Identifier: GPL-2.0-only
/* The reader of the ring: order, records that are not yet there, bounds. */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "collector/ring.h"
#include "fake_ring.h"
#include "rng.h"

#define RECORD_MAX 240

static struct fake_ring kernel;
static struct ring *ring;

/* What the reader was given: records are numbered. */
static struct {
	uint32_t next;
	unsigned n;
	size_t size; /* of the last */
} got;

static int make_ring(void **state)
{
	(void)state;
	memset(&got, 0, sizeof(got));
	if (fake_ring_init(&kernel))
		return -1;
	ring = ring_new(kernel.fd, FAKE_RING_SIZE);
	return ring ? 0 : -1;
}

static int free_ring(void **state)
{
	(void)state;
	ring_free(ring);
	return fake_ring_deinit(&kernel);
}

static long reserve(uint32_t size)
{
	return fake_ring_reserve(&kernel, size);
}

/* The record's bytes are its number, repeated. */
static void submit(long position, uint32_t size, uint32_t number, uint32_t flags)
{
	uint32_t words[RECORD_MAX / 4];

	for (uint32_t i = 0; i < RECORD_MAX / 4; i++)
		words[i] = number;
	fake_ring_submit(&kernel, position, words, size, flags);
}

static void on_record(void *arg, const void *record, size_t size)
{
	uint32_t number;

	assert_ptr_equal(arg, &got);
	for (size_t at = 0; at < size; at += 4) {
		memcpy(&number, (const char *)record + at, 4);
		assert_int_equal(number, got.next);
	}
	got.next++;
	got.n++;
	got.size = size;
}

static size_t read_ring(uint64_t limit, size_t budget)
{
	got.n = 0;
	return ring_read(ring, limit, budget, on_record, &got);
}

static void test_empty(void **state)
{
	(void)state;
	assert_int_equal(ring_end(ring), 0);
	assert_int_equal(ring_position(ring), 0);
	assert_int_equal(read_ring(UINT64_MAX, 100), 0);
	assert_int_equal(got.n, 0);
}

static void test_busy_stops(void **state)
{
	long first = reserve(16), second = reserve(40);

	(void)state;
	submit(second, 40, 1, 0);
	assert_int_equal(read_ring(UINT64_MAX, 100), 0);
	submit(first, 16, 0, 0);
	assert_int_equal(read_ring(UINT64_MAX, 100), 2);
	assert_int_equal(got.n, 2);
	assert_int_equal(got.size, 40);
	assert_int_equal(ring_position(ring), ring_end(ring));
	assert_int_equal(*kernel.consumer, *kernel.producer); /* the kernel may reuse it */
}

static void test_discarded_is_skipped(void **state)
{
	long positions[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		positions[i] = reserve(8);
	submit(positions[0], 8, 0, 0);
	submit(positions[1], 8, 4711, BPF_RINGBUF_DISCARD_BIT);
	submit(positions[2], 8, 1, 0);
	read_ring(UINT64_MAX, 100);
	assert_int_equal(got.n, 2);
	assert_int_equal(ring_position(ring), ring_end(ring));
}

static void test_limit_and_budget(void **state)
{
	uint64_t middle = 0;

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		if (i == 70)
			middle = ring_end(ring);
		submit(reserve(20), 20, i, 0);
	}
	assert_int_equal(read_ring(UINT64_MAX, 0), 0);
	assert_int_equal(read_ring(UINT64_MAX, 33), 33);
	assert_int_equal(got.next, 33);
	assert_int_equal(read_ring(middle, 100), 37);
	assert_int_equal(ring_position(ring), middle);
	assert_int_equal(read_ring(middle, 100), 0);
	assert_int_equal(read_ring(0, 100), 0);
	assert_int_equal(read_ring(middle + 1, 100), 1); /* begins before it */
	assert_int_equal(read_ring(UINT64_MAX, 100), 29);
}

/* Records of all sizes, round and round, submitted late and out of order. */
static void test_round_and_round(void **state)
{
	struct rng rng = rng_new();
	uint32_t number = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint32_t n = 1 + rng_below(&rng, 3), sizes[3];
		long positions[3];

		for (uint32_t k = 0; k < n; k++) {
			sizes[k] = 4 * rng_below(&rng, RECORD_MAX / 4);
			positions[k] = reserve(sizes[k]);
			assert_true(positions[k] >= 0);
		}
		for (uint32_t k = n; k-- > 0;)
			submit(positions[k], sizes[k], number + k, 0);
		number += n;
		if (*kernel.producer - *kernel.consumer < FAKE_RING_SIZE / 2 &&
		    !rng_one_in(&rng, 4))
			continue;
		while (read_ring(UINT64_MAX, 1 + rng_below(&rng, 50)))
			;
		assert_int_equal(got.next, number);
	}
	assert_true(ring_end(ring) > 100 * FAKE_RING_SIZE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_ring, free_ring)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_empty),
		TEST(test_busy_stops),
		TEST(test_discarded_is_skipped),
		TEST(test_limit_and_budget),
		TEST(test_round_and_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
