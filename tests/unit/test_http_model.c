// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whole conversations as the kernel side would hand them over. Each message says its number, so
 * whatever is told can be judged: without losses all of it comes, each response with its request.
 * With losses (of 2 to 33 % of the pieces) what comes is true: a response whose request is not
 * certain has none. How many those are is bounded as well.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "collector/http/http.h"
#include "common/kernel_side.h"
#include "rng.h"

#define EXCHANGES 40
#define RUNS	  3000
#define CAPTURED  1024

/* What text in bodies looks like; must never be told. */
#define FALSE_REQUEST  "GET /false HTTP/1.1\r\nHost: h\r\n\r\n"
#define FALSE_RESPONSE "HTTP/1.1 299 false\r\nContent-Length: 0\r\n\r\n"

static struct rng rng;
static struct http *http;
static uint64_t now_us;
static unsigned loss; /* one piece in so many is lost; 0: none */
static bool texts;    /* bodies have text that looks like messages */
static struct {
	unsigned request, response, paired, wrong; /* wrong: of those paired, with another's */
} told[EXCHANGES];

/* What the kernel side knows of a direction. */
static struct side {
	uint32_t seq, acked;
	bool spoke, pipelined, in_head;
} sides[2];

/* One or more messages of a side. */
struct message {
	char text[1 << 18];
	size_t length;
};

static unsigned number(struct http_string s, const char *prefix)
{
	char text[16];
	unsigned n = 0;

	if (s.length >= sizeof(text))
		fail_msg("told: %.*s", (int)s.length, s.text);
	memcpy(text, s.text, s.length);
	text[s.length] = '\0';
	if (strncmp(text, prefix, strlen(prefix)) || sscanf(text + strlen(prefix), "%u", &n) != 1 ||
	    n >= EXCHANGES)
		fail_msg("told: %s", text);
	return n;
}

static void on_told(void *arg, const struct http_event *e)
{
	bool known = e->target.length == 5; /* else cut, and no number */
	unsigned n;

	(void)arg;
	assert_int_equal(e->malformed, HTTP_WELL_FORMED);
	if (e->kind == HTTP_REQUEST) {
		if (known)
			told[number(e->target, "/n")].request++;
		return;
	}
	if (!e->reason.length) /* cut as well */
		return;
	n = number(e->reason, "r");
	told[n].response++;
	if (!known)
		return;
	told[n].paired++;
	told[n].wrong += number(e->target, "/n") != n;
}

static void add(struct message *m, const char *text)
{
	memcpy(m->text + m->length, text, strlen(text));
	m->length += strlen(text);
}

/*
 * Bytes of a body, with text that looks like a message where a segment may begin. Not with losses:
 * when a head is lost, nobody can know that its body is none.
 */
static void add_data(struct message *m, size_t length, const char *text)
{
	size_t n = texts ? strlen(text) : length + 1;

	memset(m->text + m->length, 'x', length);
	for (size_t at = 0; at + n <= length; at += n + rng_below(&rng, 500))
		memcpy(m->text + m->length + at, text, n);
	m->length += length;
}

static void add_body(struct message *m, const char *text, bool none)
{
	size_t length = rng_below(&rng, rng_one_in(&rng, 2) ? 50 : 5000);
	char line[64];

	if (!rng_one_in(&rng, 3)) {
		snprintf(line, sizeof(line), "Content-Length: %zu\r\n\r\n", length);
		add(m, line);
		if (!none)
			add_data(m, length, text);
		return;
	}
	add(m, "Transfer-Encoding: chunked\r\n\r\n");
	for (uint32_t n = rng_below(&rng, 3); n > 0 && !none; n--) {
		snprintf(line, sizeof(line), "%zx\r\n", length + 1);
		add(m, line);
		add_data(m, length + 1, text);
		add(m, "\r\n");
	}
	if (!none)
		add(m, "0\r\n\r\n");
}

