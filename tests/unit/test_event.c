// SPDX-License-Identifier: GPL-2.0-only
/* Whole events: the collector's frames are byte-identical with protobuf-c's of the same. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "collector/event.h"
#include "common/kernel_side.h"
#include "common/escape.h"
#include "common/frame.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "rng.h"

#define NS_PER_S 1000000000ULL
#define EVENTS	 100000

/* A record of any stage. */
union record {
	struct nw_record head;
	struct nw_conn_record conn;
	struct nw_conn_end_record end;
};

static size_t record_size(const union record *r)
{
	return r->conn.stage == NW_CONN_CLOSE || r->conn.stage == NW_CONN_FAILED ? sizeof(r->end)
										 : sizeof(r->conn);
}

/* A netwatch.Reply with an event, and room for what it points to. */
struct expected {
	Netwatch__Reply reply;
	Netwatch__Event event;
	Netwatch__Connection connection;
	Netwatch__Conn conn;
	Google__Protobuf__Timestamp time;
	char laddr[INET6_ADDRSTRLEN], raddr[INET6_ADDRSTRLEN];
	char comm[NW_COMM_SIZE * ESCAPE_MAX + 1];
	char sock[32];
};

#define SET(message, field, value) ((message)->has_##field = 1, (message)->field = (value))

static void expect_connection(struct expected *e, const struct nw_connection *c, bool with_address)
{
	Netwatch__Connection *m = &e->connection;
	int family = c->family == 6 ? AF_INET6 : AF_INET;

	netwatch__connection__init(m);
	if (c->cookie)
		SET(m, id, c->cookie);
	m->laddr = (char *)(uintptr_t)inet_ntop(family, c->laddr, e->laddr, sizeof(e->laddr));
	if (c->lport)
		SET(m, lport, c->lport);
	if (c->rport) {
		m->raddr =
			(char *)(uintptr_t)inet_ntop(family, c->raddr, e->raddr, sizeof(e->raddr));
		SET(m, rport, c->rport);
	}
	if (c->role)
		SET(m, role, (Netwatch__Role)c->role);
	if (c->owner) {
		SET(m, pid, c->pid);
		escape_bytes(e->comm, sizeof(e->comm), c->comm, strnlen(c->comm, NW_COMM_SIZE));
		m->comm = e->comm;
	}
	if (c->cookie)
		SET(m, uid, c->uid);
	SET(m, netns, c->netns);
	if (c->cgroup)
		SET(m, cgroup_id, c->cgroup);
	if (with_address) {
		snprintf(e->sock, sizeof(e->sock), "%#llx", c->sock);
		m->sock = e->sock;
	}
}

static void expect_conn(struct expected *e, const union record *r)
{
	Netwatch__Conn *m = &e->conn;

	netwatch__conn__init(m);
	SET(m, event, (Netwatch__Conn__Stage)r->conn.stage);
	SET(m, state, (Netwatch__Tcp__State)r->head.connection.state);
	if (r->conn.handshake_us)
		SET(m, handshake_us, r->conn.handshake_us);
	if (r->conn.stage == NW_CONN_FAILED && r->end.error)
		m->error = (char *)(uintptr_t)strerrorname_np((int)r->end.error);
	if (r->conn.stage != NW_CONN_CLOSE)
		return;
	if (r->end.closed_by)
		SET(m, closed_by, (Netwatch__Conn__Closer)r->end.closed_by);
	if (r->end.duration_us)
		SET(m, duration_us, r->end.duration_us);
	SET(m, bytes_received, r->end.bytes_received);
	SET(m, bytes_acked, r->end.bytes_acked);
	SET(m, segs_in, r->end.segs_in);
	SET(m, segs_out, r->end.segs_out);
	SET(m, total_retransmits, r->end.total_retransmits);
}

static void expect(struct expected *e, const union record *r, int64_t offset, bool with_address)
{
	uint64_t unix_ns = r->head.time_ns + (uint64_t)offset;

	netwatch__reply__init(&e->reply);
	netwatch__event__init(&e->event);
	google__protobuf__timestamp__init(&e->time);
	e->time.seconds = (int64_t)(unix_ns / NS_PER_S);
	e->time.nanos = (int32_t)(unix_ns % NS_PER_S);
	e->event.time = &e->time;
	e->event.connection = &e->connection;
	e->event.conn = &e->conn;
	e->reply.reply_case = NETWATCH__REPLY__REPLY_EVENT;
	e->reply.event = &e->event;
	expect_connection(e, &r->head.connection, with_address);
	expect_conn(e, r);
}

