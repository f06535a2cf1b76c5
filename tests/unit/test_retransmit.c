// SPDX-License-Identifier: GPL-2.0-only
/* Records of categories retransmit and congestion as wire bytes: what is absent, and when. */
#include <string.h>

#include "cmocka_all.h"
#include "collector/category.h"
#include "common/kernel_side.h"
#include "collector/wire.h"
#include "netwatch.pb-c.h"

#include "bpf/congestion.h"
#include "bpf/retransmit.h"

static uint8_t buffer[256];

/* The bytes that the row writes; w.used is their number. */
static struct wire written(const char *name, const void *record, size_t size)
{
	struct wire w = {.data = buffer, .size = sizeof(buffer)};

	assert_true(category_find(name)->write(&w, record, size));
	assert_false(w.overflow);
	assert_false(category_find(name)->write(&w, record, size - 1));
	return w;
}

static Netwatch__Retransmit *retransmit(const struct nw_retransmit_record *r)
{
	struct wire w = written("retransmit", r, sizeof(*r));

	return netwatch__retransmit__unpack(NULL, w.used, w.data);
}

static Netwatch__Congestion *congestion(const struct nw_congestion_record *r)
{
	struct wire w = written("congestion", r, sizeof(*r));

	return netwatch__congestion__unpack(NULL, w.used, w.data);
}

static void test_counts_that_are_known(void **state)
{
	struct nw_retransmit_record r = {
		.head.connection.state = 1,
		.cause = NW_CAUSE_SLOW_START,
		.seq = 0xfffffff0,
		.length = 2896,
		.segments = 2,
		.known = NW_KNOWN_TOTAL | NW_KNOWN_BY_CAUSE,
		.total_retransmits = 9,
		.fast_retransmits = 0,
		.timeout_retransmits = 7,
	};
	Netwatch__Retransmit *m = retransmit(&r);

	(void)state;
	assert_int_equal(m->cause, NETWATCH__RETRANSMIT__CAUSE__SLOW_START);
	assert_int_equal(m->seq, 0xfffffff0);
	assert_int_equal(m->length, 2896);
	assert_int_equal(m->segments, 2);
	assert_int_equal(m->state, NETWATCH__TCP__STATE__ESTABLISHED);
	assert_true(m->has_fast_retransmits && m->fast_retransmits == 0);
	assert_int_equal(m->timeout_retransmits, 7);
	assert_int_equal(m->total_retransmits, 9);
	netwatch__retransmit__free_unpacked(m, NULL);
}

static void test_counts_that_are_not(void **state)
{
	struct nw_retransmit_record r = {
		.head.connection.state = 12,
		.cause = NW_CAUSE_SYN_ACK,
		.segments = 1,
		.fast_retransmits = 3,
		.timeout_retransmits = 4,
		.total_retransmits = 5,
	};
	Netwatch__Retransmit *m = retransmit(&r);

	(void)state;
	assert_true(m->has_length && m->length == 0);
	assert_false(m->has_segments);
	assert_false(m->has_fast_retransmits || m->has_timeout_retransmits);
	assert_false(m->has_total_retransmits);
	netwatch__retransmit__free_unpacked(m, NULL);
	r.known = NW_KNOWN_TOTAL;
	m = retransmit(&r);
	assert_false(m->has_fast_retransmits || m->has_timeout_retransmits);
	assert_int_equal(m->total_retransmits, 5);
	netwatch__retransmit__free_unpacked(m, NULL);
}

static void test_infinite_threshold(void **state)
{
	struct nw_congestion_record r = {.from = 0,
					 .to = 4,
					 .snd_cwnd = 1,
					 .snd_ssthresh = 0x7fffffff};
	Netwatch__Congestion *m = congestion(&r);

	(void)state;
	assert_int_equal(m->from, NETWATCH__CA__STATE__OPEN);
	assert_int_equal(m->to, NETWATCH__CA__STATE__LOSS);
	assert_int_equal(m->snd_cwnd, 1);
	assert_false(m->has_snd_ssthresh);
	assert_false(m->has_srtt_us || m->has_mdev_us); /* no sample yet */
	netwatch__congestion__free_unpacked(m, NULL);
	r.snd_ssthresh = 0x7ffffffe;
	r.srtt_us = 100;
	m = congestion(&r);
	assert_int_equal(m->snd_ssthresh, 0x7ffffffe);
	assert_int_equal(m->srtt_us, 100);
	assert_true(m->has_mdev_us && m->mdev_us == 0);
	netwatch__congestion__free_unpacked(m, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_that_are_known),
		cmocka_unit_test(test_counts_that_are_not),
		cmocka_unit_test(test_infinite_threshold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
