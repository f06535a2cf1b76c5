// SPDX-License-Identifier: GPL-2.0-only
/* Events of tcpinfo: which fields a record has, in which units, and what a list makes of a row. */
#include <string.h>

#include "cmocka_all.h"
#include "collector/category/tcpinfo.h"
#include "collector/event.h"
#include "common/kernel_side.h"
#include "netwatch.pb-c.h"

#include "bpf/tcpinfo.h"

#define SS_INFINITE 0x7fffffff

static const struct nw_counters counters = {
	.bytes_acked = 1ULL << 40,
	.bytes_received = 3,
	.duration_us = 4,
	.segs_in = 5,
	.segs_out = 6,
	.total_retransmits = 7,
	.fast_retransmits = 8,
	.timeout_retransmits = 9,
	.snd_cwnd = 10,
	.snd_ssthresh = 11,
	.snd_wnd = 12,
	.rcv_wnd = 13,
	.sndbuf = 14,
	.wmem_queued = 15,
	.srtt = 16 << 3,
	.mdev = 17 << 2,
	.min_rtt_us = 18,
	.rto = 51,
	.packets_out = 20,
	.bytes_inflight = 21,
	.ca_state = 4,
	.retransmits_known = 1,
};

/* The frame's event, and that protobuf-c writes the same bytes. */
static Netwatch__Reply *reply_of(const struct event_frame *frame)
{
	size_t prefix = 1 + (frame->data[0] >> 7), size = frame->size - prefix;
	Netwatch__Reply *reply = netwatch__reply__unpack(NULL, size, frame->data + prefix);
	uint8_t packed[EVENT_FRAME_MAX];

	assert_non_null(reply);
	assert_int_equal(reply->reply_case, NETWATCH__REPLY__REPLY_EVENT);
	assert_null(reply->base.unknown_fields);
	assert_int_equal(netwatch__reply__get_packed_size(reply), size);
	netwatch__reply__pack(reply, packed);
	assert_memory_equal(packed, frame->data + prefix, size);
	return reply;
}

static Netwatch__Reply *reply_of_record(const struct nw_tcpinfo_record *record)
{
	struct event_frame frame;

	assert_int_equal(event_from_record(&frame, &record->head, sizeof(*record), 0, false), 0);
	return reply_of(&frame);
}

static struct nw_tcpinfo_record record_of(uint8_t state)
{
	return (struct nw_tcpinfo_record){
		.head.connection = {.category = NW_CATEGORY_TCPINFO, .state = state, .family = 4},
		.counters = counters,
	};
}

