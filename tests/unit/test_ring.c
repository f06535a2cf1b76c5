// SPDX-License-Identifier: GPL-2.0-only
/* The reader of the ring, over memory laid out as the kernel's (kernel/bpf/ringbuf.c). */
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "collector/ring.h"
#include "rng.h"

#define SIZE   4096
#define HEADER BPF_RINGBUF_HDR_SZ
#define BUSY   BPF_RINGBUF_BUSY_BIT
#define SKIP   BPF_RINGBUF_DISCARD_BIT

/* The kernel's side of it. */
static struct {
	int fd;
	char *memory;
	size_t page;
	unsigned long *consumer, *producer;
	struct ring *ring;
} kernel;

/* What the reader was given: records are numbered. */
static struct {
	uint32_t next;
	unsigned n;
	size_t size; /* of the last */
} got;

static int make_ring(void **state)
{
	size_t length;

	(void)state;
	kernel.page = (size_t)sysconf(_SC_PAGESIZE);
	length = 2 * kernel.page + 2 * SIZE;
	kernel.fd = memfd_create("ring", MFD_CLOEXEC);
	if (kernel.fd < 0 || ftruncate(kernel.fd, (off_t)length))
		return -1;
	kernel.memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, kernel.fd, 0);
	if (kernel.memory == MAP_FAILED)
		return -1;
	kernel.consumer = (unsigned long *)(void *)kernel.memory;
	kernel.producer = (unsigned long *)(void *)(kernel.memory + kernel.page);
	kernel.ring = ring_new(kernel.fd, SIZE);
	memset(&got, 0, sizeof(got));
	return kernel.ring ? 0 : -1;
}

static int free_ring(void **state)
{
	(void)state;
	ring_free(kernel.ring);
	munmap(kernel.memory, 2 * kernel.page + 2 * SIZE);
	return close(kernel.fd);
}

/* The data are there twice. */
static void poke(unsigned long position, const void *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		size_t at = (position + i) % SIZE;
		char byte = ((const char *)data)[i];

		kernel.memory[2 * kernel.page + at] = byte;
		kernel.memory[2 * kernel.page + SIZE + at] = byte;
	}
}

/* Reserves a record; returns its position, or -1 when the ring is full. */
static long reserve(uint32_t size)
{
	unsigned long position = *kernel.producer;
	unsigned long end = position + ((HEADER + size + 7) & ~7UL);
	uint32_t head[2] = {size | BUSY, 0};

	if (end - *kernel.consumer > SIZE - 1)
		return -1;
	poke(position, head, sizeof(head));
	__atomic_store_n(kernel.producer, end, __ATOMIC_RELEASE);
	return (long)position;
}

/* The record's bytes are its number, repeated. */
static void submit(long position, uint32_t size, uint32_t number, uint32_t flags)
{
	uint32_t length = size | flags;

	for (uint32_t at = 0; at < size; at += 4)
		poke((unsigned long)position + HEADER + at, &number, 4);
	poke((unsigned long)position, &length, sizeof(length));
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
	return ring_read(kernel.ring, limit, budget, on_record, &got);
}

static void test_empty(void **state)
{
	(void)state;
	assert_int_equal(ring_end(kernel.ring), 0);
	assert_int_equal(ring_position(kernel.ring), 0);
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
	assert_int_equal(ring_position(kernel.ring), ring_end(kernel.ring));
	assert_int_equal(*kernel.consumer, *kernel.producer); /* the kernel may reuse it */
}

static void test_discarded_is_skipped(void **state)
{
	long positions[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		positions[i] = reserve(8);
	submit(positions[0], 8, 0, 0);
	submit(positions[1], 8, 4711, SKIP);
	submit(positions[2], 8, 1, 0);
	read_ring(UINT64_MAX, 100);
	assert_int_equal(got.n, 2);
	assert_int_equal(ring_position(kernel.ring), ring_end(kernel.ring));
}

static void test_limit_and_budget(void **state)
{
	uint64_t middle = 0;

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		if (i == 70)
			middle = ring_end(kernel.ring);
		submit(reserve(20), 20, i, 0);
	}
	assert_int_equal(read_ring(UINT64_MAX, 0), 0);
	assert_int_equal(read_ring(UINT64_MAX, 33), 33);
	assert_int_equal(got.next, 33);
	assert_int_equal(read_ring(middle, 100), 37);
	assert_int_equal(ring_position(kernel.ring), middle);
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
			sizes[k] = 4 * rng_below(&rng, 60);
			positions[k] = reserve(sizes[k]);
			assert_true(positions[k] >= 0);
		}
		for (uint32_t k = n; k-- > 0;)
			submit(positions[k], sizes[k], number + k, 0);
		number += n;
		if (*kernel.producer - *kernel.consumer < SIZE / 2 && !rng_one_in(&rng, 4))
			continue;
		while (read_ring(UINT64_MAX, 1 + rng_below(&rng, 50)))
			;
		assert_int_equal(got.next, number);
	}
	assert_true(ring_end(kernel.ring) > 100 * SIZE);
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
