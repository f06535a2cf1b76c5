// SPDX-License-Identifier: GPL-2.0-only
/* The wire writer's parts, byte by byte against protobuf-c. Whole events: test_event.c. */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "collector/wire.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "netwatch.pb-c.h"
#include "rng.h"

#define NS_PER_S 1000000000ULL

static uint8_t buffer[4 << 20];

static struct wire wire_new(void)
{
	return (struct wire){.data = buffer, .size = sizeof(buffer)};
}

static void check_same(const struct wire *w, const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *packed = malloc(size ? size : 1);

	assert_non_null(packed);
	assert_false(w->overflow);
	protobuf_c_message_pack(message, packed);
	assert_int_equal(w->used, size);
	assert_memory_equal(w->data, packed, size);
	free(packed);
}

static void check_numbers(uint64_t value)
{
	Netwatch__Totals totals = NETWATCH__TOTALS__INIT;
	Netwatch__Connection connection = NETWATCH__CONNECTION__INIT;
	Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	struct wire w = wire_new();

	totals.has_matched = totals.has_duration_us = 1;
	totals.matched = totals.duration_us = value;
	wire_uint(&w, 1, value);
	wire_uint(&w, 6, value);
	check_same(&w, &totals.base);

	w = wire_new();
	connection.has_id = connection.has_lport = 1;
	connection.id = value;
	connection.lport = (uint32_t)value;
	wire_fixed64(&w, 1, value);
	wire_uint(&w, 3, (uint32_t)value);
	check_same(&w, &connection.base);

	if (!(uint32_t)value)
		return; /* proto3 leaves zeros out */
	w = wire_new();
	time.seconds = (int64_t)value;
	time.nanos = (int32_t)value;
	wire_int(&w, 1, (int64_t)value);
	wire_int(&w, 2, (int32_t)value);
	check_same(&w, &time.base);
}

static void test_numbers(void **state)
{
	struct rng rng = rng_new();

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		check_numbers((1ULL << bit) - 1);
		check_numbers(1ULL << bit);
		check_numbers((1ULL << bit) + 1);
	}
	check_numbers(UINT64_MAX);
	for (int i = 0; i < 20000; i++)
		check_numbers(rng_any_length(&rng, 64));
}

static void test_large_field_numbers(void **state)
{
	static const uint8_t expected[] = {0x78, 1, 0x80, 1, 1, 0xf8, 0x7f, 1, 0x80, 0x80, 1, 1};
	struct wire w = wire_new();

	(void)state;
	wire_uint(&w, 15, 1);
	wire_uint(&w, 16, 1);
	wire_uint(&w, 2047, 1);
	wire_uint(&w, 2048, 1);
	assert_int_equal(w.used, sizeof(expected));
	assert_memory_equal(w.data, expected, sizeof(expected));
}

static void check_strings(size_t length)
{
	Netwatch__Connection connection = NETWATCH__CONNECTION__INIT;
	Netwatch__Prefix prefix = NETWATCH__PREFIX__INIT;
	char *text = malloc(length + 1);
	struct wire w = wire_new();

	assert_non_null(text);
	memset(text, 'x', length);
	text[length] = '\0';
	connection.comm = text;
	wire_string(&w, 8, text);
	check_same(&w, &connection.base);
	w = wire_new();
	prefix.has_address = 1;
	prefix.address = (ProtobufCBinaryData){.len = length, .data = (uint8_t *)text};
	wire_bytes(&w, 1, text, length);
	check_same(&w, &prefix.base);
	free(text);
}

