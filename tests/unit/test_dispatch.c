// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the ring to readers: each gets the events with its slot's bit that were reserved
 * between its marks, and their losses, to the last one, whatever the ring's state.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "cmocka_all.h"
#include "collector/dispatch.h"
#include "common/filter.h"
#include "common/kernel_side.h"
#include "collector/ring.h"
#include "collector/stream.h"
#include "common/frame.h"
#include "fake_ring.h"
#include "netwatch.pb-c.h"
#include "rng.h"

#define SLOTS	4 /* of NW_SLOTS */
#define READERS 12
#define TURNS	3000

static struct {
	struct fake_ring kernel;
	struct nw_shared *shared;
	int wakeup; /* as the map's file descriptor */
	struct event_base *base;
	struct ring *ring;
	struct dispatch *dispatch;
	struct stream streams[SLOTS];
	uint64_t happened[SLOTS]; /* events, delivered or lost */
	uint64_t cookie;	  /* of the last event */
	uint64_t losses;
} t;

struct fake {
	struct reader reader;
	unsigned slot;
	enum { AWAY, JOINING, READING, LEAVING } state;
	uint64_t begin, end; /* of t.happened */
	uint64_t last_cookie;
};

static struct fake fakes[READERS];
static unsigned long left_readers;
static const struct filter any_filter;

static int begin(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	memset(fakes, 0, sizeof(fakes));
	t.shared = aligned_alloc(64, (sizeof(*t.shared) + 63) & ~(size_t)63);
	t.base = event_base_new();
	t.wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!t.shared || !t.base || t.wakeup < 0 || fake_ring_init(&t.kernel))
		return -1;
	memset(t.shared, 0, sizeof(*t.shared));
	t.ring = ring_new(t.kernel.fd, FAKE_RING_SIZE);
	t.dispatch = t.ring ? dispatch_new(t.base, t.ring, t.wakeup, t.shared) : NULL;
	if (!t.dispatch)
		return -1;
	for (unsigned i = 0; i < SLOTS; i++) {
		t.shared->lost[i][i] = 1000 * i; /* of the slot's life before */
		stream_init(&t.streams[i]);
		dispatch_open(t.dispatch, i, &t.streams[i], &any_filter);
	}
	dispatch_start(t.dispatch);
	return 0;
}

static int end(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SLOTS; i++) {
		dispatch_close(t.dispatch, i);
		stream_deinit(&t.streams[i]);
	}
	dispatch_free(t.dispatch);
	ring_free(t.ring);
	event_base_free(t.base);
	close(t.wakeup);
	free(t.shared);
	return fake_ring_deinit(&t.kernel);
}

/* --------------------------------------------- the kernel side, as emit.bpf.h */

static void count_loss(uint64_t receivers, unsigned stripe)
{
	for (unsigned slot = 0; slot < NW_SLOTS; slot++)
		t.shared->lost[stripe][slot] += receivers >> slot & 1;
	t.shared->lost_any++;
	t.losses++;
}

static long happen(uint64_t receivers, unsigned stripe)
{
	long position = fake_ring_reserve(&t.kernel, sizeof(struct nw_conn_record));

	for (unsigned slot = 0; slot < SLOTS; slot++)
		t.happened[slot] += receivers >> slot & 1;
	t.cookie++;
	if (position < 0)
		count_loss(receivers, stripe);
	return position;
}

static void submit(long position, uint64_t receivers, uint64_t cookie)
{
	struct nw_conn_record r = {.head = {.receivers = receivers, .connection = {.family = 4}},
				   .stage = NW_CONN_OPEN};
	uint64_t one = 1;

	r.head.connection.cookie = cookie;
	fake_ring_submit(&t.kernel, position, &r, sizeof(r), 0);
	if (!t.shared->armed)
		return;
	t.shared->armed = 0;
	assert_int_equal(write(t.wakeup, &one, sizeof(one)), sizeof(one));
}

/* -------------------------------------------------------------- the readers */

static struct fake *fake_of(struct reader *reader)
{
	return (struct fake *)((char *)reader - offsetof(struct fake, reader));
}

/* Events come in the order in which they were reserved, none twice. */
static void on_block(struct reader *reader, struct block *block)
{
	struct fake *fake = fake_of(reader);
	const uint8_t *body;
	size_t length;

	for (size_t at = 0; at < block->used;) {
		ssize_t n = frame_get(block->data + at, block->used - at, FRAME_REPLY_MAX, &body,
				      &length);
		Netwatch__Reply *reply = netwatch__reply__unpack(NULL, length, body);

		assert_true(n > 0 && reply && reply->event && reply->event->conn);
		assert_true(reply->event->connection->id > fake->last_cookie);
		fake->last_cookie = reply->event->connection->id;
		reader->delivered++;
		at += (size_t)n;
		netwatch__reply__free_unpacked(reply, NULL);
	}
}

static void on_lost(struct reader *reader, uint64_t count, uint64_t first_ns, uint64_t last_ns)
{
	(void)reader;
	assert_true(count && first_ns <= last_ns);
}

static const struct reader_ops ops = {.block = on_block, .lost = on_lost};

static void on_join(void *arg)
{
	struct fake *fake = arg;

	stream_join(&t.streams[fake->slot], &fake->reader);
	fake->state = READING;
}

static void on_leave(void *arg)
{
	struct fake *fake = arg;
	const struct reader *r = &fake->reader;

	stream_leave(&t.streams[fake->slot], &fake->reader);
	assert_int_equal(r->matched_base, r->delivered + r->lost_kernel);
	assert_int_equal(r->delivered + r->lost_kernel, fake->end - fake->begin);
	fake->state = AWAY;
	left_readers++;
}

