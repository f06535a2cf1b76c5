// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/bpf.h>

#include "ring.h"

#define RELEASE_EVERY 32 /* records between two stores of the position, a line shared with CPUs */

/*
 * Layout of the map's memory (kernel/bpf/ringbuf.c): a page with the consumer's position, a
 * page with the producers', then the data twice, so that no record is broken. Of the second time
 * only what a record can reach is mapped, since all that is mapped counts as this process's.
 */
struct ring {
	size_t page;
	size_t size;
	size_t mapped; /* from the producers' page on */
	unsigned long *consumer;
	const unsigned long *producer;
	const char *data;
};

struct ring *ring_new(int fd, size_t size)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	char *memory;

	if (!ring)
		return NULL;
	ring->page = (size_t)sysconf(_SC_PAGESIZE);
	ring->size = size;
	memory = mmap(NULL, ring->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		goto out;
	ring->consumer = (unsigned long *)(void *)memory;
	ring->mapped = ring->page + size + (size < RING_RECORD_MAX ? size : RING_RECORD_MAX);
	memory = mmap(NULL, ring->mapped, PROT_READ, MAP_SHARED, fd, (off_t)ring->page);
	if (memory == MAP_FAILED)
		goto out;
	ring->producer = (unsigned long *)(void *)memory;
	ring->data = memory + ring->page;
	return ring;
out:
	ring_free(ring);
	return NULL;
}

void ring_free(struct ring *ring)
{
	int saved = errno;

	if (!ring)
		return;
	if (ring->consumer)
		munmap(ring->consumer, ring->page);
	if (ring->producer)
		munmap((void *)(uintptr_t)ring->producer, ring->mapped);
	free(ring);
	errno = saved;
}

uint64_t ring_end(const struct ring *ring)
{
	return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
}

uint64_t ring_position(const struct ring *ring)
{
	return *ring->consumer;
}

size_t ring_read(struct ring *ring, uint64_t limit, size_t budget,
		 void (*fn)(void *arg, const void *record, size_t size), void *arg)
{
	unsigned long position = *ring->consumer, end = ring_end(ring);
	size_t n = 0;

	if (limit < end)
		end = limit;
	while (position < end && n < budget) {
		const char *head = ring->data + (position & (ring->size - 1));
		uint32_t length =
			__atomic_load_n((const uint32_t *)(const void *)head, __ATOMIC_ACQUIRE);
		size_t size = length & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		if (length & BPF_RINGBUF_BUSY_BIT)
			break;
		if (!(length & BPF_RINGBUF_DISCARD_BIT))
			fn(arg, head + BPF_RINGBUF_HDR_SZ, size);
		position += (size + BPF_RINGBUF_HDR_SZ + 7) & ~7UL;
		if (!(++n % RELEASE_EVERY))
			__atomic_store_n(ring->consumer, position, __ATOMIC_RELEASE);
	}
	__atomic_store_n(ring->consumer, position, __ATOMIC_RELEASE);
	return n;
}
