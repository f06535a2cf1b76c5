// SPDX-License-Identifier: GPL-2.0-only
// The client's formats: golden lines, hostile names, and bytes that are no message.
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/categories.h"
#include "client/columns.h"
#include "client/event.h"
#include "client/ssh.h"
#include "netwatch.pb-c.h"
#include "client/writer.h"

#define SECONDS 1795349051 /* 2026-11-22T12:04:11Z */

/* One event that a test changes before it prints it. */
struct sample {
	Netwatch__Event event;
	Google__Protobuf__Timestamp time;
	Netwatch__Connection connection;
	Netwatch__Conn conn;
};

static void sample_init(struct sample *sample)
{
	netwatch__event__init(&sample->event);
	google__protobuf__timestamp__init(&sample->time);
	netwatch__connection__init(&sample->connection);
	netwatch__conn__init(&sample->conn);
	sample->time.seconds = SECONDS;
	sample->time.nanos = 93211045;
	sample->connection.has_id = sample->connection.has_lport = true;
	sample->connection.id = 4101;
	sample->connection.laddr = (char *)"127.0.0.1";
	sample->connection.lport = 45684;
	sample->connection.raddr = (char *)"127.0.0.1";
	sample->connection.has_rport = sample->connection.has_role = true;
	sample->connection.rport = 80;
	sample->connection.role = NETWATCH__ROLE__CLIENT;
	sample->connection.has_pid = sample->connection.has_uid = true;
	sample->connection.pid = 5173;
	sample->connection.comm = (char *)"curl";
	sample->connection.uid = 1000;
	sample->connection.has_netns = true;
	sample->connection.netns = 4026531840;
	sample->conn.has_event = sample->conn.has_state = sample->conn.has_handshake_us = true;
	sample->conn.event = NETWATCH__CONN__STAGE__ESTABLISHED;
	sample->conn.state = NETWATCH__TCP__STATE__ESTABLISHED;
	sample->conn.handshake_us = 41;
	sample->event.time = &sample->time;
	sample->event.connection = &sample->connection;
	sample->event.conn = &sample->conn;
}

/* Lines into text, terminated. Returns what the writer said. */
static int print_bytes(const struct writer *writer, const uint8_t *data, size_t size, char *text,
		       size_t room)
{
	struct output output;
	struct event event;
	int err;

	assert_int_equal(output_init(&output, -1), 0);
	assert_int_equal(output_begin(&output), 0);
	err = event_read(&event, data, size);
	if (!err) {
		writer->event(&output, &event);
		output_char(&output, '\n');
		err = output_end(&output);
	}
	assert_true(output.used < room);
	memcpy(text, output.data, output.used);
	text[output.used] = '\0';
	output_deinit(&output);
	return err;
}

static void expect(const struct writer *writer, const Netwatch__Event *event, const char *line)
{
	size_t size = netwatch__event__get_packed_size(event);
	uint8_t *data = malloc(size + 1);
	char text[4096];

	assert_non_null(data);
	netwatch__event__pack(event, data);
	assert_int_equal(print_bytes(writer, data, size, text, sizeof(text)), 0);
	assert_string_equal(text, line);
	free(data);
}

static void json_line(void **state)
{
	struct sample sample;

	(void)state;
	sample_init(&sample);
	expect(&writer_json, &sample.event,
	       "{\"time\":\"2026-11-22T12:04:11.093211045Z\",\"connection\":{\"id\":\"4101\","
	       "\"laddr\":\"127.0.0.1\",\"lport\":45684,\"raddr\":\"127.0.0.1\",\"rport\":80,"
	       "\"role\":\"CLIENT\",\"pid\":5173,\"comm\":\"curl\",\"uid\":1000,"
	       "\"netns\":4026531840},\"conn\":{\"event\":\"ESTABLISHED\","
	       "\"state\":\"ESTABLISHED\",\"handshake_us\":41}}\n");
}