static void check_frame(const struct event_frame *frame, const Netwatch__Reply *reply)
{
	uint8_t *packed;
	size_t size;

	assert_int_equal(frame_pack(&reply->base, &packed, &size), 0);
	assert_int_equal(frame->size, size);
	assert_memory_equal(frame->data, packed, size);
	assert_true(frame->data >= frame->buffer &&
		    frame->data + size <= frame->buffer + sizeof(frame->buffer));
	free(packed);
}

static void random_address(struct rng *rng, uint8_t family, uint8_t *address)
{
	memset(address, 0, 16);
	if (family == 4 || rng_one_in(rng, 4))
		rng_fill(rng, address, 4);
	else
		rng_fill(rng, address, 16);
	if (rng_one_in(rng, 4))
		memset(address + rng_below(rng, 4), 0, 3);
}

static void random_connection(struct rng *rng, struct nw_connection *c)
{
	size_t length = rng_below(rng, NW_COMM_SIZE + 1);

	memset(c, 0, sizeof(*c));
	c->cookie = rng_any_length(rng, 64);
	c->sock = rng_any_length(rng, 64) | 1;
	c->cgroup = rng_any_length(rng, 64);
	c->netns = (uint32_t)rng_any_length(rng, 32);
	c->uid = (uint32_t)rng_any_length(rng, 32);
	c->pid = (uint32_t)rng_any_length(rng, 32);
	c->lport = (uint16_t)rng_any_length(rng, 16);
	c->rport = (uint16_t)rng_any_length(rng, 16);
	c->family = rng_one_in(rng, 2) ? 4 : 6;
	random_address(rng, c->family, c->laddr);
	random_address(rng, c->family, c->raddr);
	if (rng_one_in(rng, 3))
		rng_fill(rng, c->comm, length);
	else
		memset(c->comm, 'a' + (int)rng_below(rng, 26), length);
	c->role = (uint8_t)rng_below(rng, NW_ROLES);
	c->owner = (uint8_t)rng_below(rng, NW_OWNER_USED_SOCKET + 1);
	c->state = (uint8_t)(1 + rng_below(rng, 12));
}

static void random_record(struct rng *rng, union record *r)
{
	memset(r, 0, sizeof(*r));
	random_connection(rng, &r->head.connection);
	r->head.receivers = rng_next(rng);
	r->head.time_ns = rng_any_length(rng, 60);
	r->head.connection.category = NW_CATEGORY_CONN;
	r->conn.stage = 1 + rng_below(rng, NW_CONN_CLOSE);
	r->conn.handshake_us = (uint32_t)rng_any_length(rng, 32);
	if (r->conn.stage == NW_CONN_FAILED)
		r->end.error = rng_below(rng, 140);
	if (r->conn.stage != NW_CONN_CLOSE)
		return;
	r->end.duration_us = rng_any_length(rng, 64);
	r->end.bytes_received = rng_any_length(rng, 64);
	r->end.bytes_acked = rng_any_length(rng, 64);
	r->end.segs_in = (uint32_t)rng_any_length(rng, 32);
	r->end.segs_out = (uint32_t)rng_any_length(rng, 32);
	r->end.total_retransmits = (uint32_t)rng_any_length(rng, 32);
	r->end.closed_by = rng_below(rng, NW_CLOSED_TIMEOUT + 1);
}

