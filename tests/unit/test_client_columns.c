// SPDX-License-Identifier: GPL-2.0-only
// Columns by name, CSV, tables of chosen fields, colours, and the protobuf stream.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/categories.h"
#include "client/color.h"
#include "client/columns.h"
#include "client/event.h"
#include "client/text.h"
#include "client/timestamp.h"
#include "client/writer.h"
#include "frame.h"
#include "netwatch.pb-c.h"

#define SECONDS	     1795349051 /* 2026-11-22T12:04:11Z */
#define HEADER_COLOR "\033[1m"
#define PAST	     "\033[2m"
#define END	     "\033[0m"

struct sample {
	Netwatch__Event event;
	Google__Protobuf__Timestamp time;
	Netwatch__Connection connection;
	Netwatch__Conn conn;
};

/* What the writer has written so far. */
static struct output output;
static uint8_t packed[1024];

static const struct categories conn_only = {.names = {"conn"}, .count = 1};
static const struct time_format *chosen_time;

static void sample_init(struct sample *sample)
{
	netwatch__event__init(&sample->event);
	google__protobuf__timestamp__init(&sample->time);
	netwatch__connection__init(&sample->connection);
	netwatch__conn__init(&sample->conn);
	sample->time.seconds = SECONDS;
	sample->time.nanos = 93211045;
	sample->connection.laddr = (char *)"127.0.0.1";
	sample->connection.has_lport = sample->connection.has_pid = true;
	sample->connection.lport = 80;
	sample->connection.pid = 7;
	sample->connection.comm = (char *)"curl";
	sample->conn.has_event = true;
	sample->conn.event = NETWATCH__CONN__STAGE__CLOSE;
	sample->event.time = &sample->time;
	sample->event.connection = &sample->connection;
	sample->event.category_case = NETWATCH__EVENT__CATEGORY_CONN;
	sample->event.conn = &sample->conn;
}

static void choose(struct columns *columns, const char *names)
{
	char text[256], *save;

	*columns = (struct columns){.count = 0};
	strcpy(text, names);
	for (char *name = strtok_r(text, ",", &save); name; name = strtok_r(NULL, ",", &save))
		assert_int_equal(columns_add(columns, name), 0);
}

static void start(const struct writer *writer, const char *names, unsigned width, bool header)
{
	struct columns columns;

	choose(&columns, names);
	output.used = output.line = 0;
	writer->start(&output, &(struct writer_layout){.width = width,
						       .header = header,
						       .categories = &conn_only,
						       .columns = &columns,
						       .time = chosen_time});
}

static void put(const struct writer *writer, const Netwatch__Event *message)
{
	struct event event;
	size_t size = netwatch__event__pack(message, packed);

	assert_int_equal(event_read(&event, packed, size), 0);
	assert_int_equal(output_begin(&output), 0);
	writer->event(&output, &event);
	if (!writer->binary)
		output_char(&output, '\n');
	assert_int_equal(output_end(&output), 0);
}

/* All that was written since the last look. */
static void expect(const char *text)
{
	output.data[output.used] = '\0';
	assert_string_equal(output.data, text);
	output.used = output.line = 0;
}

static void expect_row(const struct writer *writer, const struct sample *sample, const char *row)
{
	put(writer, &sample->event);
	expect(row);
}

/* ------------------------------------------------------------------ names */

static void expect_titles(const char *names, const char *titles)
{
	start(&writer_csv, names, 0, true);
	expect(titles);
}