/* What was written before is used again only for the same connection. */
static void json_connection_again(void **state)
{
	static const struct {
		const char *comm;
		unsigned pid;
	} rows[] = {{"curl", 1}, {"curl", 1}, {"wget", 1}, {"wget", 2}, {"wget", 2}, {"curl", 1}};
	char line[1024];
	struct sample sample;

	(void)state;
	sample_init(&sample);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sample.connection.comm = (char *)rows[i].comm;
		sample.connection.pid = rows[i].pid;
		snprintf(line, sizeof(line),
			 "{\"time\":\"2026-11-22T12:04:11.093211045Z\",\"connection\":{\"id\":"
			 "\"4101\","
			 "\"laddr\":\"127.0.0.1\",\"lport\":45684,\"raddr\":\"127.0.0.1\","
			 "\"rport\":80,\"role\":\"CLIENT\",\"pid\":%u,\"comm\":\"%s\","
			 "\"uid\":1000,\"netns\":4026531840},\"conn\":{\"event\":\"ESTABLISHED\","
			 "\"state\":\"ESTABLISHED\",\"handshake_us\":41}}\n",
			 rows[i].pid, rows[i].comm);
		expect(&writer_json, &sample.event, line);
	}
}

/* One that is too long to be kept. */
static void json_long_connection(void **state)
{
	char comm[600], line[1024];
	struct sample sample;

	(void)state;
	sample_init(&sample);
	memset(comm, 'x', sizeof(comm) - 1);
	comm[sizeof(comm) - 1] = '\0';
	netwatch__connection__init(&sample.connection);
	sample.connection.comm = comm;
	sample.event.time = NULL;
	snprintf(line, sizeof(line),
		 "{\"connection\":{\"comm\":\"%s\"},\"conn\":{\"event\":"
		 "\"ESTABLISHED\",\"state\":\"ESTABLISHED\",\"handshake_us\":41}}\n",
		 comm);
	for (int i = 0; i < 2; i++)
		expect(&writer_json, &sample.event, line);
}

static void json_absent_and_extreme(void **state)
{
	Netwatch__Connection connection = NETWATCH__CONNECTION__INIT;
	Netwatch__Conn conn = NETWATCH__CONN__INIT;
	Netwatch__Event event = NETWATCH__EVENT__INIT;

	(void)state;
	event.conn = &conn;
	expect(&writer_json, &event, "{\"conn\":{}}\n");
	event.connection = &connection;
	connection.has_id = true;
	connection.id = UINT64_MAX;
	conn.has_event = true;
	conn.event = 117; /* of a newer collector: not a value of this enum */
	conn.has_handshake_us = true;
	conn.handshake_us = UINT64_MAX;
	conn.has_duration_us = true;
	expect(&writer_json, &event,
	       "{\"connection\":{\"id\":\"18446744073709551615\"},\"conn\":{"
	       "\"handshake_us\":18446744073709551615,\"duration_us\":0}}\n");
}

static void json_lost(void **state)
{
	Google__Protobuf__Timestamp first = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Netwatch__Event event = NETWATCH__EVENT__INIT;
	Netwatch__Lost lost = NETWATCH__LOST__INIT;

	(void)state;
	lost.has_cause = lost.has_count = true;
	lost.cause = NETWATCH__LOST__CAUSE__SUBSCRIBER_QUEUE;
	lost.count = 12;
	lost.first = &first;
	event.lost = &lost;
	expect(&writer_json, &event,
	       "{\"lost\":{\"cause\":\"SUBSCRIBER_QUEUE\",\"count\":12,"
	       "\"first\":\"1970-01-01T00:00:00.000000000Z\"}}\n");
}

static const struct columns none; /* chosen */
static const struct writer_layout plain;

/* Starts a table, and checks its header. */
static void expect_header(const struct writer_layout *layout, const char *line)
{
	struct output header;

	assert_int_equal(output_init(&header, -1), 0);
	writer_table.start(&header, layout);
	header.data[header.used] = '\0';
	assert_string_equal(header.data, line);
	output_deinit(&header);
}

