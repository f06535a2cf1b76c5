// SPDX-License-Identifier: GPL-2.0-only
/* The length prefix: boundaries, splits, lengths that must be refused, random bytes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "common/frame.h"
#include "netwatch.pb-c.h"
#include "rng.h"

#define LIMIT FRAME_REQUEST_MAX

static const struct {
	uint32_t length;
	size_t prefix;
} boundaries[] = {
	{1, 1},	      {127, 1},	    {128, 2},	    {16383, 2},	    {16384, 3},
	{2097151, 3}, {2097152, 4}, {268435455, 4}, {268435456, 5}, {UINT32_MAX, 5},
};

#define N_BOUNDARIES (sizeof(boundaries) / sizeof(boundaries[0]))

/* frame_get on a copy of exactly that size, so that a sanitizer sees any byte read beyond. */
static ssize_t get_exact(const uint8_t *data, size_t size, size_t limit, size_t *offset,
			 size_t *length)
{
	static const uint8_t untouched;
	uint8_t *copy = malloc(size);
	const uint8_t *body = &untouched;
	ssize_t n;

	assert_true(copy || !size);
	if (size)
		memcpy(copy, data, size);
	*length = 4711;
	n = frame_get(copy, size, limit, &body, length);
	if (n > 0) {
		*offset = (size_t)(body - copy);
	} else {
		assert_ptr_equal(body, &untouched);
		assert_int_equal(*length, 4711);
	}
	free(copy);
	return n;
}

static ssize_t judge(const char *bytes, size_t size, size_t limit)
{
	size_t offset, length;

	return get_exact((const uint8_t *)bytes, size, limit, &offset, &length);
}

#define JUDGE(bytes, limit) judge(bytes, sizeof(bytes) - 1, limit)

static void test_prefix_boundaries(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_BOUNDARIES; i++) {
		uint8_t out[FRAME_PREFIX_MAX];
		uint64_t value = 0;

		assert_int_equal(frame_prefix(out, boundaries[i].length), boundaries[i].prefix);
		for (size_t k = 0; k < boundaries[i].prefix; k++) {
			value |= (uint64_t)(out[k] & 0x7f) << (7 * k);
			assert_int_equal(out[k] >> 7, k + 1 < boundaries[i].prefix);
		}
		assert_int_equal(value, boundaries[i].length);
	}
}

/* A frame that was cut anywhere is not enough, and not an error. */
static void check_split(uint32_t length, size_t prefix_size)
{
	size_t size = prefix_size + length, offset, got;
	uint8_t *frame = calloc(1, size);

	assert_non_null(frame);
	frame_prefix(frame, length);
	for (size_t cut = 0; cut < size; cut++) {
		if (cut == 16 && size > 32 + 5000)
			cut = size - 16;
		assert_int_equal(get_exact(frame, cut, length, &offset, &got), 0);
	}
	assert_int_equal(get_exact(frame, size, length, &offset, &got), size);
	assert_int_equal(offset, prefix_size);
	assert_int_equal(got, length);
	free(frame);
}

static void test_split_at_every_byte(void **state)
{
	(void)state;
	check_split(2, 1);
	check_split(LIMIT, 2);
	for (size_t i = 0; boundaries[i].length <= 2097152; i++)
		check_split(boundaries[i].length, boundaries[i].prefix);
}

static void test_joined(void **state)
{
	struct rng rng = rng_new();
	size_t lengths[500], n = sizeof(lengths) / sizeof(lengths[0]), size = 0, at = 0;
	uint8_t *data = malloc(n * (LIMIT + FRAME_PREFIX_MAX));

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < n; i++) {
		lengths[i] = 1 + rng_any_length(&rng, 12);
		size += frame_prefix(data + size, (uint32_t)lengths[i]);
		memset(data + size, (int)i, lengths[i]);
		size += lengths[i];
	}
	for (size_t i = 0; i < n; i++) {
		size_t length = 0;
		const uint8_t *body = NULL;
		ssize_t used = frame_get(data + at, size - at, LIMIT, &body, &length);

		assert_true(used > 0);
		assert_int_equal(length, lengths[i]);
		assert_int_equal(body[0], (uint8_t)i);
		assert_int_equal(body[length - 1], (uint8_t)i);
		at += (size_t)used;
	}
	assert_int_equal(at, size);
	free(data);
}

static void test_zero(void **state)
{
	(void)state;
	assert_int_equal(JUDGE("\x00", LIMIT), -EBADMSG);
	assert_int_equal(JUDGE("\x80\x00", LIMIT), -EBADMSG);
	assert_int_equal(JUDGE("\x80\x80\x80\x80\x00", LIMIT), -EBADMSG);
	assert_int_equal(JUDGE("\x80", LIMIT), 0);
	assert_int_equal(JUDGE("", LIMIT), 0);
}