static void names_of_columns(void **state)
{
	static const char *const unknown[] = {
		"",	  ".",		 "lport.",	  ".lport",	   "conn.",
		"laddrs", "Laddr",	 "conn.nonsense", "connection.",   "connection.event",
		"event",  "conn.lport",	 "time.seconds",  "category.name", "conn.event.x",
		" time",  "connections", "con",
	};
	struct columns columns = {.count = 0};

	(void)state;
	for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		if (columns_add(&columns, unknown[i]) != -EINVAL)
			fail_msg("accepted: %s", unknown[i]);
		assert_int_equal(columns.count, 0);
	}
	expect_titles("category,conn.event,raddr,time,connection.lport,raddr",
		      "category,conn.event,raddr,time,lport,raddr\n");
	expect_titles("connection", "id,laddr,lport,raddr,rport,role,pid,comm,uid,netns,cgroup_id,"
				    "cgroup,sock\n");
	expect_titles("lost,pid", "lost.cause,lost.count,lost.first,lost.last,pid\n");
	start(&writer_csv, "", 0, true);
	output.data[output.used] = '\0';
	assert_memory_equal(output.data, "time,category,id,laddr,", 23);
	assert_non_null(strstr(output.data, ",sock,lost.cause,lost.count,lost.first,lost.last,"
					    "conn.event,conn.state,"));
}

static void too_many_columns(void **state)
{
	struct columns columns = {.count = 0};

	(void)state;
	for (unsigned i = 0; i < COLUMNS_MAX; i++)
		assert_int_equal(columns_add(&columns, "pid"), 0);
	assert_int_equal(columns_add(&columns, "pid"), -E2BIG);
	assert_int_equal(columns_add(&columns, "connection"), -E2BIG);
	assert_int_equal(columns.count, COLUMNS_MAX);
	columns.count = COLUMNS_MAX - 2; /* a part of a message is no column either way */
	assert_int_equal(columns_add(&columns, "connection"), -E2BIG);
	assert_true(columns.count <= COLUMNS_MAX);
}

static void columns_that_tell_of_losses(void **state)
{
	struct columns columns;

	(void)state;
	choose(&columns, "time,pid,conn");
	assert_false(columns_tell_losses(&columns));
	choose(&columns, "time,lost.count");
	assert_true(columns_tell_losses(&columns));
	choose(&columns, "category,time");
	assert_true(columns_tell_losses(&columns));
}

/* -------------------------------------------------------------------- csv */

static void csv_row(void **state)
{
	struct sample sample;

	(void)state;
	sample_init(&sample);
	start(&writer_csv, "time,category,laddr,raddr,lport,conn.event,conn.error,lost.count", 0,
	      false);
	expect("");
	expect_row(&writer_csv, &sample,
		   "2026-11-22T12:04:11.093211045Z,conn,127.0.0.1,,80,CLOSE,,\n");
	chosen_time = time_format_of(1);
	start(&writer_csv, "time,laddr", 0, true);
	expect("time,laddr\n");
	sample.connection.laddr = (char *)"::1";
	expect_row(&writer_csv, &sample, "1795349051.093211045,::1\n");
	chosen_time = NULL;
}

static void csv_quotes(void **state)
{
	static const struct {
		const char *comm, *row;
	} rows[] = {
		{"plain", "plain,7\n"},
		{"a,b", "\"a,b\",7\n"},
		{"say \"hi\"", "\"say \"\"hi\"\"\",7\n"},
		{"\"", "\"\"\"\",7\n"},
		{",\",", "\",\"\",\",7\n"},
		{" before", "\" before\",7\n"},
		{"after ", "\"after \",7\n"},
		{" ", "\" \",7\n"},
		{"in between", "in between,7\n"},
		{"", ",7\n"},
		{"a'b;c\\", "a'b;c\\,7\n"},
		{"a\nb\r\n", "a\\x0ab\\x0d\\x0a,7\n"},
		{"\033[2J,\t", "\"\\x1b[2J,\\x09\",7\n"},
		{"\xe2\x80\xae\xe2\x80\xa8\xc3\xa9", "\\u{202e}\\u{2028}\xc3\xa9,7\n"},
	};
	struct sample sample;

	(void)state;
	start(&writer_csv, "comm,pid", 0, false);
	sample_init(&sample);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sample.connection.comm = (char *)rows[i].comm;
		expect_row(&writer_csv, &sample, rows[i].row);
	}
	/* a row of nothing would be an empty line, which readers skip */
	start(&writer_csv, "conn.error", 0, false);
	expect_row(&writer_csv, &sample, "\"\"\n");
}

