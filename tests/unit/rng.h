/* SPDX-License-Identifier: GPL-2.0-only */
/* Random numbers that come again (splitmix64); NETWATCH_SEED=n gives other ones. */
#ifndef NETWATCH_TESTS_RNG_H
#define NETWATCH_TESTS_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct rng {
	uint64_t state;
};

static inline struct rng rng_new(void)
{
	const char *seed = getenv("NETWATCH_SEED");

	return (struct rng){.state = seed ? strtoull(seed, NULL, 0) : 1};
}

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* 0 to n - 1 */
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)(rng_next(r) % n);
}

static inline bool rng_one_in(struct rng *r, uint32_t n)
{
	return !rng_below(r, n);
}

/* Every length in bits is as likely, so that each length of a varint comes often. */
static inline uint64_t rng_any_length(struct rng *r, unsigned max_bits)
{
	uint32_t bits = rng_below(r, max_bits + 1);

	return bits ? rng_next(r) >> (64 - bits) : 0;
}

static inline void rng_fill(struct rng *r, void *data, size_t size)
{
	uint8_t *p = data;

	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)rng_next(r);
}

#endif