/* For a terminal of that width, or 0. */
static void start_table(unsigned width, bool several, const char *line)
{
	const struct categories two = {.names = {"conn", "packet"}, .count = several ? 2 : 1};

	expect_header(
		&(struct writer_layout){
			.width = width,
			.header = true,
			.categories = &two,
			.columns = &none,
		},
		line);
}

static void table_line(void **state)
{
	struct sample sample;

	(void)state;
	start_table(80, false,
		    "TIME         EVENT       LOCAL           REMOTE          PROCESS         "
		    "DETAILS\n");
	sample_init(&sample);
	sample.conn.handshake_us = 1;
	sample.connection.comm = (char *)"ssh";
	expect(&writer_table, &sample.event,
	       "12:04:11.093 ESTABLISHED 127.0.0.1:45684 127.0.0.1:80    ssh[5173]\n"
	       "             handshake_us=1\n");
	/* a column widens, and stays so */
	sample.connection.laddr = (char *)"2001:db8::1";
	sample.conn.has_handshake_us = false;
	expect(&writer_table, &sample.event,
	       "12:04:11.093 ESTABLISHED [2001:db8::1]:45684 127.0.0.1:80    ssh[5173]\n");
	sample.connection.laddr = sample.connection.raddr = sample.connection.comm = NULL;
	sample.connection.has_pid = false;
	expect(&writer_table, &sample.event,
	       "12:04:11.093 ESTABLISHED -                   -               -\n");
}

/* What is too long for its row goes on below: cells and details, never a part of one. */
static void table_wraps(void **state)
{
	struct sample sample;

	(void)state;
	start_table(80, false,
		    "TIME         EVENT       LOCAL           REMOTE          PROCESS         "
		    "DETAILS\n");
	sample_init(&sample);
	sample.connection.laddr = (char *)"2001:db8:1234:5678:9abc:def0:1234:5678";
	sample.connection.raddr = (char *)"2001:db8:1234:5678:9abc:def0:1234:5678";
	sample.conn.event = NETWATCH__CONN__STAGE__FAILED;
	sample.conn.error = (char *)"no words of which a row could be made as long as this is";
	expect(&writer_table, &sample.event,
	       "12:04:11.093 FAILED      [2001:db8:1234:5678:9abc:def0:1234:5678]:45684\n"
	       "             [2001:db8:1234:5678:9abc:def0:1234:5678]:80 curl[5173]\n"
	       "             state=ESTABLISHED\n"
	       "             error=\"no words of which a row could be made as long as this is\"\n"
	       "             handshake_us=41\n");
}

static void table_widths(void **state)
{
	const struct categories conn = {.names = {"conn"}, .count = 1};
	struct sample sample;

	(void)state;
	sample_init(&sample);
	sample.connection.cgroup = (char *)"/";
	start_table(80, true,
		    "TIME         CATEGORY EVENT       LOCAL           REMOTE          "
		    "PROCESS         DETAILS\n");
	expect_header(&(struct writer_layout){.width = 80,
					      .snapshot = true,
					      .header = true,
					      .categories = &conn,
					      .columns = &none},
		      "EVENT       LOCAL           REMOTE          PROCESS         DETAILS\n");
	start_table(120, false,
		    "TIME            EVENT       LOCAL                 REMOTE                "
		    "PROCESS         ROLE   DETAILS\n");
	expect(&writer_table, &sample.event,
	       "12:04:11.093211 ESTABLISHED 127.0.0.1:45684       127.0.0.1:80          "
	       "curl[5173]      CLIENT handshake_us=41\n");
	start_table(200, false,
		    "TIME            EVENT       LOCAL                 REMOTE                "
		    "PROCESS         ROLE   UID   CGROUP DETAILS\n");
	start_table(0, false,
		    "TIME            CATEGORY EVENT       LOCAL                 "
		    "REMOTE                PROCESS         ROLE   UID   CGROUP NETNS      ID       "
		    "DETAILS\n");
	expect(&writer_table, &sample.event,
	       "12:04:11.093211 conn     ESTABLISHED 127.0.0.1:45684       "
	       "127.0.0.1:80          curl[5173]      CLIENT 1000  /      4026531840 4101     "
	       "handshake_us=41\n");
}

