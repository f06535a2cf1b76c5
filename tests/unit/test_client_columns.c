// SPDX-License-Identifier: GPL-2.0-only
// Columns by name, CSV, and the protobuf stream.
#include <errno.h>

#include "client_sample.h"
#include "frame.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_columns),
		cmocka_unit_test(too_many_columns),
		cmocka_unit_test(columns_that_tell_of_losses),
		cmocka_unit_test(csv_row),
		cmocka_unit_test(csv_quotes),
		cmocka_unit_test(csv_loss),
		cmocka_unit_test(protobuf_stream),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
