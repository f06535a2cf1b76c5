// SPDX-License-Identifier: GPL-2.0-only
/* A client that does not read: its queue, its gap, and the end after a minute of that. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "collector/event.h"
#include "collector/peer.h"
#include "collector/server.h"
#include "collector/subscription.h"
#include "common/frame.h"

#define QUEUE_MAX (256 * 1024)
#define EVENTS	  100 /* of a block */

static struct {
	struct server server;
	struct peer *peer;
	int client;	 /* the other side */
	uint64_t handed; /* events */
	/* what the client read */
	uint8_t *data;
	size_t used;
	uint64_t events, gaps, lost;
	bool subscribed, ended; /* `ended`: end of file */
	Netwatch__Bye__Reason reason;
	Netwatch__Totals totals;
} t;

static int begin(void **state)
{
	const struct scope_peer who = {.uid = 1000, .pid = 1};
	int fds[2];

	(void)state;
	memset(&t, 0, sizeof(t));
	t.server.base = event_base_new();
	t.server.queue_max = QUEUE_MAX;
	if (!t.server.base || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) ||
	    server_start(&t.server, fds[1]) || peer_new(&t.server, fds[0], &who))
		return -1;
	event_del(t.server.listener);
	t.client = fds[1];
	t.peer = TAILQ_FIRST(&t.server.peers);
	t.peer->state = PEER_SUBSCRIBED;
	evtimer_del(t.peer->deadline);
	t.peer->reader.ops->live(&t.peer->reader);
	return 0;
}

static int end(void **state)
{
	(void)state;
	server_free(&t.server);
	event_base_free(t.server.base);
	free(t.data);
	return close(t.client);
}

static void turn(void)
{
	event_base_loop(t.server.base, EVLOOP_NONBLOCK);
}

/* A timer's time has come. */
static void fire(struct event *timer)
{
	assert_true(evtimer_pending(timer, NULL));
	evtimer_del(timer);
	event_active(timer, EV_TIMEOUT, 0);
	turn();
}

static long seconds_left(const struct event *timer)
{
	struct timeval at, now;

	if (!evtimer_pending(timer, &at))
		return -1;
	gettimeofday(&now, NULL);
	return (long)(at.tv_sec - now.tv_sec);
}

static void hand_on_a_block(void)
{
	struct reader *reader = &t.peer->reader;
	struct block *block = calloc(1, sizeof(*block));
	struct event_frame frame;

	assert_non_null(block);
	event_lost(&frame, NETWATCH__LOST__CAUSE__RESTART, 1, 1, 2); /* any frame will do */
	block->references = 1;
	for (; block->events < EVENTS; block->events++) {
		memcpy(block->data + block->used, frame.data, frame.size);
		block->used += frame.size;
	}
	t.handed += EVENTS;
	reader->matched_base += EVENTS; /* of a reader without slot: what matched */
	reader->ops->block(reader, block);
	block_unref(block);
}

static void fill_queue(void)
{
	while (!t.peer->gapped)
		hand_on_a_block();
	hand_on_a_block(); /* into the gap */
	turn();
}

static void handle_event(const Netwatch__Event *event)
{
	assert_non_null(event->lost);
	if (event->lost->cause == NETWATCH__LOST__CAUSE__RESTART) {
		t.events++;
		return;
	}
	assert_int_equal(event->lost->cause, NETWATCH__LOST__CAUSE__SUBSCRIBER_QUEUE);
	t.gaps++;
	t.lost += event->lost->count;
}

static void handle_frame(const uint8_t *body, size_t length)
{
	Netwatch__Reply *reply = netwatch__reply__unpack(NULL, length, body);

	assert_non_null(reply);
	t.subscribed |= reply->reply_case == NETWATCH__REPLY__REPLY_SUBSCRIBED;
	if (reply->reply_case == NETWATCH__REPLY__REPLY_EVENT)
		handle_event(reply->event);
	if (reply->reply_case == NETWATCH__REPLY__REPLY_BYE) {
		t.reason = reply->bye->reason;
		t.totals = *reply->bye->totals;
	}
	netwatch__reply__free_unpacked(reply, NULL);
}