static void table_hostile_name_moves_one_line_only(void **state)
{
	struct sample sample;

	(void)state;
	start_table(100, false,
		    "TIME            EVENT       LOCAL           REMOTE          PROCESS         "
		    "DETAILS\n");
	sample_init(&sample);
	sample.connection.comm = (char *)"\1\2\3\4\5\6\7\10\11";
	expect(&writer_table, &sample.event,
	       "12:04:11.093211 ESTABLISHED 127.0.0.1:45684 127.0.0.1:80\n"
	       "                \\x01\\x02\\x03\\x04\\x05\\x06\\x07\\x08\\x09[5173] "
	       "handshake_us=41\n");
	sample.connection.comm = (char *)"curl";
	expect(&writer_table, &sample.event,
	       "12:04:11.093211 ESTABLISHED 127.0.0.1:45684 127.0.0.1:80    "
	       "curl[5173]               handshake_us=41\n");
}

static void compact_line(void **state)
{
	struct sample sample;

	(void)state;
	writer_compact.start(NULL, &plain);
	sample_init(&sample);
	expect(&writer_compact, &sample.event,
	       "12:04:11.093211 curl[5173] 127.0.0.1:45684 > 127.0.0.1:80 conn ESTABLISHED "
	       "handshake_us=41\n");
	sample.connection.role = NETWATCH__ROLE__SERVER;
	sample.connection.comm = NULL;
	sample.connection.has_pid = false;
	sample.connection.has_rport = false;
	sample.conn.event = NETWATCH__CONN__STAGE__FAILED;
	sample.conn.error = (char *)"two words";
	expect(&writer_compact, &sample.event,
	       "12:04:11.093211 - 127.0.0.1:45684 < 127.0.0.1:* conn FAILED state=ESTABLISHED "
	       "error=\"two words\" handshake_us=41\n");
}

static void hostile_names(void **state)
{
	struct sample sample;

	(void)state;
	writer_compact.start(NULL, &plain);
	sample_init(&sample);
	sample.event.time = NULL;
	netwatch__connection__init(&sample.connection);
	netwatch__conn__init(&sample.conn);
	sample.connection.comm =
		(char *)"a\x1b[31m\"\\\x7f\n\xc2\x9b\xe2\x80\xae\xe2\x80\xa8\xc3\xa9";
	expect(&writer_json, &sample.event,
	       "{\"connection\":{\"comm\":\"a\\u001b[31m\\\"\\\\\\u007f\\u000a\\u009b\\u202e\\u2028"
	       "\xc3\xa9\"},\"conn\":{}}\n");
	expect(&writer_compact, &sample.event,
	       "a\\x1b[31m\"\\\\x7f\\x0a\\x9b\\u{202e}\\u{2028}\xc3\xa9 - - - conn\n");
	sample.connection.comm = (char *)"\xff\xc0\x80"; /* against the contract, and no UTF-8 */
	expect(&writer_json, &sample.event,
	       "{\"connection\":{\"comm\":\"\\\\xff\\\\xc0\\\\x80\"},\"conn\":{}}\n");
}

