// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is remembered: bounds in events and bytes, losses at their place, nothing that nobody may
 * see; and what a viewer is told of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "collector/category.h"
#include "collector/cgroups.h"
#include "collector/event.h"
#include "common/filter.h"
#include "collector/history.h"
#include "collector/http/http.h"
#include "collector/recall.h"
#include "rng.h"

#define OFFSET 1000000 /* from the records' clock to Unix time */

static struct nw_conn_end_record record(uint32_t stage, uint64_t time_ns)
{
	struct nw_conn_end_record r = {.conn.stage = stage};

	r.conn.head.time_ns = time_ns;
	r.conn.head.connection = (struct nw_connection){.cookie = time_ns,
							.sock = 0xffff888012345678,
							.uid = 1000,
							.family = 4,
							.lport = 80,
							.category = NW_CATEGORY_CONN};
	return r;
}

static void add(struct history *h, uint64_t time_ns)
{
	struct nw_conn_end_record r = record(NW_CONN_CLOSE, time_ns);

	history_add(h, &r.conn.head, sizeof(r), OFFSET);
}

static uint64_t cookie_of(const struct history *h, uint64_t number)
{
	const struct nw_record *r = (const void *)history_get(h, number)->data;

	return r->connection.cookie;
}

static struct filter everything(void)
{
	struct filter_error why;
	struct filter filter;

	assert_int_equal(filter_parse(&filter, NULL, &why), 0);
	filter.scope = NETWATCH__SCOPE__ALL_WITH_HTTP;
	filter.wants = ~0ULL;
	return filter;
}

/* ------------------------------------------------------------------ bounds */

static void test_last_events(void **state)
{
	struct rng rng = rng_new();

	(void)state;
	for (size_t max = 1; max <= 20; max++) {
		struct history *h = history_new(max, false);
		uint64_t added = 0;

		assert_non_null(h);
		assert_int_equal(history_limit(h), max);
		assert_int_equal(history_begin(h), history_end(h));
		for (int i = 0; i < 100; i++) {
			for (uint64_t n = rng_below(&rng, 5); n; n--)
				add(h, ++added);
			assert_int_equal(history_end(h), added);
			assert_int_equal(history_end(h) - history_begin(h),
					 added < max ? added : max);
			for (uint64_t k = history_begin(h); k < history_end(h); k++) {
				assert_int_equal(cookie_of(h, k), k + 1);
				assert_int_equal(history_get(h, k)->unix_ns, k + 1 + OFFSET);
			}
		}
		history_free(h);
	}
}

/* Large records: bytes are the bound, and they are what is counted. */
static void test_bytes(void **state)
{
	struct history *h = history_new(10, false);
	struct rng rng = rng_new();
	struct {
		struct nw_record head;
		uint8_t rest[20000];
	} large = {.head.connection.category = NW_CATEGORY_CONN};

	(void)state;
	assert_non_null(h);
	for (int i = 0; i < 1000; i++) {
		size_t bytes = 0, size = sizeof(large.head) + rng_below(&rng, sizeof(large.rest));

		large.head.connection.cookie = (uint64_t)i;
		history_add(h, &large.head, size, 0);
		for (uint64_t k = history_begin(h); k < history_end(h); k++)
			bytes += sizeof(struct history_entry) + history_get(h, k)->size;
		assert_int_equal(bytes, history_bytes(h));
		assert_true(bytes <= HISTORY_SIZE_MIN);
		assert_int_equal(cookie_of(h, history_end(h) - 1), (uint64_t)i);
	}
	assert_true(history_end(h) - history_begin(h) < 10);
	history_free(h);
}

static void test_losses(void **state)
{
	struct history *h = history_new(3, false);
	const struct history_entry *entry;

	(void)state;
	assert_non_null(h);
	add(h, 1);
	history_add_loss(h, 20, 30);
	history_add_loss(h, 15, 25);
	history_add_loss(h, 30, 40);
	assert_int_equal(history_end(h), 2); /* one loss */
	entry = history_get(h, 1);
	assert_int_equal(entry->kind, HISTORY_LOST);
	assert_int_equal(entry->first_ns, 15);
	assert_int_equal(entry->unix_ns, 40);
	add(h, 2);
	history_add_loss(h, 50, 50);
	assert_int_equal(history_end(h), 4); /* another one */
	assert_int_equal(history_begin(h), 1);
	assert_int_equal(history_get(h, 3)->first_ns, 50);
	history_free(h);
}

/* --------------------------------------------------------- what is kept */

static bool has_address(const struct history_entry *entry)
{
	const uint64_t address = 0xffff888012345678;

	return memmem(entry->data, entry->size, &address, sizeof(address));
}

static void test_address(void **state)
{
	(void)state;
	for (int with = 0; with < 2; with++) {
		struct history *h = history_new(3, with);

		assert_non_null(h);
		add(h, 1);
		assert_int_equal(has_address(history_get(h, 0)), with);
		history_free(h);
	}
}