static void test_same_as_protobuf_c(void **state)
{
	struct rng rng = rng_new();
	unsigned stages[NW_CONN_CLOSE + 1] = {0}, sizes[4] = {0};

	(void)state;
	for (int i = 0; i < EVENTS; i++) {
		int64_t offset = (int64_t)rng_any_length(&rng, 60);
		bool with_address = rng_one_in(&rng, 4);
		struct event_frame frame;
		struct expected e;
		union record r;

		random_record(&rng, &r);
		assert_int_equal(event_from_record(&frame, &r.head, record_size(&r), offset,
						   with_address),
				 0);
		expect(&e, &r, offset, with_address);
		check_frame(&frame, &e.reply);
		stages[r.conn.stage]++;
		/* which of the nested lengths need a second byte */
		sizes[(netwatch__connection__get_packed_size(&e.connection) > 127) +
		      2 * (netwatch__event__get_packed_size(&e.event) > 127)]++;
	}
	for (int stage = NW_CONN_EXISTING; stage <= NW_CONN_CLOSE; stage++)
		assert_true(stages[stage] > EVENTS / 10);
	assert_true(sizes[0] > EVENTS / 100 && sizes[2] > EVENTS / 100 && sizes[3] > EVENTS / 100);
}

/* What was encoded before is used again only for the same connection, in every byte. */
static void test_connection_again(void **state)
{
	struct rng rng = rng_new();

	(void)state;
	for (int i = 0; i < EVENTS / 100; i++) {
		bool with_address = rng_one_in(&rng, 2);
		struct event_frame frame;
		union record first, r;

		random_record(&rng, &first);
		first.head.connection.owner = NW_OWNER_USED_SOCKET;
		first.head.connection.sock |= 1 << 20; /* never 0 */
		for (size_t byte = 0; byte < 2 * offsetof(struct nw_connection, family); byte++) {
			struct expected e;

			r = first;
			if (byte % 2)
				((uint8_t *)&r.head.connection)[byte / 2] ^= 1;
			assert_int_equal(event_from_record(&frame, &r.head, record_size(&r), 0,
							   with_address),
					 0);
			expect(&e, &r, 0, with_address);
			check_frame(&frame, &e.reply);
		}
	}
}

static void test_clock_before_1970(void **state)
{
	struct event_frame frame;
	struct expected e;
	union record r = {.conn = {.head = {.time_ns = 5 * NS_PER_S}, .stage = NW_CONN_OPEN}};

	(void)state;
	r.head.connection.family = 4;
	for (int64_t offset = -5 * (int64_t)NS_PER_S; offset < 3; offset += NS_PER_S / 2) {
		assert_int_equal(event_from_record(&frame, &r.head, sizeof(r.conn), offset, false),
				 0);
		expect(&e, &r, offset, false);
		check_frame(&frame, &e.reply);
	}
}

/* The frame's event as any library would read it. */
static Netwatch__Reply *unpack(const struct event_frame *frame)
{
	const uint8_t *body;
	size_t length;
	Netwatch__Reply *reply;

	assert_int_equal(frame_get(frame->data, frame->size, FRAME_REPLY_MAX, &body, &length),
			 frame->size);
	reply = netwatch__reply__unpack(NULL, length, body);
	assert_non_null(reply);
	assert_non_null(reply->event);
	return reply;
}

static void test_hostile_comm(void **state)
{
	static const struct {
		const char comm[NW_COMM_SIZE + 1];
		const char *text;
	} cases[] = {
		{"curl", "curl"},
		{"", ""},
		{"sixteen-bytes-ab", "sixteen-bytes-ab"}, /* not terminated */
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		 "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff"
		 "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff"},
		{"cut at end \xe2\x82\xac\xe2\x82", "cut at end \xe2\x82\xac\\xe2\\x82"},
		{"\x1b[2J\n\"", "\x1b[2J\n\""}, /* UTF-8; the client's to escape */
	};
	struct event_frame frame;
	union record r = {.conn = {.stage = NW_CONN_OPEN}};

	(void)state;
	r.head.connection.family = 4;
	r.head.connection.owner = NW_OWNER_USED_SOCKET;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		Netwatch__Reply *reply;

		memcpy(r.head.connection.comm, cases[i].comm, NW_COMM_SIZE);
		assert_int_equal(event_from_record(&frame, &r.head, sizeof(r.conn), 0, false), 0);
		reply = unpack(&frame);
		assert_string_equal(reply->event->connection->comm, cases[i].text);
		netwatch__reply__free_unpacked(reply, NULL);
	}
}

