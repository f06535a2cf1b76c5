// SPDX-License-Identifier: GPL-2.0-only
// top: rates from reports that come, are lost or are the last; the order of rows; the columns that
// a width has room for.
#include "client_sample.h"

#include <inttypes.h>
#include <stdio.h>

#include "client/color.h"
#include "client/text.h"
#include "client/top_columns.h"
#include "client/top_draw.h"
#include "client/top_table.h"
#include "client/top_values.h"

#define INTERVAL_MS 1000
#define MOST	    4 /* connections */

static struct top_table table;

/* ---------------------------------------------------------------------- what is told */

struct told {
	uint64_t id;
	int64_t at_ms;	/* by the wall clock */
	int64_t age_ms; /* or 0: unknown */
	uint64_t received, acked, retransmits;
	Netwatch__Tcp__State state; /* 0: ESTABLISHED */
	const char *comm, *laddr;
	uint32_t pid;
};

static void take(const Netwatch__Event *message)
{
	struct event event;
	size_t size = netwatch__event__pack(message, packed);

	assert_true(size <= sizeof(packed));
	assert_int_equal(event_read(&event, packed, size), 0);
	top_table_take(&table, &output, &event);
	assert_int_equal(output.used, 0);
}

static void tell(struct told told)
{
	Netwatch__TcpInfo info = NETWATCH__TCP_INFO__INIT;
	struct sample sample;

	sample_init(&sample);
	sample.event.conn = NULL;
	sample.event.tcpinfo = &info;
	sample.time.seconds = SECONDS + told.at_ms / 1000;
	sample.time.nanos = (int32_t)(told.at_ms % 1000 * 1000000);
	sample.connection.has_id = true;
	sample.connection.id = told.id;
	sample.connection.raddr = (char *)"10.0.0.1";
	sample.connection.has_rport = sample.connection.has_uid = true;
	sample.connection.rport = 443;
	sample.connection.uid = 4000000000;
	if (told.comm)
		sample.connection.comm = (char *)told.comm;
	if (told.laddr)
		sample.connection.laddr = (char *)told.laddr;
	if (told.pid)
		sample.connection.pid = told.pid;
	info.has_state = info.has_bytes_received = info.has_bytes_acked = true;
	info.has_total_retransmits = info.has_srtt_us = info.has_snd_cwnd = true;
	info.state = told.state ? told.state : NETWATCH__TCP__STATE__ESTABLISHED;
	info.bytes_received = told.received;
	info.bytes_acked = told.acked;
	info.total_retransmits = told.retransmits;
	info.srtt_us = 45;
	info.snd_cwnd = 10;
	info.has_duration_us = told.age_ms;
	info.duration_us = (uint64_t)told.age_ms * 1000;
	if (info.state == NETWATCH__TCP__STATE__LISTEN) {
		info.has_backlog = info.has_max_backlog = true;
		info.backlog = 3;
		info.max_backlog = 128;
		info.has_drops = true;
		info.drops = 2;
	}
	take(&sample.event);
}

#define TELL(...) tell((struct told){__VA_ARGS__})

static const struct top_row *row_of(uint64_t id)
{
	return conns_find(&table.conns, id);
}

static void expect_rates(uint64_t id, int64_t received, int64_t sent)
{
	const struct top_row *row = row_of(id);

	assert_non_null(row);
	assert_int_equal(row->received, received);
	assert_int_equal(row->sent, sent);
	assert_int_equal(row->rate, received == TOP_UNKNOWN ? TOP_UNKNOWN : received + sent);
}

static void expect_sums(double received, double sent)
{
	struct top_sums sums = top_table_sums(&table);

	assert_float_equal(sums.received, received, .01);
	assert_float_equal(sums.sent, sent, .01);
}

/* ------------------------------------------------------------------------------ rates */

/* Of an older connection what came before is not of now. */
static void rates(void **state)
{
	(void)state;
	TELL(1, .at_ms = 0, .received = 1000000, .acked = 5000, .retransmits = 7);
	expect_rates(1, TOP_UNKNOWN, TOP_UNKNOWN);
	assert_int_equal(row_of(1)->recent, TOP_UNKNOWN);
	expect_sums(0, 0);
	TELL(1, .at_ms = 500, .received = 1001000, .acked = 5200, .retransmits = 9);
	expect_rates(1, 2000, 400);
	assert_int_equal(row_of(1)->recent, 2);
	assert_int_equal(row_of(1)->retransmits, 9);
	assert_float_equal(top_table_sums(&table).retransmits, 4, .01);
	expect_sums(2000, 400);
	TELL(1, .at_ms = 1500, .received = 1001000, .acked = 5200, .retransmits = 9);
	expect_rates(1, 0, 0);
	assert_int_equal(row_of(1)->recent, 0);
}