static void test_too_long_is_judged_at_once(void **state)
{
	(void)state;
	assert_int_equal(JUDGE("\x80\x20", 4096), 0);	      /* 4096 */
	assert_int_equal(JUDGE("\x81", 4096), 0);	      /* 4097, cut */
	assert_int_equal(JUDGE("\x81\x20", 4096), -EMSGSIZE); /* 4097 */
	assert_int_equal(JUDGE("\xff\xff", 4096), -EMSGSIZE); /* at least 16383 */
	assert_int_equal(JUDGE("\x80\x80\x04", 65536), 0);    /* 65536 */
	assert_int_equal(JUDGE("\x81\x80\x04", 65536), -EMSGSIZE);
	assert_int_equal(JUDGE("\x80\x80\x80\x80\x01", 4096), -EMSGSIZE); /* 2^28 */
	assert_int_equal(JUDGE("\x01", 0), -EMSGSIZE);
}

static void test_beyond_32_bits(void **state)
{
	(void)state;
	assert_int_equal(JUDGE("\xff\xff\xff\xff\x0f", FRAME_REPLY_MAX), -EMSGSIZE); /* 2^32-1 */
	assert_int_equal(JUDGE("\x80\x80\x80\x80\x10", FRAME_REPLY_MAX), -EMSGSIZE); /* 2^32 */
	assert_int_equal(JUDGE("\xff\xff\xff\xff\x7f", FRAME_REPLY_MAX), -EMSGSIZE);
	assert_int_equal(JUDGE("\x80\x80\x80\x80\x80", FRAME_REPLY_MAX), -EBADMSG);
	assert_int_equal(JUDGE("\x80\x80\x80\x80\x80\x01", FRAME_REPLY_MAX), -EBADMSG);
	assert_int_equal(JUDGE("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", FRAME_REPLY_MAX),
			 -EBADMSG); /* 2^64 */
	assert_int_equal(JUDGE("\x81\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", LIMIT),
			 -EBADMSG);
}

/* What frame_get must say of data, by the definition of a varint. */
static ssize_t expected(const uint8_t *data, size_t size, size_t limit)
{
	uint64_t value = 0;
	size_t n = 0;

	while (n < size && n < 5 && data[n] & 0x80) {
		value += (uint64_t)(data[n] & 0x7f) << (7 * n);
		n++;
	}
	if (n == 5)
		return -EBADMSG;
	if (n < size)
		value += (uint64_t)data[n] << (7 * n);
	if (value > limit)
		return -EMSGSIZE;
	if (n == size)
		return 0;
	if (!value)
		return -EBADMSG;
	return n + 1 + value <= size ? (ssize_t)(n + 1 + value) : 0;
}

static void test_random_bytes(void **state)
{
	struct rng rng = rng_new();
	unsigned whole = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		uint8_t data[48];
		size_t size = rng_below(&rng, sizeof(data) + 1), offset = 0, length;
		size_t limit = rng_any_length(&rng, 20);
		ssize_t n;

		rng_fill(&rng, data, sizeof(data));
		if (rng_one_in(&rng, 2))
			data[0] &= 0x1f;
		n = get_exact(data, size, limit, &offset, &length);
		assert_int_equal(n, expected(data, size, limit));
		if (n > 0) {
			assert_int_equal(offset + length, n);
			whole++;
		}
	}
	assert_true(whole > 1000);
}

static void test_pack(void **state)
{
	char text[20000];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t n = 0; n < sizeof(text); n = n < 300 ? n + 1 : n + 997) {
		Netwatch__Hello hello = NETWATCH__HELLO__INIT;
		Netwatch__Request request = NETWATCH__REQUEST__INIT, *back;
		size_t size = 0, length = 0;
		const uint8_t *body = NULL;
		uint8_t *frame = NULL;

		text[n] = '\0';
		hello.program = text;
		request.request_case = NETWATCH__REQUEST__REQUEST_HELLO;
		request.hello = &hello;
		assert_int_equal(frame_pack(&request.base, &frame, &size), 0);
		assert_int_equal(frame_get(frame, size, size, &body, &length), size);
		back = netwatch__request__unpack(NULL, length, body);
		assert_non_null(back);
		assert_int_equal(back->request_case, NETWATCH__REQUEST__REQUEST_HELLO);
		assert_string_equal(back->hello->program, text);
		netwatch__request__free_unpacked(back, NULL);
		free(frame);
		text[n] = 'x';
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefix_boundaries),
		cmocka_unit_test(test_split_at_every_byte),
		cmocka_unit_test(test_joined),
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_too_long_is_judged_at_once),
		cmocka_unit_test(test_beyond_32_bits),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_pack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