static void change(struct rng *rng, struct fake *fake)
{
	if (fake->state == AWAY) {
		*fake = (struct fake){.reader = {.ops = &ops}, .state = JOINING};
		fake->slot = rng_below(rng, SLOTS);
		fake->begin = t.happened[fake->slot];
		dispatch_set_mark(t.dispatch, &fake->reader.join, on_join, fake);
	} else if (fake->state == READING) {
		fake->state = LEAVING;
		fake->end = t.happened[fake->slot];
		dispatch_set_mark(t.dispatch, &fake->reader.leave, on_leave, fake);
	}
}

static void test_exact_accounts(void **state)
{
	struct rng rng = rng_new();

	(void)state;
	for (int turn = 0; turn < TURNS; turn++) {
		long waiting = -1; /* reserved and not yet submitted */
		uint64_t waiting_cookie = 0;

		for (uint32_t n = rng_below(&rng, 40); n; n--) {
			uint64_t receivers = rng_next(&rng) & rng_next(&rng);
			long position = happen(receivers, rng_below(&rng, NW_LOSS_STRIPES));

			if (position >= 0 && waiting < 0 && rng_one_in(&rng, 100)) {
				waiting = position;
				waiting_cookie = t.cookie;
				for (unsigned slot = 0; slot < SLOTS; slot++)
					t.happened[slot] += 1 - (receivers >> slot & 1);
			} else if (position >= 0) {
				submit(position, receivers, t.cookie);
			}
			if (rng_one_in(&rng, 20))
				change(&rng, &fakes[rng_below(&rng, READERS)]);
		}
		if (rng_one_in(&rng, 3))
			change(&rng, &fakes[rng_below(&rng, READERS)]);
		event_base_loop(t.base, EVLOOP_NONBLOCK);
		if (waiting >= 0)
			submit(waiting, (1 << SLOTS) - 1, waiting_cookie);
	}
	for (int i = 0; i < READERS; i++) {
		for (int tries = 0; tries < 50 && fakes[i].state != AWAY; tries++) {
			change(&rng, &fakes[i]);
			event_base_loop(t.base, EVLOOP_ONCE);
		}
		assert_int_equal(fakes[i].state, AWAY);
	}
	assert_true(left_readers > TURNS / 4 && t.losses > 1000);
	assert_int_equal(ring_position(t.ring), ring_end(t.ring));
}

static void test_unset_mark(void **state)
{
	(void)state;
	dispatch_set_mark(t.dispatch, &fakes[0].reader.join, on_join, &fakes[0]);
	dispatch_set_mark(t.dispatch, &fakes[1].reader.join, on_join, &fakes[1]);
	dispatch_unset_mark(t.dispatch, &fakes[0].reader.join);
	fakes[0].reader.ops = fakes[1].reader.ops = &ops;
	event_base_loop(t.base, EVLOOP_ONCE);
	assert_int_equal(fakes[0].state, AWAY);
	assert_int_equal(fakes[1].state, READING);
	stream_leave(&t.streams[0], &fakes[1].reader);
}

/* It sleeps armed, wakes at the first record, and stays silent when stopped. */
static void test_armed(void **state)
{
	(void)state;
	event_base_loop(t.base, EVLOOP_ONCE);
	assert_int_equal(t.shared->armed, 1);
	submit(happen(1, 0), 1, t.cookie);
	assert_int_equal(t.shared->armed, 0);
	event_base_loop(t.base, EVLOOP_NONBLOCK);
	assert_int_equal(ring_position(t.ring), ring_end(t.ring));
	event_base_loop(t.base, EVLOOP_ONCE);
	assert_int_equal(t.shared->armed, 1);
	dispatch_stop(t.dispatch);
	assert_int_equal(t.shared->armed, 0);
	assert_int_equal(event_base_loop(t.base, EVLOOP_ONCE), 1); /* nothing to wait for */
	dispatch_set_mark(t.dispatch, &fakes[0].reader.join, on_join,
			  &fakes[0]); /* marks are reached all the same */
	event_base_loop(t.base, EVLOOP_ONCE);
	assert_int_equal(fakes[0].state, READING);
	stream_leave(&t.streams[0], &fakes[0].reader);
}

/* A record that is never submitted holds up all that follow. */
static void test_serves(void **state)
{
	long stuck;

	(void)state;
	event_base_loop(t.base, EVLOOP_ONCE);
	assert_true(dispatch_serves(t.dispatch));
	submit(happen(1, 0), 1, t.cookie);
	assert_true(dispatch_serves(t.dispatch));
	event_base_loop(t.base, EVLOOP_ONCE);
	assert_true(dispatch_serves(t.dispatch));

	stuck = fake_ring_reserve(&t.kernel, 64);
	for (int i = 0; i < 2; i++) {
		event_base_loop(t.base, EVLOOP_ONCE);
		assert_int_equal(dispatch_serves(t.dispatch), !i);
	}
	dispatch_stop(t.dispatch); /* then nobody reads, and nobody has to */
	assert_true(dispatch_serves(t.dispatch));
	dispatch_start(t.dispatch);
	fake_ring_submit(&t.kernel, stuck, "", 0, 64 | BPF_RINGBUF_DISCARD_BIT);
	event_base_loop(t.base, EVLOOP_ONCE);
	assert_true(dispatch_serves(t.dispatch));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_exact_accounts),
		TEST(test_unset_mark),
		TEST(test_armed),
		TEST(test_serves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