/* The next one covers both intervals, with the time of both. */
static void lost_report(void **state)
{
	(void)state;
	TELL(1, .at_ms = 0, .received = 100);
	/* lost, at 1000 */
	TELL(1, .at_ms = 2000, .received = 4100);
	expect_rates(1, 2000, 0);
}

/* A clock that was set meanwhile, and the kernel's own. */
static void clock_was_set(void **state)
{
	(void)state;
	TELL(1, .at_ms = 0, .age_ms = 60000, .received = 100);
	TELL(1, .at_ms = 3600000, .age_ms = 61000, .received = 1100);
	expect_rates(1, 1000, 0);
	TELL(2, .at_ms = 5000, .received = 100);
	TELL(2, .at_ms = 4000, .received = 1100);
	expect_rates(2, TOP_UNKNOWN, TOP_UNKNOWN);
}

/* Counters that go back are another's. */
static void counters_go_back(void **state)
{
	(void)state;
	TELL(1, .at_ms = 0, .received = 5000);
	TELL(1, .at_ms = 1000, .received = 100);
	expect_rates(1, TOP_UNKNOWN, TOP_UNKNOWN);
	TELL(1, .at_ms = 2000, .received = 300);
	expect_rates(1, 200, 0);
}

/* Whatever a collector says, nothing overflows. */
static void nonsense(void **state)
{
	(void)state;
	TELL(1, .at_ms = 0);
	TELL(1, .at_ms = 1, .received = INT64_MAX, .acked = INT64_MAX);
	expect_rates(1, 1000000000000000000, 1000000000000000000);
	TELL(1, .at_ms = 2, .received = UINT64_MAX, .acked = UINT64_MAX);
	expect_rates(1, TOP_UNKNOWN, TOP_UNKNOWN);
}

/* All of a new connection came in this interval, however short it has been there. */
static void new_connection(void **state)
{
	(void)state;
	TELL(1, .at_ms = 0, .age_ms = 1, .received = 3000, .acked = 100);
	expect_rates(1, 3000, 100);
	TELL(2, .at_ms = 0, .age_ms = 2000, .received = 3000); /* its first report was lost */
	expect_rates(2, 1500, 0);
	TELL(3, .at_ms = 0, .age_ms = 60000, .received = 3000);
	expect_rates(3, TOP_UNKNOWN, TOP_UNKNOWN);
}

/* What ends between two ticks is in the sums of the picture after it, and in no other. */
static void ended(void **state)
{
	(void)state;
	TELL(1, .at_ms = 0, .received = 100);
	TELL(1, .at_ms = 1000, .received = 1100);
	expect_sums(1000, 0);
	TELL(1, .at_ms = 1010, .received = 1600, .state = NETWATCH__TCP__STATE__CLOSE);
	assert_null(row_of(1));
	/* one that had no report before its end, and one that is older than we are */
	TELL(2, .at_ms = 1010, .age_ms = 5, .acked = 70, .state = NETWATCH__TCP__STATE__CLOSE);
	TELL(3, .at_ms = 1010, .acked = 7000000, .state = NETWATCH__TCP__STATE__CLOSE);
	assert_int_equal(table.conns.count, 0);
	expect_sums(0, 0);
	top_table_tick(&table);
	expect_sums(500, 70);
	expect_sums(500, 70);
	top_table_tick(&table);
	expect_sums(0, 0);
}

static void listener(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++)
		TELL(1, .at_ms = i * 1000, .state = NETWATCH__TCP__STATE__LISTEN);
	expect_rates(1, TOP_UNKNOWN, TOP_UNKNOWN);
	assert_int_equal(row_of(1)->backlog, 3);
	assert_int_equal(row_of(1)->max_backlog, 128);
	assert_int_equal(row_of(1)->drops, 2);
	assert_int_equal(row_of(1)->cwnd, TOP_UNKNOWN);
	assert_int_equal(top_table_sums(&table).by_state[NETWATCH__TCP__STATE__LISTEN], 1);
}

/* ---------------------------------------------------------------------- who is there */

static void silent(void **state)
{
	(void)state;
	TELL(1, .at_ms = 0);
	TELL(2, .at_ms = 0);
	for (unsigned i = 0; i < 8; i++) {
		top_table_tick(&table);
		TELL(2, .at_ms = 1000 * (i + 1));
		assert_int_equal(table.conns.count, 2);
	}
	top_table_tick(&table);
	assert_null(row_of(1));
	assert_non_null(row_of(2));
}