/* Returns whether it is a HEAD. */
static bool make_request(struct message *m, unsigned n)
{
	static const char *const methods[] = {"GET", "HEAD", "POST", "PUT"};
	unsigned method = rng_below(&rng, 4);

	m->length += (size_t)
		snprintf(m->text + m->length, sizeof(m->text) - m->length,
			 "%s /n%03u HTTP/1.1\r\nHost: h\r\nCookie: %.*s\r\n", methods[method], n,
			 (int)rng_below(&rng, 90),
			 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	if (method >= 2)
		add_body(m, FALSE_REQUEST, false);
	else
		add(m, "\r\n");
	return method == 1;
}

static void make_response(struct message *m, unsigned n, bool head)
{
	bool empty = rng_one_in(&rng, 6);

	m->length += (size_t)snprintf(m->text + m->length, sizeof(m->text) - m->length,
				      "HTTP/1.1 %u r%03u\r\n", empty ? 304 : 200, n);
	add_body(m, FALSE_RESPONSE, empty || head);
}

static void deliver(uint8_t direction, const char *text, size_t length, bool turn)
{
	struct side *side = &sides[direction];
	size_t captured = length < CAPTURED ? length : CAPTURED;
	char *copy = malloc(captured);
	struct http_piece p = {.cookie = 1,
			       .time_ns = ++now_us * 1000,
			       .data = copy,
			       .captured = (uint32_t)captured,
			       .length = (uint32_t)length,
			       .seq = side->seq,
			       .ack = sides[!direction].seq,
			       .start = !side->spoke,
			       .turn = turn,
			       .pipelined = side->pipelined,
			       .direction = direction,
			       .role = NW_ROLE_CLIENT};

	assert_non_null(copy);
	memcpy(copy, text, captured);
	http_take(http, &p);
	if (rng_one_in(&rng, 20))
		http_take(http, &p); /* sent again */
	free(copy);
}

/* Of a piece whose head began before it, or begins with it. */
static bool goes_on(const struct message *m, size_t at, size_t n, bool in_head)
{
	size_t from = in_head && at >= 3 ? at - 3 : at;
	const char *end = memmem(m->text + from, at + n - from, "\r\n\r\n", 4);
	size_t left = end ? (size_t)(m->text + at + n - end - 4) : 0;

	if (n > CAPTURED)
		return false;
	return !end || http_head_begins(end + 4, left) ||
	       (left && http_head_may_begin(end + 4, left));
}

/* As bpf/http.bpf.c takes a segment. */
static void send_segment(uint8_t direction, const struct message *m, size_t at, size_t n)
{
	struct side *side = &sides[direction];
	bool in_head = side->in_head, begins = http_head_begins(m->text + at, n);
	bool turn = !side->spoke || side->acked != sides[!direction].seq;

	side->in_head = false;
	if (!begins && !in_head) {
		; /* not wanted */
	} else if (loss && rng_one_in(&rng, loss)) {
		side->pipelined |= begins && !in_head && !turn;
	} else {
		deliver(direction, m->text + at, n, turn);
		side->in_head = goes_on(m, at, n, in_head);
	}
	side->acked = sides[!direction].seq;
	side->spoke = true;
	side->seq += (uint32_t)n;
}

static void send_message(uint8_t direction, struct message *m)
{
	for (size_t at = 0, n; at < m->length; at += n) {
		n = 1 + rng_below(&rng, rng_one_in(&rng, 3) ? 60 : 1500);
		if (!at && n < 20)
			n = 20; /* enough to see that it begins */
		n = n < m->length - at ? n : m->length - at;
		send_segment(direction, m, at, n);
	}
	m->length = 0;
}

static void begin(unsigned run)
{
	rng = rng_new();
	rng.state += run;
	memset(told, 0, sizeof(told));
	memset(sides, 0, sizeof(sides));
	sides[HTTP_RX].seq = (uint32_t)rng_next(&rng);
	sides[HTTP_TX].seq = (uint32_t)rng_next(&rng);
	http = http_new(NULL, on_told, NULL);
	assert_non_null(http);
}

struct sum {
	unsigned responses, paired, wrong;
};

static void end(struct sum *sum)
{
	for (unsigned n = 0; n < EXCHANGES; n++) {
		assert_true(told[n].request <= 1 && told[n].response <= 1);
		if (!loss)
			assert_true(told[n].request && told[n].response &&
				    (texts || told[n].paired));
		sum->responses += told[n].response;
		sum->paired += told[n].paired;
		sum->wrong += told[n].wrong;
	}
	assert_true(loss || !http_counters(http)->resynchronised);
	http_free(http);
}

static struct message out, in; /* of the client */

/* One after the other. */
static void one_by_one(void)
{
	for (unsigned n = 0; n < EXCHANGES; n++) {
		bool head = make_request(&out, n);

		send_message(HTTP_TX, &out);
		make_response(&in, n, head);
		send_message(HTTP_RX, &in);
	}
}

/* Several at once, in segments of their own or not; then their responses. */
static void in_batches(void)
{
	bool joined = rng_one_in(&rng, 2);

	for (unsigned n = 0, left; n < EXCHANGES; n += left) {
		left = 1 + (n ? rng_below(&rng, 4) : 0); /* who asks for the first time waits */
		left = left < EXCHANGES - n ? left : EXCHANGES - n;
		for (unsigned i = n; i < n + left; i++) {
			make_response(&in, i, make_request(&out, i));
			if (!joined)
				send_message(HTTP_TX, &out);
		}
		send_message(HTTP_TX, &out);
		send_message(HTTP_RX, &in);
	}
}

/* Always a few on their way: with each response the next request. */
static void in_a_window(void)
{
	unsigned window = 2 + rng_below(&rng, 3), asked = 0;
	bool heads[EXCHANGES];

	for (unsigned n = 0; n < EXCHANGES; n++) {
		for (; asked < EXCHANGES && asked < n + window; asked++) {
			heads[asked] = make_request(&out, asked);
			send_message(HTTP_TX, &out);
		}
		make_response(&in, n, heads[n]);
		send_message(HTTP_RX, &in);
	}
}

static const struct {
	const char *name;
	void (*talk)(void);
	unsigned least; /* of 100 responses told with losses, so many have their request */
} clients[] = {
	{"one by one", one_by_one, 80},
	{"in batches", in_batches, 5},
	{"in a window", in_a_window, 5},
};

#define CLIENTS (sizeof(clients) / sizeof(clients[0]))

/*
 * A text in a chunked request, where its sizes are out of sight, may be another request: then, as
 * with losses, only what is certain has its request.
 */
static void test_all_comes(void **state)
{
	(void)state;
	loss = 0;
	for (int i = 0; i < 2; i++) {
		struct sum sum = {0};

		texts = i;
		for (unsigned run = 0; run < RUNS; run++) {
			begin(run);
			one_by_one();
			end(&sum);
		}
		print_message("%s: %u of %u responses with their request\n",
			      texts ? "with texts" : "without", sum.paired, sum.responses);
		assert_true(sum.paired > sum.responses / 100 * 80);
		assert_int_equal(sum.wrong, 0);
	}
	texts = false;
}

static void test_what_comes_is_true(void **state)
{
	(void)state;
	for (size_t i = 0; i < CLIENTS; i++) {
		struct sum sum = {0};

		for (unsigned run = 0; run < RUNS; run++) {
			loss = 3 + run % 50;
			begin(run);
			clients[i].talk();
			end(&sum);
		}
		print_message("%s, with losses: of %u responses %u came, %u of them without "
			      "their request, %u with another\n",
			      clients[i].name, RUNS * EXCHANGES, sum.responses,
			      sum.responses - sum.paired, sum.wrong);
		assert_int_equal(sum.wrong, 0);
		assert_true(sum.responses > RUNS * EXCHANGES / 2);
		assert_true(sum.paired > sum.responses / 100 * clients[i].least);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_comes),
		cmocka_unit_test(test_what_comes_is_true),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
