// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whole conversations as the kernel side would hand them over. Each message says its number, so
 * whatever is told can be judged: without losses all of it comes, each response with its request.
 * With losses (of 2 to 33 % here) what comes is true, but for one response in a thousand that gets
 * the request before or behind its own.
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
static unsigned wrong; /* responses told as those of another request */
static unsigned loss;  /* one piece in so many is lost; 0: none */
static struct {
	unsigned request, response, paired;
} told[EXCHANGES];

static struct side {
	uint32_t seq;
	bool in_head; /* the kernel side waits for the rest of a head */
} sides[2];

struct message {
	char text[16384];
	size_t length, head;
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
	wrong += number(e->target, "/n") != n;
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
	size_t n = loss ? length + 1 : strlen(text);

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
		m->head = m->length;
		if (!none)
			add_data(m, length, text);
		return;
	}
	add(m, "Transfer-Encoding: chunked\r\n\r\n");
	m->head = m->length;
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

	m->length = (size_t)snprintf(
		m->text, sizeof(m->text), "%s /n%03u HTTP/1.1\r\nHost: h\r\nCookie: %.*s\r\n",
		methods[method], n, (int)rng_below(&rng, 90),
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	if (method >= 2) {
		add_body(m, FALSE_REQUEST, false);
	} else {
		add(m, "\r\n");
		m->head = m->length;
	}
	return method == 1;
}

static void make_response(struct message *m, unsigned n, bool head)
{
	bool empty = rng_one_in(&rng, 6);

	m->length = (size_t)snprintf(m->text, sizeof(m->text), "HTTP/1.1 %u r%03u\r\n",
				     empty ? 304 : 200, n);
	add_body(m, FALSE_RESPONSE, empty || head);
}

static void deliver(uint8_t direction, const char *text, size_t length)
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
			       .direction = direction,
			       .role = NW_ROLE_CLIENT};

	assert_non_null(copy);
	memcpy(copy, text, captured);
	if (loss && rng_one_in(&rng, loss)) {
		http_lost(http);
	} else {
		http_take(http, &p);
		if (rng_one_in(&rng, 20))
			http_take(http, &p); /* sent again */
	}
	free(copy);
}

/* In segments, of which the kernel side hands over those that may matter. */
static void send_message(uint8_t direction, const struct message *m)
{
	struct side *side = &sides[direction];
	bool in_head = false;

	for (size_t at = 0, n; at < m->length; at += n) {
		const char *text = m->text + at;

		n = 1 + rng_below(&rng, rng_one_in(&rng, 3) ? 60 : 1500);
		if (!at && n < 20)
			n = 20; /* enough to see that it begins */
		n = n < m->length - at ? n : m->length - at;
		if (in_head || http_head_begins(text, n))
			deliver(direction, text, n);
		in_head = at + n < m->head;
		side->seq += (uint32_t)n;
	}
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

static void end(void)
{
	for (unsigned n = 0; n < EXCHANGES; n++) {
		assert_true(told[n].request <= 1 && told[n].response <= 1);
		if (!loss)
			assert_true(told[n].request && told[n].response && told[n].paired);
	}
	assert_true(loss || !wrong);
	assert_true(loss || !http_counters(http)->resynchronised);
	http_free(http);
}

/* One after the other; returns the responses told with their request. */
static unsigned one_by_one(unsigned run)
{
	static struct message m;
	unsigned paired = 0;

	begin(run);
	for (unsigned n = 0; n < EXCHANGES; n++) {
		bool head = make_request(&m, n);

		send_message(HTTP_TX, &m);
		make_response(&m, n, head);
		send_message(HTTP_RX, &m);
	}
	for (unsigned n = 0; n < EXCHANGES; n++)
		paired += told[n].paired;
	end();
	return paired;
}

static void test_all_comes(void **state)
{
	(void)state;
	loss = 0;
	for (unsigned run = 0; run < RUNS; run++)
		one_by_one(run);
}

static void test_what_comes_is_true(void **state)
{
	unsigned paired = 0;

	(void)state;
	wrong = 0;
	for (unsigned run = 0; run < RUNS; run++) {
		loss = 3 + run % 50;
		paired += one_by_one(run);
	}
	print_message("with losses, %u of %u responses came with their request, %u with another\n",
		      paired - wrong, RUNS * EXCHANGES, wrong);
	assert_true(paired > RUNS * EXCHANGES / 2);
	assert_true(wrong < paired / 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_comes),
		cmocka_unit_test(test_what_comes_is_true),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
