/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A BPF ring buffer without a kernel: memory laid out as kernel/bpf/ringbuf.c does, and the
 * producer's side of it.
 */
#ifndef NETWATCH_TESTS_FAKE_RING_H
#define NETWATCH_TESTS_FAKE_RING_H

#include <linux/bpf.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FAKE_RING_SIZE 4096

struct fake_ring {
	int fd;
	char *memory;
	size_t page;
	unsigned long *consumer, *producer;
};

static inline size_t fake_ring_length(const struct fake_ring *r)
{
	return 2 * r->page + 2 * FAKE_RING_SIZE;
}

/* 0 or -1 */
static inline int fake_ring_init(struct fake_ring *r)
{
	r->page = (size_t)sysconf(_SC_PAGESIZE);
	r->fd = memfd_create("ring", MFD_CLOEXEC);
	if (r->fd < 0 || ftruncate(r->fd, (off_t)fake_ring_length(r)))
		return -1;
	r->memory = mmap(NULL, fake_ring_length(r), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (r->memory == MAP_FAILED)
		return -1;
	r->consumer = (unsigned long *)(void *)r->memory;
	r->producer = (unsigned long *)(void *)(r->memory + r->page);
	return 0;
}

static inline int fake_ring_deinit(struct fake_ring *r)
{
	munmap(r->memory, fake_ring_length(r));
	return close(r->fd);
}

/* The data are there twice. */
static inline void fake_ring_poke(struct fake_ring *r, unsigned long position, const void *data,
				  size_t size)
{
	for (size_t i = 0; i < size; i++) {
		char *at = r->memory + 2 * r->page + (position + i) % FAKE_RING_SIZE;

		at[0] = at[FAKE_RING_SIZE] = ((const char *)data)[i];
	}
}

/* Reserves a record; returns its position, or -1 when the ring is full. */
static inline long fake_ring_reserve(struct fake_ring *r, uint32_t size)
{
	unsigned long position = *r->producer;
	unsigned long end = position + ((BPF_RINGBUF_HDR_SZ + size + 7) & ~7UL);
	uint32_t head[2] = {size | BPF_RINGBUF_BUSY_BIT, 0};

	if (end - *r->consumer > FAKE_RING_SIZE - 1)
		return -1;
	fake_ring_poke(r, position, head, sizeof(head));
	__atomic_store_n(r->producer, end, __ATOMIC_RELEASE);
	return (long)position;
}

/* flags: 0 or BPF_RINGBUF_DISCARD_BIT */
static inline void fake_ring_submit(struct fake_ring *r, long position, const void *data,
				    uint32_t size, uint32_t flags)
{
	uint32_t length = size | flags;

	fake_ring_poke(r, (unsigned long)position + BPF_RINGBUF_HDR_SZ, data, size);
	fake_ring_poke(r, (unsigned long)position, &length, sizeof(length));
}

#endif
