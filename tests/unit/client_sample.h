/* SPDX-License-Identifier: GPL-2.0-only */
/* An event for the writers of tables and CSV, and what they make of it. */
#ifndef NETWATCH_TEST_CLIENT_SAMPLE_H
#define NETWATCH_TEST_CLIENT_SAMPLE_H

#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "client/categories.h"
#include "client/columns.h"
#include "client/event.h"
#include "client/timestamp.h"
#include "client/writer.h"
#include "netwatch.pb-c.h"

#define SECONDS 1795349051 /* 2026-11-22T12:04:11Z */

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

static inline void start(const struct writer *writer, const char *names, unsigned width,
			 bool header)
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

static inline void expect_row(const struct writer *writer, const struct sample *sample,
			      const char *row)
{
	put(writer, &sample->event);
	expect(row);
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

#endif