/* A message in a message in a message, whose innermost holds length bytes. */
static void check_nested(size_t length)
{
	Netwatch__Connection connection = NETWATCH__CONNECTION__INIT;
	Netwatch__Event event = NETWATCH__EVENT__INIT;
	Netwatch__Reply reply = NETWATCH__REPLY__INIT;
	char *text = malloc(length + 1);
	struct wire w = wire_new();
	size_t outer, inner;

	assert_non_null(text);
	memset(text, 'y', length);
	text[length] = '\0';
	connection.comm = text;
	connection.has_uid = 1;
	connection.uid = 1000;
	event.connection = &connection;
	reply.reply_case = NETWATCH__REPLY__REPLY_EVENT;
	reply.event = &event;
	outer = wire_begin(&w, 3);
	inner = wire_begin(&w, 2);
	wire_string(&w, 8, text);
	wire_uint(&w, 9, 1000);
	wire_end(&w, inner);
	wire_end(&w, outer);
	check_same(&w, &reply.base);
	free(text);
}

static void test_lengths(void **state)
{
	static const size_t around[] = {127, 128, 16383, 16384, 2097151, 2097152};

	(void)state;
	for (size_t length = 0; length < 300; length++) {
		check_strings(length);
		check_nested(length);
	}
	for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
		check_strings(around[i]);
		for (size_t less = 0; less < 16; less++)
			check_nested(around[i] - less);
	}
}

static void test_empty_message(void **state)
{
	Netwatch__Reply reply = NETWATCH__REPLY__INIT;
	Netwatch__Subscribed subscribed = NETWATCH__SUBSCRIBED__INIT;
	struct wire w = wire_new();

	(void)state;
	reply.reply_case = NETWATCH__REPLY__REPLY_SUBSCRIBED;
	reply.subscribed = &subscribed;
	wire_end(&w, wire_begin(&w, 2));
	check_same(&w, &reply.base);
}

static void check_timestamp(uint64_t unix_ns)
{
	Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Netwatch__Event event = NETWATCH__EVENT__INIT;
	struct wire w = wire_new();

	time.seconds = (int64_t)(unix_ns / NS_PER_S);
	time.nanos = (int32_t)(unix_ns % NS_PER_S);
	event.time = &time;
	wire_timestamp(&w, 1, unix_ns);
	check_same(&w, &event.base);
}

static void test_timestamps(void **state)
{
	static const uint64_t corners[] = {0,
					   1,
					   NS_PER_S - 1,
					   NS_PER_S,
					   NS_PER_S + 1,
					   1795345451ULL * NS_PER_S,
					   1795345451ULL * NS_PER_S + 93211045,
					   UINT64_MAX};
	struct rng rng = rng_new();

	(void)state;
	for (size_t i = 0; i < sizeof(corners) / sizeof(corners[0]); i++)
		check_timestamp(corners[i]);
	for (int i = 0; i < 20000; i++)
		check_timestamp(rng_any_length(&rng, 64));
}

static void write_all(struct wire *w)
{
	size_t begin = wire_begin(w, 1);
	char text[150];

	memset(text, 'z', sizeof(text));
	wire_uint(w, 1, 300);
	wire_fixed64(w, 2, ~0ULL);
	wire_timestamp(w, 3, NS_PER_S + 1);
	wire_bytes(w, 4, text, sizeof(text));
	wire_int(w, 5, -1);
	wire_end(w, begin);
}

/* Too small a buffer is told, and nothing is written beyond it (seen by a sanitizer). */
static void test_overflow(void **state)
{
	struct wire whole = wire_new();
	unsigned told = 0, fitted = 0;

	(void)state;
	write_all(&whole);
	assert_false(whole.overflow);
	for (size_t size = 0; size < whole.used + 20; size++) {
		struct wire w = {.data = malloc(size), .size = size};

		assert_true(w.data || !size);
		write_all(&w);
		assert_true(w.used <= size);
		assert_true(w.overflow || size >= whole.used);
		assert_false(w.overflow && size >= whole.used + 10);
		if (!w.overflow) {
			assert_int_equal(w.used, whole.used);
			assert_memory_equal(w.data, whole.data, w.used);
		}
		told += !!w.overflow;
		fitted += !w.overflow;
		free(w.data);
	}
	assert_true(told && fitted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),	   cmocka_unit_test(test_large_field_numbers),
		cmocka_unit_test(test_lengths),	   cmocka_unit_test(test_empty_message),
		cmocka_unit_test(test_timestamps), cmocka_unit_test(test_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