#define STRING(s)                                    \
	{                                            \
		.text = (s), .length = sizeof(s) - 1 \
	}

static struct http_event exchange(void)
{
	return (struct http_event){.time_ns = 5,
				   .kind = HTTP_RESPONSE,
				   .method = STRING("GET"),
				   .target = STRING("/a?b=secret"),
				   .host = STRING("h"),
				   .version = "HTTP/1.1",
				   .status = 404,
				   .reason = STRING("Not\0Found"),
				   .has_latency = true,
				   .latency_us = 7};
}

/* One message in a history, with its strings gone since. */
static struct history *with_http(void)
{
	struct nw_conn_end_record r = record(0, 5);
	struct http_event event = exchange();
	struct made made = {.record = &r.conn.head, .time_ns = 5, .what = &event};
	struct history *h = history_new(3, false);
	char *target = strdup(event.target.text);

	assert_non_null(h);
	assert_non_null(target);
	r.conn.head.connection.category = NW_CATEGORY_HTTP;
	event.target.text = target;
	history_add_made(h, category_find("http"), &made, OFFSET);
	memset(target, 'x', event.target.length);
	free(target);
	return h;
}

static void check_http(const struct filter *filter, const char *target)
{
	struct history *h = with_http();
	struct http_event event = exchange();
	struct nw_conn_end_record r = record(0, 5);
	struct made made = {.record = &r.conn.head, .time_ns = 5, .what = &event};
	struct event_frame frame, expected;

	r.conn.head.connection.category = NW_CATEGORY_HTTP;
	r.conn.head.connection.sock = 0;
	assert_true(recall_accepts(history_get(h, 0), filter, NULL));
	assert_int_equal(recall_frame(&frame, history_get(h, 0), filter), 0);
	assert_int_equal(event_from_made(&expected, category_find("http"), &made, OFFSET, false,
					 filter->viewer != 1000),
			 0);
	assert_int_equal(frame.size, expected.size);
	assert_memory_equal(frame.data, expected.data, frame.size);
	assert_non_null(memmem(frame.data, frame.size, target, strlen(target)));
	history_free(h);
}

static void test_http(void **state)
{
	struct filter filter = everything();
	struct history *h = with_http();

	(void)state;
	filter.viewer = 1000;
	check_http(&filter, "secret");
	filter.viewer = 0;
	check_http(&filter, "REDACTED");
	filter.scope = NETWATCH__SCOPE__ALL;
	assert_false(recall_accepts(history_get(h, 0), &filter, NULL));
	filter.viewer = 1000;
	check_http(&filter, "secret");
	filter.wants = ~(1ULL << NW_WANT_HTTP);
	assert_false(recall_accepts(history_get(h, 0), &filter, NULL));
	filter = everything();
	filter.http.status.item[0] = (struct filter_range){.first = 500, .last = 599};
	filter.http.status.any = 1;
	assert_false(recall_accepts(history_get(h, 0), &filter, NULL));
	history_free(h);
}

/* What was packed is not believed, but it is our own: every cut of it is refused or harmless. */
static void test_packed_and_cut(void **state)
{
	struct history *h = with_http();
	const struct history_entry *entry = history_get(h, 0);
	const struct nw_record *head = (const void *)entry->data;
	const struct category *category = category_find("http");
	size_t size = entry->size - sizeof(*head);

	(void)state;
	for (size_t cut = 0; cut < size; cut++) {
		uint8_t *packed = malloc(cut + 1);

		assert_non_null(packed);
		memcpy(packed, head + 1, cut);
		assert_false(category->maker->unpack(head, packed, cut, NULL, NULL));
		free(packed);
	}
	history_free(h);
}

/* -------------------------------------------------------- who is told of it */

static bool accepted(const struct nw_record *r, size_t size, const struct filter *filter,
		     const struct cgroups *cgroups)
{
	struct history *h = history_new(1, false);
	bool result;

	assert_non_null(h);
	history_add(h, r, size, OFFSET);
	result = recall_accepts(history_get(h, 0), filter, cgroups);
	history_free(h);
	return result;
}

static void test_wants(void **state)
{
	struct filter filter = everything();

	(void)state;
	for (uint32_t stage = NW_CONN_OPEN; stage <= NW_CONN_CLOSE; stage++) {
		struct nw_conn_end_record r = record(stage, 1);
		bool close = stage == NW_CONN_CLOSE;

		filter.wants = 1ULL << NW_WANT_CONN;
		assert_int_equal(accepted(&r.conn.head, sizeof(r), &filter, NULL), !close);
		filter.wants = 1ULL << NW_WANT_CONN_CLOSE;
		assert_int_equal(accepted(&r.conn.head, sizeof(r), &filter, NULL), close);
		filter.wants = ~(1ULL << NW_WANT_CONN | 1ULL << NW_WANT_CONN_CLOSE);
		assert_false(accepted(&r.conn.head, sizeof(r), &filter, NULL));
	}
}