static void csv_loss(void **state)
{
	Google__Protobuf__Timestamp first = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Netwatch__Event event = NETWATCH__EVENT__INIT;
	Netwatch__Lost lost = NETWATCH__LOST__INIT;

	(void)state;
	lost.has_cause = lost.has_count = true;
	lost.cause = NETWATCH__LOST__CAUSE__KERNEL_RING;
	lost.count = 12;
	first.seconds = SECONDS;
	lost.first = &first;
	event.category_case = NETWATCH__EVENT__CATEGORY_LOST;
	event.lost = &lost;
	start(&writer_csv, "time,category,laddr,lost", 0, false);
	put(&writer_csv, &event);
	expect(",lost,,KERNEL_RING,12,2026-11-22T12:04:11.000000000Z,\n");
	/* its times have the form of all others; but a difference belongs to the events */
	chosen_time = time_format_of(1);
	start(&writer_csv, "lost.first", 0, false);
	put(&writer_csv, &event);
	expect("1795349051.000000000\n");
	chosen_time = time_format_of(3);
	start(&writer_csv, "lost.first", 0, false);
	put(&writer_csv, &event);
	expect("2026-11-22T12:04:11.000000000Z\n");
	chosen_time = NULL;
}

/* ------------------------------------------------------------------ table */

static void table_of_fields(void **state)
{
	struct sample sample;

	(void)state;
	sample_init(&sample);
	start(&writer_table, "lport,comm,laddr,conn.event,conn.error", 0, true);
	expect("LPORT COMM            LADDR           CONN.EVENT  CONN.ERROR\n");
	expect_row(&writer_table, &sample, "80    curl            127.0.0.1       CLOSE       -\n");
	/* what is wider moves its own line, and the lines after it */
	sample.connection.laddr = (char *)"2001:db8::1:2:3";
	expect_row(&writer_table, &sample, "80    curl            2001:db8::1:2:3 CLOSE       -\n");
	sample.connection.laddr = (char *)"2001:db8:0:1:1:1:1:1";
	expect_row(&writer_table, &sample,
		   "80    curl            2001:db8:0:1:1:1:1:1 CLOSE       -\n");
	sample.connection.laddr = (char *)"10.0.0.1";
	sample.connection.comm = NULL;
	expect_row(&writer_table, &sample,
		   "80    -               10.0.0.1             CLOSE       -\n");
	start(&writer_table, "comm", 0, false);
	expect("");
	expect_row(&writer_table, &sample, "-\n");
}

/* However long a value is, later rows are not pushed out of sight. */
static void table_widens_within_bounds(void **state)
{
	struct sample sample;
	char text[101];

	(void)state;
	memset(text, 'x', 100);
	text[100] = '\0';
	sample_init(&sample);
	start(&writer_table, "conn.error,lport", 0, false);
	sample.conn.error = text;
	put(&writer_table, &sample.event);
	sample.conn.error = (char *)"y";
	output.used = 0;
	put(&writer_table, &sample.event);
	assert_int_equal(output.used, 47 + 1 + 2 + 1);
	expect("y                                               80\n");
}

static void table_in_narrow_terminals(void **state)
{
	struct sample sample;

	(void)state;
	sample_init(&sample);
	start(&writer_table, "time,laddr,comm,lport", 32, true);
	expect("TIME            LADDR\n"
	       "                COMM\n"
	       "                LPORT\n");
	expect_row(&writer_table, &sample,
		   "12:04:11.093211 127.0.0.1\n"
		   "                curl\n"
		   "                80\n");
	sample.connection.laddr = (char *)"2001:db8:1234:5678:9abc:def0:1234:5678";
	expect_row(&writer_table, &sample,
		   "12:04:11.093211\n"
		   "                2001:db8:1234:5678:9abc:def0:1234:5678\n"
		   "                curl\n"
		   "                80\n");
	/* the time leaves no room below its right */
	start(&writer_table, "time,laddr,lport", 20, false);
	sample.connection.laddr = (char *)"127.0.0.1";
	expect_row(&writer_table, &sample,
		   "12:04:11.093211\n"
		   " 127.0.0.1       80\n");
}