static void unknown_fields_are_skipped(void **state)
{
	static const uint8_t data[] = {
		0xa2, 0x06, 0x02, 0x08, 0x01,	    /* field 100, a message */
		0xf8, 0xff, 0xff, 0xff, 0x0f, 0x05, /* field 2^29-1, a varint */
		0x22, 0x09,			    /* conn */
		0x20, 0x29,			    /* handshake_us */
		0x9d, 0x06, 1,	  2,	3,    4,    /* field 99, four bytes */
		0x0d, /* the tag of a fixed32, where event is a varint: cut below */
	};
	uint8_t copy[sizeof(data)];
	char text[256];

	(void)state;
	memcpy(copy, data, sizeof(copy));
	copy[12] = 8;
	assert_int_equal(print_bytes(&writer_json, copy, sizeof(copy) - 1, text, sizeof(text)), 0);
	assert_string_equal(text, "{\"conn\":{\"handshake_us\":41}}\n");
	assert_int_equal(print_bytes(&writer_json, data, sizeof(data), text, sizeof(text)),
			 -EBADMSG);
	assert_string_equal(text, "");
}

static void malformed(void **state)
{
	static const struct {
		uint8_t data[16];
		size_t size;
	} cases[] = {
		{{0xff}, 1},		 /* tag without its end */
		{{0x00, 0x00}, 2},	 /* field 0 */
		{{0x22}, 1},		 /* no length */
		{{0x22, 0x05, 0x08}, 3}, /* length beyond the end */
		{{0x22, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 11},
		{{0x0b}, 1},					 /* group */
		{{0x22, 0x01, 0x08}, 3},			 /* cut inside of conn */
		{{0x12, 0x03, 0x09, 0x01, 0x02, 0x22, 0x00}, 7}, /* fixed64 of two bytes */
		{{0x0a, 0x06, 0x10, 0x80, 0x94, 0xeb, 0xdc, 0x03, 0x22, 0x00}, 10}, /* 10^9 ns */
		{{0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 12},
	};
	char text[256];

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(print_bytes(&writer_json, cases[i].data, cases[i].size, text,
					     sizeof(text)),
				 -EBADMSG);
}

static bool is_ssh(const char *variable, const Netwatch__Event *message)
{
	uint8_t data[512];
	struct event event;
	struct ssh ssh;

	ssh_init(&ssh, variable);
	assert_int_equal(event_read(&event, data, netwatch__event__pack(message, data)), 0);
	return ssh_is(&ssh, &event);
}

static void ssh_of_this_terminal(void **state)
{
	struct sample sample;

	(void)state;
	sample_init(&sample);
	sample.connection.laddr = (char *)"fe80::1";
	sample.connection.raddr = (char *)"fe80::2";
	assert_true(is_ssh("fe80::2%eth0 80 fe80::1%eth0 45684", &sample.event));
	assert_true(is_ssh("fe80::2 80 fe80::1 45684", &sample.event));
	assert_true(is_ssh("fe80::1 45684 fe80::2 80", &sample.event)); /* from this host */
	assert_false(is_ssh("fe80::1 80 fe80::2 45684", &sample.event));
	assert_false(is_ssh("fe80::2 45684 fe80::1 80", &sample.event));
	assert_false(is_ssh("fe80::2 81 fe80::1 45684", &sample.event));
	assert_false(is_ssh("fe80::3 80 fe80::1 45684", &sample.event));
	assert_false(is_ssh("fe80::2 80 fe80::1", &sample.event));
	assert_false(is_ssh("", &sample.event));
	assert_false(is_ssh(NULL, &sample.event));
	sample.event.connection = NULL;
	assert_false(is_ssh("fe80::2 80 fe80::1 45684", &sample.event));
}

static int setup(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	return event_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_line),
		cmocka_unit_test(json_connection_again),
		cmocka_unit_test(json_long_connection),
		cmocka_unit_test(json_absent_and_extreme),
		cmocka_unit_test(json_lost),
		cmocka_unit_test(table_line),
		cmocka_unit_test(table_wraps),
		cmocka_unit_test(table_widths),
		cmocka_unit_test(table_hostile_name_moves_one_line_only),
		cmocka_unit_test(compact_line),
		cmocka_unit_test(hostile_names),
		cmocka_unit_test(unknown_fields_are_skipped),
		cmocka_unit_test(malformed),
		cmocka_unit_test(ssh_of_this_terminal),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