/* All there is, with turns of the collector between the reads. */
static void client_reads(size_t most)
{
	const uint8_t *body;
	size_t length, at = 0;
	ssize_t n;

	t.data = realloc(t.data, t.used + most);
	assert_non_null(t.data);
	for (size_t got = 0; got < most && !t.ended; got += (size_t)n) {
		n = read(t.client, t.data + t.used, most - got);
		if (n < 0 && errno == EAGAIN)
			break;
		assert_true(n >= 0);
		t.ended = n == 0;
		t.used += (size_t)n;
		turn();
	}
	while ((n = frame_get(t.data + at, t.used - at, FRAME_REPLY_MAX, &body, &length)) > 0) {
		handle_frame(body, length);
		at += (size_t)n;
	}
	assert_int_equal(n, 0);
	t.used -= at;
	memmove(t.data, t.data + at, t.used);
}

#define EVERYTHING (4 * QUEUE_MAX)

/* As long as there is room nobody is slow. */
static void test_not_full(void **state)
{
	(void)state;
	while (evbuffer_get_length(t.peer->out) < QUEUE_MAX / 2)
		hand_on_a_block();
	turn();
	assert_int_equal(seconds_left(t.peer->slow), -1);
	client_reads(EVERYTHING);
	assert_true(t.subscribed);
	assert_int_equal(t.events, t.handed);
	assert_int_equal(t.gaps, 0);
}

/* A full queue; then everything is read: one gap, told at half, and the timer is off. */
static void test_reads_again(void **state)
{
	(void)state;
	fill_queue();
	assert_true(evbuffer_get_length(t.peer->out) <= QUEUE_MAX);
	assert_in_range(seconds_left(t.peer->slow), PEER_SLOW_S - 2, PEER_SLOW_S + 2);
	client_reads(EVERYTHING);
	assert_int_equal(seconds_left(t.peer->slow), -1);
	assert_int_equal(t.gaps, 1);
	assert_int_equal(t.events + t.lost, t.handed);
	assert_int_equal(t.lost, t.peer->reader.lost_queue);
	hand_on_a_block();
	client_reads(EVERYTHING);
	assert_int_equal(t.gaps, 1);
	assert_int_equal(t.events + t.lost, t.handed);
}

/* Whoever reads has the time again, also too little for the socket to be writable. */
static void test_reads_a_little(void **state)
{
	size_t queued;

	(void)state;
	fill_queue();
	queued = evbuffer_get_length(t.peer->out);
	for (int i = 0; i < 3; i++) {
		client_reads(QUEUE_MAX / 16);
		assert_int_equal(evbuffer_get_length(t.peer->out), queued);
		fire(t.peer->slow);
		assert_int_equal(t.peer->state, PEER_SUBSCRIBED);
		assert_in_range(seconds_left(t.peer->slow), PEER_SLOW_S - 2, PEER_SLOW_S + 2);
	}
	fire(t.peer->slow);
	assert_int_equal(t.peer->state, PEER_ENDING);
	client_reads(QUEUE_MAX / 16);
	fire(t.peer->deadline);
	assert_in_range(seconds_left(t.peer->deadline), PEER_SLOW_S - 2, PEER_SLOW_S + 2);
	client_reads(EVERYTHING);
	assert_int_equal(t.reason, NETWATCH__BYE__REASON__SLOW_READER);
}

/* Nothing for a minute: told and closed, and who reads then gets all of it with the account. */
static void test_told(void **state)
{
	(void)state;
	fill_queue();
	fire(t.peer->slow);
	assert_int_equal(t.peer->state, PEER_ENDING);
	client_reads(EVERYTHING);
	assert_int_equal(t.reason, NETWATCH__BYE__REASON__SLOW_READER);
	assert_int_equal(t.gaps, 1);
	assert_int_equal(t.totals.matched, t.handed);
	assert_int_equal(t.totals.delivered, t.events);
	assert_int_equal(t.totals.lost_queue, t.lost);
	assert_int_equal(t.events + t.lost, t.handed);
	turn();
	client_reads(1);
	assert_true(t.ended);
	assert_true(TAILQ_EMPTY(&t.server.peers));
	assert_int_equal(t.server.ended[NETWATCH__BYE__REASON__SLOW_READER], 1);
}

/* Who does not read that either is closed all the same. */
static void test_closed(void **state)
{
	(void)state;
	fill_queue();
	fire(t.peer->slow);
	assert_in_range(seconds_left(t.peer->deadline), 0, PEER_DEADLINE_S + 2);
	fire(t.peer->deadline);
	assert_true(TAILQ_EMPTY(&t.server.peers));
	assert_int_equal(t.server.ended[NETWATCH__BYE__REASON__SLOW_READER], 1);
	client_reads(EVERYTHING);
	assert_true(t.ended);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_not_full), TEST(test_reads_again), TEST(test_reads_a_little),
		TEST(test_told),     TEST(test_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