/* A long address does not take what the other columns need, a long title does. */
static void table_widens_to_a_part_of_the_terminal(void **state)
{
	struct sample sample;

	(void)state;
	sample_init(&sample);
	start(&writer_table, "laddr,conn.total_retransmits,lport", 80, true);
	expect("LADDR           CONN.TOTAL_RETRANSMITS LPORT\n");
	sample.connection.laddr = (char *)"2001:db8:1234:5678:9abc:def0:1234:5678";
	expect_row(&writer_table, &sample,
		   "2001:db8:1234:5678:9abc:def0:1234:5678 -                      80\n");
	sample.connection.laddr = (char *)"10.0.0.1";
	expect_row(&writer_table, &sample, "10.0.0.1             -                      80\n");
}

static void table_of_one_narrow_column(void **state)
{
	struct sample sample;

	(void)state;
	sample_init(&sample);
	for (unsigned width = 1; width < 8; width++) {
		start(&writer_table, "comm", width, true);
		expect("COMM\n");
		expect_row(&writer_table, &sample, "curl\n");
	}
}

static void table_times(void **state)
{
	static const struct {
		unsigned word;
		const char *header, *row;
	} rows[] = {
		{0, "TIME                           PID\n", "2026-11-22T12:04:11.093211045Z 7\n"},
		{1, "TIME                 PID\n", "1795349051.093211045 7\n"},
		{3, "TIME         PID\n", "0.000000000  7\n"},
	};
	struct sample sample;

	(void)state;
	sample_init(&sample);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		chosen_time = time_format_of(rows[i].word);
		start(&writer_table, "time,pid", 0, true);
		expect(rows[i].header);
		expect_row(&writer_table, &sample, rows[i].row);
	}
	chosen_time = NULL;
}

/* ---------------------------------------------------------------- colours */

static void colors_take_no_room(void **state)
{
	struct sample sample;

	(void)state;
	sample_init(&sample);
	color_init(COLOR_ALWAYS, -1);
	start(&writer_table, "conn.event,pid", 0, true);
	expect(HEADER_COLOR "CONN.EVENT  PID" END "\n");
	expect_row(&writer_table, &sample, PAST "CLOSE" END "       7\n");
	start(&writer_table, "", 80, false);
	expect_row(&writer_table, &sample,
		   "12:04:11.093 " PAST "CLOSE" END
		   "       127.0.0.1:80    -               curl[7]\n");
	color_init(COLOR_NEVER, -1);
	expect_row(&writer_table, &sample,
		   "12:04:11.093 CLOSE       127.0.0.1:80    -               curl[7]\n");
	assert_int_equal(text_width(PAST "CLOSE" END "\xc3\xa9", 15), 6);
}

/* At the end of a terminal's line too: a colour moves nothing to the next one. */
static void colors_wrap_nothing(void **state)
{
	struct sample sample;

	(void)state;
	sample_init(&sample);
	color_init(COLOR_ALWAYS, -1);
	start(&writer_table, "pid,conn.event", 13, true);
	expect(HEADER_COLOR "PID\n CONN.EVENT" END "\n");
	expect_row(&writer_table, &sample, "7       " PAST "CLOSE" END "\n");
	color_init(COLOR_NEVER, -1);
}

static void color_names(void **state)
{
	(void)state;
	color_init(COLOR_ALWAYS, -1);
	assert_non_null(color_of("FAILED", 6));
	assert_null(color_of("FAILE", 5));
	assert_null(color_of("LISTEN", 6));
	assert_true(color_switch(false));
	assert_null(color_of("FAILED", 6));
	assert_false(color_switch(true));
	assert_true(color_is_on());
	color_init(COLOR_NEVER, -1);
	assert_null(color_of("FAILED", 6));
}

