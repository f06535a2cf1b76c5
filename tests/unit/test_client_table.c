// SPDX-License-Identifier: GPL-2.0-only
// Tables of chosen fields, and colours.
#include <fcntl.h>
#include <unistd.h>

#include "client/color.h"
#include "client/text.h"
#include "client_sample.h"

#define HEADER_COLOR "\033[1m"
#define PAST	     "\033[2m"
#define END	     "\033[0m"

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
	int terminal = posix_openpt(O_RDWR), pipes[2];

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