static void test_absent(void **state)
{
	union record r = {.end = {.conn = {.stage = NW_CONN_FAILED}, .error = 9999}};
	struct event_frame frame;
	Netwatch__Reply *reply;

	(void)state;
	r.head.connection.family = 6;
	memcpy(r.head.connection.comm, "stale", 6);
	r.head.connection.pid = 4711;
	r.head.connection.cookie = 1;
	assert_int_equal(event_from_record(&frame, &r.head, sizeof(r.end), 0, false), 0);
	reply = unpack(&frame);
	assert_false(reply->event->connection->has_pid);
	assert_null(reply->event->connection->comm);
	assert_null(reply->event->connection->raddr);
	assert_null(reply->event->connection->sock);
	assert_false(reply->event->connection->has_role);
	assert_false(reply->event->connection->has_cgroup_id);
	assert_true(reply->event->connection->has_uid); /* root's is zero */
	assert_null(reply->event->conn->error);
	netwatch__reply__free_unpacked(reply, NULL);
}

static void test_names_of_errors(void **state)
{
	static const struct {
		uint32_t number;
		const char *name;
	} cases[] = {{111, "ECONNREFUSED"}, {110, "ETIMEDOUT"}, {113, "EHOSTUNREACH"}};
	union record r = {.conn = {.stage = NW_CONN_FAILED}};
	struct event_frame frame;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		Netwatch__Reply *reply;

		r.end.error = cases[i].number;
		assert_int_equal(event_from_record(&frame, &r.head, sizeof(r.end), 0, false), 0);
		reply = unpack(&frame);
		assert_string_equal(reply->event->conn->error, cases[i].name);
		netwatch__reply__free_unpacked(reply, NULL);
	}
}

static void test_short_or_unknown_is_refused(void **state)
{
	struct rng rng = rng_new();
	struct event_frame frame;
	union record r;

	(void)state;
	for (int i = 0; i < 50; i++) {
		random_record(&rng, &r);
		for (size_t size = 0; size < record_size(&r); size++) {
			struct nw_record *copy = malloc(size);

			assert_true(copy || !size);
			if (size)
				memcpy(copy, &r, size);
			assert_int_equal(event_from_record(&frame, copy, size, 0, true), -EBADMSG);
			free(copy);
		}
		r.head.connection.category =
			i ? (uint32_t)rng_next(&rng) | NW_CATEGORIES : NW_CATEGORIES;
		assert_int_equal(event_from_record(&frame, &r.head, sizeof(r), 0, true), -EBADMSG);
	}
}

static void test_lost(void **state)
{
	struct rng rng = rng_new();

	(void)state;
	for (int i = 0; i < 20000; i++) {
		Google__Protobuf__Timestamp t[2];
		uint64_t ns[2] = {rng_any_length(&rng, 64), rng_any_length(&rng, 64)};
		Netwatch__Reply reply = NETWATCH__REPLY__INIT;
		Netwatch__Event event = NETWATCH__EVENT__INIT;
		Netwatch__Lost lost = NETWATCH__LOST__INIT;
		struct event_frame frame;

		SET(&lost, cause, (Netwatch__Lost__Cause)(1 + rng_below(&rng, 3)));
		lost.count = rng_one_in(&rng, 10) ? 0 : rng_any_length(&rng, 64);
		lost.has_count = lost.count != 0; /* 0: unknown */
		for (int k = 0; k < 2; k++) {
			google__protobuf__timestamp__init(&t[k]);
			t[k].seconds = (int64_t)(ns[k] / NS_PER_S);
			t[k].nanos = (int32_t)(ns[k] % NS_PER_S);
		}
		lost.first = &t[0];
		lost.last = &t[1];
		event.lost = &lost;
		reply.reply_case = NETWATCH__REPLY__REPLY_EVENT;
		reply.event = &event;
		event_lost(&frame, lost.cause, lost.count, ns[0], ns[1]);
		check_frame(&frame, &reply);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_as_protobuf_c),
		cmocka_unit_test(test_connection_again),
		cmocka_unit_test(test_clock_before_1970),
		cmocka_unit_test(test_hostile_comm),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_names_of_errors),
		cmocka_unit_test(test_short_or_unknown_is_refused),
		cmocka_unit_test(test_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