static bool automatic(int fd, const char *term, const char *no_color)
{
	unsetenv("NO_COLOR");
	unsetenv("TERM");
	if (term)
		setenv("TERM", term, 1);
	if (no_color)
		setenv("NO_COLOR", no_color, 1);
	color_init(COLOR_AUTO, fd);
	return color_is_on();
}

static void color_by_itself(void **state)
{
	int terminal = posix_openpt(2 /* O_RDWR */), pipes[2];

	(void)state;
	assert_true(terminal >= 0);
	assert_int_equal(pipe(pipes), 0);
	assert_true(automatic(terminal, "xterm", NULL));
	assert_true(automatic(terminal, "xterm", ""));
	assert_false(automatic(terminal, "xterm", "1"));
	assert_false(automatic(terminal, "xterm", "0"));
	assert_false(automatic(terminal, "dumb", NULL));
	assert_false(automatic(terminal, "", NULL));
	assert_false(automatic(terminal, NULL, NULL));
	assert_false(automatic(pipes[1], "xterm", NULL));
	setenv("NO_COLOR", "1", 1);
	color_init(COLOR_ALWAYS, pipes[1]);
	assert_true(color_is_on());
	color_init(COLOR_NEVER, terminal);
	assert_false(color_is_on());
	close(pipes[0]);
	close(pipes[1]);
	close(terminal);
}

/* --------------------------------------------------------------------- pb */

static void expect_frame(size_t at, const Netwatch__Reply *reply)
{
	size_t size;
	uint8_t *data;

	assert_int_equal(frame_pack(&reply->base, &data, &size), 0);
	assert_int_equal(output.used - at, size);
	assert_memory_equal(output.data + at, data, size);
	free(data);
}

/* Byte for byte what the collector sends, with lengths of one byte and of two. */
static void protobuf_stream(void **state)
{
	Netwatch__Reply reply = NETWATCH__REPLY__INIT;
	Netwatch__Hello hello = NETWATCH__HELLO__INIT;
	Netwatch__Subscribed subscribed = NETWATCH__SUBSCRIBED__INIT;
	char program[300] = "";
	struct sample sample;

	(void)state;
	sample_init(&sample);
	output.used = 0;
	reply.reply_case = NETWATCH__REPLY__REPLY_EVENT;
	reply.event = &sample.event;
	put(&writer_pb, &sample.event);
	expect_frame(0, &reply);

	memset(program, 'p', sizeof(program) - 1);
	hello.program = program;
	reply.reply_case = NETWATCH__REPLY__REPLY_HELLO;
	reply.hello = &hello;
	output.used = 0;
	writer_pb.reply(&output, NETWATCH__REPLY__REPLY_HELLO, packed,
			netwatch__hello__pack(&hello, packed));
	expect_frame(0, &reply);

	reply.reply_case = NETWATCH__REPLY__REPLY_SUBSCRIBED;
	reply.subscribed = &subscribed;
	output.used = 0;
	writer_pb.reply(&output, NETWATCH__REPLY__REPLY_SUBSCRIBED, packed, 0);
	expect_frame(0, &reply);
}

static int setup(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	return event_init() || output_init(&output, -1);
}

static int teardown(void **state)
{
	(void)state;
	output_deinit(&output);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_columns),
		cmocka_unit_test(too_many_columns),
		cmocka_unit_test(columns_that_tell_of_losses),
		cmocka_unit_test(csv_row),
		cmocka_unit_test(csv_quotes),
		cmocka_unit_test(csv_loss),
		cmocka_unit_test(table_of_fields),
		cmocka_unit_test(table_widens_within_bounds),
		cmocka_unit_test(table_in_narrow_terminals),
		cmocka_unit_test(table_widens_to_a_part_of_the_terminal),
		cmocka_unit_test(table_of_one_narrow_column),
		cmocka_unit_test(table_times),
		cmocka_unit_test(colors_take_no_room),
		cmocka_unit_test(colors_wrap_nothing),
		cmocka_unit_test(color_names),
		cmocka_unit_test(color_by_itself),
		cmocka_unit_test(protobuf_stream),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