#define CHECK(m, field, value)                      \
	do {                                        \
		assert_true((m)->has_##field);      \
		assert_true((m)->field == (value)); \
	} while (0)

static void test_every_field(void **state)
{
	struct nw_tcpinfo_record record = record_of(1);
	const Netwatch__TcpInfo *m;
	Netwatch__Reply *reply;

	(void)state;
	record.has_deltas = 1;
	record.bytes_acked_delta = 1ULL << 39;
	record.bytes_received_delta = 0;
	tcpinfo_set_jiffies(250, 1000000);
	reply = reply_of_record(&record);
	m = reply->event->tcpinfo;
	assert_non_null(m);
	assert_null(reply->event->conn);
	CHECK(m, state, NETWATCH__TCP__STATE__ESTABLISHED);
	CHECK(m, bytes_acked, 1ULL << 40);
	CHECK(m, bytes_received, 3);
	CHECK(m, bytes_acked_delta, 1ULL << 39);
	CHECK(m, bytes_received_delta, 0);
	CHECK(m, duration_us, 4);
	CHECK(m, segs_in, 5);
	CHECK(m, segs_out, 6);
	CHECK(m, total_retransmits, 7);
	CHECK(m, fast_retransmits, 8);
	CHECK(m, timeout_retransmits, 9);
	CHECK(m, snd_cwnd, 10);
	CHECK(m, snd_ssthresh, 11);
	CHECK(m, snd_wnd, 12);
	CHECK(m, rcv_wnd, 13);
	CHECK(m, sndbuf_bytes, 14);
	CHECK(m, wmem_queued_bytes, 15);
	CHECK(m, srtt_us, 16);
	CHECK(m, mdev_us, 17);
	CHECK(m, min_rtt_us, 18);
	CHECK(m, rto_us, 204000);
	CHECK(m, packets_out, 20);
	CHECK(m, bytes_inflight, 21);
	CHECK(m, congestion_state, NETWATCH__CA__STATE__LOSS);
	assert_false(m->has_backlog || m->has_max_backlog || m->has_drops);
	netwatch__reply__free_unpacked(reply, NULL);
}

static void test_what_is_not_known(void **state)
{
	struct nw_tcpinfo_record record = record_of(2);
	const Netwatch__TcpInfo *m;
	Netwatch__Reply *reply;

	(void)state;
	record.counters.duration_us = 0;
	record.counters.snd_ssthresh = SS_INFINITE;
	record.counters.srtt = 0;
	record.counters.min_rtt_us = UINT32_MAX;
	record.counters.retransmits_known = 0;
	tcpinfo_set_jiffies(0, 0);
	reply = reply_of_record(&record);
	m = reply->event->tcpinfo;
	assert_false(m->has_duration_us || m->has_snd_ssthresh || m->has_srtt_us || m->has_mdev_us);
	assert_false(m->has_min_rtt_us || m->has_rto_us || m->has_bytes_acked_delta);
	assert_false(m->has_bytes_received_delta || m->has_fast_retransmits);
	assert_false(m->has_timeout_retransmits);
	netwatch__reply__free_unpacked(reply, NULL);
}

/* A sample below 1 us is one. */
static void test_short_round_trip(void **state)
{
	struct nw_tcpinfo_record record = record_of(1);
	Netwatch__Reply *reply;

	(void)state;
	record.counters.srtt = 7;
	record.counters.mdev = 3;
	record.counters.min_rtt_us = 0;
	reply = reply_of_record(&record);
	CHECK(reply->event->tcpinfo, srtt_us, 0);
	CHECK(reply->event->tcpinfo, mdev_us, 0);
	CHECK(reply->event->tcpinfo, min_rtt_us, 0);
	netwatch__reply__free_unpacked(reply, NULL);
}

static void test_jiffies(void **state)
{
	static const struct {
		uint32_t jiffies, us, rto, rto_us;
	} rows[] = {
		{100, 1000000, 20, 200000},
		{300, 1000000, 61, 203333},
		{1000, 1000000, 204, 204000},
		{3000, 3000000, 120000, 120000000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct nw_tcpinfo_record record = record_of(1);
		Netwatch__Reply *reply;

		tcpinfo_set_jiffies(rows[i].jiffies, rows[i].us);
		record.counters.rto = rows[i].rto;
		reply = reply_of_record(&record);
		CHECK(reply->event->tcpinfo, rto_us, rows[i].rto_us);
		netwatch__reply__free_unpacked(reply, NULL);
	}
}

static void test_listener(void **state)
{
	struct nw_tcpinfo_record record = record_of(10);
	Netwatch__Reply *reply;
	const Netwatch__TcpInfo *m;

	(void)state;
	record.counters = (struct nw_counters){.listener = 1, .max_backlog = 4096, .drops = 5};
	reply = reply_of_record(&record);
	m = reply->event->tcpinfo;
	CHECK(m, state, NETWATCH__TCP__STATE__LISTEN);
	CHECK(m, backlog, 0);
	CHECK(m, max_backlog, 4096);
	CHECK(m, drops, 5);
	assert_false(m->has_bytes_acked || m->has_snd_cwnd || m->has_duration_us || m->has_rto_us);
	assert_false(m->has_congestion_state || m->has_sndbuf_bytes || m->has_segs_in);
	netwatch__reply__free_unpacked(reply, NULL);
}

static void test_row(void **state)
{
	const struct nw_row row = {.connection = {.state = 1, .family = 4, .cookie = 5}};
	struct event_frame frame;
	Netwatch__Reply *reply;

	(void)state;
	assert_int_equal(event_from_row(&frame, &row, &counters, false), 0);
	reply = reply_of(&frame);
	assert_int_equal(reply->event->connection->id, 5);
	CHECK(reply->event->conn, event, NETWATCH__CONN__STAGE__EXISTING);
	CHECK(reply->event->tcpinfo, snd_cwnd, 10);
	assert_false(reply->event->tcpinfo->has_bytes_acked_delta);
	netwatch__reply__free_unpacked(reply, NULL);

	assert_int_equal(event_from_row(&frame, &row, NULL, false), 0);
	reply = reply_of(&frame);
	assert_non_null(reply->event->conn);
	assert_null(reply->event->tcpinfo);
	netwatch__reply__free_unpacked(reply, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field),	 cmocka_unit_test(test_what_is_not_known),
		cmocka_unit_test(test_short_round_trip), cmocka_unit_test(test_jiffies),
		cmocka_unit_test(test_listener),	 cmocka_unit_test(test_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