/* No user owns a segment that no socket handled, not even root. */
static void test_of_nobody(void **state)
{
	struct filter filter = everything(), asks;
	struct nw_conn_end_record r = record(NW_CONN_CLOSE, 1);
	const uint8_t root[FILTER_VALUE_SIZE] = {0};

	(void)state;
	r.conn.head.connection.cookie = 0;
	r.conn.head.connection.uid = 0;
	assert_true(accepted(&r.conn.head, sizeof(r), &filter, NULL));
	asks = filter;
	memcpy(asks.values[NW_UID].item[0], root, sizeof(root));
	asks.values[NW_UID].any = 1;
	assert_false(accepted(&r.conn.head, sizeof(r), &asks, NULL));
	r.conn.head.connection.cookie = 1;
	assert_true(accepted(&r.conn.head, sizeof(r), &asks, NULL));
	r.conn.head.connection.cookie = 0;
	asks = filter;
	asks.scope = NETWATCH__SCOPE__OWN;
	assert_false(accepted(&r.conn.head, sizeof(r), &asks, NULL));
}

/* ------------------------------------------------------------------ cgroups */

#define DEPTH 20 /* of a kernel's cgroups: 1 is the root, each other one below the one before */

static unsigned asked;

static int ask(void *arg, uint64_t id, __u64 *ids, size_t n)
{
	const bool *gone = arg;
	int found = 0;

	asked++;
	if (*gone || id > DEPTH)
		return -ENOENT;
	for (; id && n; id--, n--)
		ids[found++] = id;
	return found;
}

static void test_ancestors(void **state)
{
	__u64 above[NW_ANCESTORS];
	bool gone = false;
	struct cgroups *c = cgroups_new(ask, &gone);

	(void)state;
	assert_non_null(c);
	asked = 0;
	assert_true(cgroups_ancestors(c, 0, above)); /* there is none */
	assert_int_equal(above[0], 0);
	assert_false(cgroups_ancestors(c, 7, above)); /* not seen yet */
	for (unsigned i = 0; i < 2; i++) {
		for (uint64_t id = DEPTH; id; id--)
			cgroups_see(c, id);
		gone = true; /* those that are known are not asked for again */
	}
	for (uint64_t id = DEPTH; id; id--) {
		assert_true(cgroups_ancestors(c, id, above));
		for (uint64_t i = 0; i < NW_ANCESTORS; i++)
			assert_int_equal(above[i], i < id ? id - i : 0);
	}
	assert_true(asked <= DEPTH - NW_ANCESTORS + 2);
	for (unsigned i = 0; i < 3; i++)
		cgroups_see(c, DEPTH + 1);
	assert_false(cgroups_ancestors(c, DEPTH + 1, above));
	assert_int_equal(above[0], DEPTH + 1);
	assert_true(asked <= DEPTH - NW_ANCESTORS + 3); /* once in vain */
	cgroups_free(c);
}

static void test_filter_by_cgroup(void **state)
{
	struct nw_conn_end_record r = record(NW_CONN_CLOSE, 1);
	struct filter any = everything(), none = any;
	const uint64_t named = 3;
	bool gone = false;
	struct cgroups *c = cgroups_new(ask, &gone);

	(void)state;
	assert_non_null(c);
	memcpy(any.values[NW_CGROUP].item[0], &named, sizeof(named));
	memcpy(none.values[NW_CGROUP].item[0], &named, sizeof(named));
	any.values[NW_CGROUP].any = none.values[NW_CGROUP].none = 1;
	for (uint64_t id = 1; id < 6; id++) {
		r.conn.head.connection.cgroup = id;
		cgroups_see(c, id);
		assert_int_equal(accepted(&r.conn.head, sizeof(r), &any, c), id >= named);
		assert_int_equal(accepted(&r.conn.head, sizeof(r), &none, c), id < named);
	}
	/* Of one that was gone nobody knows whether it was below. */
	r.conn.head.connection.cgroup = DEPTH + 1;
	cgroups_see(c, DEPTH + 1);
	assert_false(accepted(&r.conn.head, sizeof(r), &any, c));
	assert_false(accepted(&r.conn.head, sizeof(r), &none, c));
	any = everything();
	assert_true(accepted(&r.conn.head, sizeof(r), &any, c));
	cgroups_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_events), cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_losses),	    cmocka_unit_test(test_address),
		cmocka_unit_test(test_http),	    cmocka_unit_test(test_packed_and_cut),
		cmocka_unit_test(test_wants),	    cmocka_unit_test(test_of_nobody),
		cmocka_unit_test(test_ancestors),   cmocka_unit_test(test_filter_by_cgroup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