static void bound(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= MOST + 3; id++)
		TELL(id, .at_ms = 0);
	assert_int_equal(table.conns.count, MOST);
	top_table_tick(&table);
	assert_int_equal(top_table_sums(&table).untold, 3);
	TELL(1, .at_ms = 0, .state = NETWATCH__TCP__STATE__CLOSE);
	TELL(MOST + 1, .at_ms = 1000);
	assert_non_null(row_of(MOST + 1));
	top_table_tick(&table);
	assert_int_equal(top_table_sums(&table).untold, 0);
}

static void losses(void **state)
{
	Netwatch__Lost lost = NETWATCH__LOST__INIT;
	Netwatch__Event event = NETWATCH__EVENT__INIT;

	(void)state;
	event.lost = &lost;
	take(&event);
	lost.has_count = true;
	lost.count = 5;
	take(&event);
	take(&event);
	assert_int_equal(top_table_sums(&table).lost, 10);
	assert_int_equal(top_table_sums(&table).gaps, 1);
	top_table_clear(&table); /* these stay */
	assert_int_equal(top_table_sums(&table).lost, 10);
}

/* ------------------------------------------------------------------------------ order */

static void expect_order(enum top_column by, bool reverse, const uint64_t *ids)
{
	const struct top_row **rows = top_table_sort(&table, top_columns_compare, by, reverse);

	assert_non_null(rows);
	for (size_t i = 0; i < table.conns.count; i++) {
		if (rows[i]->entry.id != ids[i])
			fail_msg("by %s: %" PRIu64 " at place %zu", top_column_words[by],
				 rows[i]->entry.id, i);
	}
}

#define ORDER(by, reverse, ...) expect_order(by, reverse, (const uint64_t[]){__VA_ARGS__})

static void order(void **state)
{
	(void)state;
	TELL(1, .comm = "b", .laddr = "10.0.0.10", .pid = 10);
	TELL(2, .comm = "b", .laddr = "10.0.0.9", .pid = 9);
	TELL(3, .comm = "a", .laddr = "9.0.0.1", .retransmits = 5);
	TELL(4, .comm = "c", .state = NETWATCH__TCP__STATE__LISTEN);
	TELL(1, .at_ms = 1000, .received = 100, .comm = "b", .laddr = "10.0.0.10", .pid = 10);
	TELL(2, .at_ms = 1000, .acked = 300, .comm = "b", .laddr = "10.0.0.9", .pid = 9);
	TELL(3, .at_ms = 1000, .received = 200, .comm = "a", .laddr = "9.0.0.1", .retransmits = 6);
	ORDER(TOP_RATE, false, 2, 3, 1, 4);
	ORDER(TOP_RATE, true, 4, 1, 3, 2);
	ORDER(TOP_RECEIVED, false, 3, 1, 2, 4);
	ORDER(TOP_SENT, false, 2, 1, 3, 4);
	ORDER(TOP_PROCESS, false, 3, 2, 1, 4);
	ORDER(TOP_LOCAL, false, 3, 2, 1, 4); /* by number: 9, 10.0.0.9, 10.0.0.10, 127 */
	ORDER(TOP_RETRANSMITS, false, 3, 1, 2, 4);
	ORDER(TOP_RECENT, false, 3, 1, 2, 4);
	ORDER(TOP_BACKLOG, false, 4, 1, 2, 3);
	ORDER(TOP_REMOTE, false, 1, 2, 3, 4); /* all the same: as they came */
	ORDER(TOP_REMOTE, true, 1, 2, 3, 4);
}

/* ---------------------------------------------------------------------------- columns */

/* The whole picture in a terminal of that size, or of none; without its line of sums. */
static const char *draw(unsigned width, unsigned lines)
{
	struct top_sums sums = top_table_sums(&table);
	struct top_picture picture = {
		.rows = top_table_sort(&table, top_columns_compare, TOP_RATE, false),
		.count = table.conns.count,
		.sums = &sums,
		.sort = TOP_RATE,
		.scope = "all users",
		.header = true,
		.lines = lines,
		.columns = width,
	};
	size_t visible;
	char *end;

	top_columns_init();
	output.used = output.line = 0;
	assert_int_equal(top_draw(&output, &picture, &visible), 0);
	output.data[output.used] = '\0';
	output.used = output.line = 0;
	end = strchr(output.data, '\n');
	return end ? end + 1 : "";
}

static void expect_titles(unsigned width, const char *titles)
{
	char line[512];
	const char *text = draw(width, 50);

	snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\033\n"), text);
	if (strcmp(line, titles))
		fail_msg("%u columns: \"%s\"", width, line);
}

/* They go in a defined order, and no other changes. */
static void widths(void **state)
{
	(void)state;
	TELL(1, .age_ms = 1);
	expect_titles(200, "PROCESS         USER       LOCAL           REMOTE          STATE       "
			   "ROLE   RECV/S SENT/S    RTT CWND RETR +RETR BACKLOG DROPS    AGE");
	expect_titles(128, "PROCESS         USER       LOCAL           REMOTE          STATE       "
			   "RECV/S SENT/S    RTT CWND RETR +RETR BACKLOG DROPS    AGE");
	expect_titles(100, "PROCESS         LOCAL           REMOTE          STATE       RECV/S "
			   "SENT/S    RTT RETR +RETR");
	expect_titles(80, "PROCESS         LOCAL           REMOTE          RECV/S SENT/S    RTT "
			  "RETR +RETR");
	expect_titles(78, "PROCESS         LOCAL           REMOTE          RECV/S SENT/S    RTT "
			  "RETR");
	expect_titles(40, "PROCESS         REMOTE          RECV/S");
	expect_titles(31, "PROCESS         REMOTE");
	expect_titles(20, "REMOTE");
	expect_titles(3, "REM");
	assert_string_equal(draw(3, 1), "");
}

/* Text of others: escaped, and no wider than its column on a terminal. */
static void hostile(void **state)
{
	const char *text;

	(void)state;
	TELL(1, .comm = "\033\033\033\033\033\033\033\033",
	     .laddr = "2001:db8:1234:5678:9abc:def0:1:5678");
	TELL(2, .comm = "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc"
			"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc"
			"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc"
			"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc");
	for (unsigned width = 1; width < 300; width++) {
		for (text = draw(width, 50); *text;
		     text += strcspn(text, "\n"), text += *text == '\n') {
			size_t size = strcspn(text, "\033\n");

			assert_true(text_width(text, size) <= width);
		}
	}
	text = draw(100, 50);
	assert_non_null(
		strstr(text, "\n\\x1b\\x1b\\x1b\\x1b\\x1b\\x1+ [2001:db8:1234:5678:9abc:+ "));
	assert_non_null(strstr(text, "\n\xc3\xa4\xc3\xb6\xc3\xbc"));
	/* where there is no terminal nothing is cut */
	text = draw(0, 0);
	assert_non_null(strstr(text, "\\x1b\\x1b\\x1b\\x1b\\x1b\\x1b\\x1b\\x1b[7] "));
	assert_non_null(strstr(text, " [2001:db8:1234:5678:9abc:def0:1:5678]:80 "));
	assert_null(strchr(text, '\033'));
}

/* What is the last column does not lose its end, and what is shorter is erased behind it. */
static void erases(void **state)
{
	(void)state;
	TELL(1, .at_ms = 0);
	assert_string_equal(draw(22, 2), "REMOTE\033[K");
	assert_string_equal(draw(22, 3), "REMOTE\033[K\n10.0.0.1:443\033[K");
	assert_string_equal(draw(12, 4), "REMOTE\033[K\n10.0.0.1:443\n\033[J");
}

static void expect_rate(double rate, const char *text)
{
	output.used = 0;
	top_values_scaled(&output, rate);
	expect(text);
}

static void numbers(void **state)
{
	(void)state;
	expect_rate(TOP_UNKNOWN, "-");
	expect_rate(0, "0");
	expect_rate(.5, "0.50");
	expect_rate(999, "999");
	expect_rate(999.6, "1.00k");
	expect_rate(1234, "1.23k");
	expect_rate(99949, "99.9k");
	expect_rate(99951, "100k");
	expect_rate(999499, "999k");
	expect_rate(999500, "1.00M");
	expect_rate(12345678901, "12.3G");
}

static void times(void **state)
{
	static const struct {
		int64_t us;
		const char *time, *age;
	} rows[] = {
		{TOP_UNKNOWN, "-", "-"},	  {45, "45us", "0s"},
		{1234, "1.23ms", "0s"},		  {59999999, "60.0s", "59s"},
		{60000000, "60.0s", "1m00s"},	  {3599999999, "3600s", "59m59s"},
		{3600000000, "3600s", "1h00m"},	  {86399999999, "86400s", "23h59m"},
		{864000000000, "864000s", "10d"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		top_values_time(&output, rows[i].us);
		expect(rows[i].time);
		top_values_age(&output, rows[i].us);
		expect(rows[i].age);
	}
}

static int setup_table(void **state)
{
	if (setup(state))
		return -1;
	color_init(COLOR_NEVER, -1);
	return top_table_init(&table, INTERVAL_MS, MOST);
}

static int teardown_table(void **state)
{
	top_table_deinit(&table);
	return teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_table, teardown_table)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rates),	      TEST(lost_report),
		TEST(clock_was_set),  TEST(counters_go_back),
		TEST(new_connection), TEST(nonsense),
		TEST(ended),	      TEST(listener),
		TEST(silent),	      TEST(bound),
		TEST(losses),	      TEST(order),
		TEST(widths),	      TEST(hostile),
		TEST(erases),	      TEST(numbers),
		TEST(times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
