// SPDX-License-Identifier: GPL-2.0-only
// Filters for recorded events: each dimension by hand from the command line to the verdict, and
// what an event may lack.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/event.h"
#include "client/judge.h"
#include "client/options.h"
#include "netwatch.pb-c.h"

#define ARGS_MAX 16

static const struct command commands[] = {
	{"replay", COMMAND_REPLAY, NULL, "", NULL, false},
	{.name = NULL},
};

/* What the tests change: 10.0.0.1:44444 to 192.168.1.2:80, and what it says in HTTP. */
static Netwatch__Event event;
static Netwatch__Connection connection;
static Netwatch__Conn conn;
static Netwatch__Http http;

static int reset(void **state)
{
	(void)state;
	netwatch__event__init(&event);
	netwatch__connection__init(&connection);
	netwatch__conn__init(&conn);
	netwatch__http__init(&http);
	event.connection = &connection;
	event.conn = &conn;
	connection.laddr = (char *)"10.0.0.1";
	connection.raddr = (char *)"192.168.1.2";
	connection.has_lport = connection.has_rport = connection.has_uid = true;
	connection.lport = 44444;
	connection.rport = 80;
	connection.uid = 1000;
	connection.has_pid = connection.has_role = connection.has_netns = true;
	connection.pid = 77;
	connection.comm = (char *)"curl";
	connection.role = NETWATCH__ROLE__CLIENT;
	connection.netns = 4026531840;
	connection.has_cgroup_id = true;
	connection.cgroup_id = 5;
	connection.cgroup = (char *)"/over/a";
	return 0;
}

/* The event is an HTTP message. */
static void say(Netwatch__Http__Kind kind, const char *method, const char *host, const char *target)
{
	event.conn = NULL;
	event.http = &http;
	http.has_event = true;
	http.event = kind;
	http.method = (char *)method;
	http.host = (char *)host;
	http.target = (char *)target;
}

static enum verdict judge(const char *line)
{
	static struct options options;
	static struct judge judge_;
	static char name[] = "netwatch";
	char text[512], *argv[ARGS_MAX] = {name}, *save;
	enum verdict verdict;
	uint8_t packed[1024];
	struct event read;
	int argc = 1;

	assert_true(strlen(line) < sizeof(text));
	strcpy(text, line);
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	assert_int_equal(options_parse(&options, argc, argv, commands), 0);
	memset(&judge_, 0, sizeof(judge_));
	assert_int_equal(judge_init(&judge_, &options.filter), 0);
	assert_true(netwatch__event__get_packed_size(&event) <= sizeof(packed));
	assert_int_equal(event_read(&read, packed, netwatch__event__pack(&event, packed)), 0);
	verdict = judge_event(&judge_, &read);
	options_deinit(&options);
	return verdict;
}

#define ACCEPTS(line) assert_int_equal(judge(line), JUDGE_ACCEPTS)
#define REFUSES(line) assert_int_equal(judge(line), JUDGE_REFUSES)
#define FILTERS(line) assert_int_equal(judge(line), JUDGE_FILTERS)

static void test_connection(void **state)
{
	static const char *const accepted[] = {
		"-s 44444",
		"-d 79-81",
		"--port 80",
		"--port 44444",
		"--laddr 10.0.0.0/8",
		"--raddr 192.168.1.2",
		"--addr 10.0.0.1",
		"--addr 192.168.0.0/16",
		"-4",
		"--pid 77",
		"--comm curl",
		"--uid 1000",
		"--role client",
		"--netns 4026531840",
		"--cgroup /over/a",
		"--cgroup over",
		"--cgroup /",
	};
	static const char *const refused[] = {
		"-s 80",
		"-d 81-65535",
		"--port 443",
		"--laddr 10.1.0.0/16",
		"--addr ::/0",
		"-6",
		"--pid 78",
		"--comm cur",
		"--uid 0",
		"--role server",
		"--netns 1",
		"--cgroup /over/ab",
		"--cgroup /ov",
		"--cgroup /over/a/b",
		"--raddr 10.0.0.1",
		"--comm curly",
	};
	char turned[64];

	(void)state;
	ACCEPTS("");
	for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
		snprintf(turned, sizeof(turned), "--not %s", accepted[i]);
		ACCEPTS(accepted[i]);
		REFUSES(turned);
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		snprintf(turned, sizeof(turned), "--not %s", refused[i]);
		REFUSES(refused[i]);
		ACCEPTS(turned);
	}
	ACCEPTS("-d 80 --comm curl,wget --not --cgroup /other");
	REFUSES("-d 80 --comm curl --not --cgroup /over");
}

/* A socket that listens has no other end; ports of 0 match nothing. */
static void test_listener(void **state)
{
	(void)state;
	connection.raddr = NULL;
	connection.has_rport = false;
	connection.laddr = (char *)"::";
	ACCEPTS("-6 -s 44444 --laddr ::/0");
	ACCEPTS("--not -d 80");
	REFUSES("-d 80");
	REFUSES("--laddr 0.0.0.0/0");
}

/* What is not known matches only a filter that does not ask. */
static void test_unknown(void **state)
{
	(void)state;
	connection.comm = NULL;
	ACCEPTS("--pid 77");
	REFUSES("--comm curl");
	connection.has_pid = false;
	REFUSES("--pid 77");
	REFUSES("--not --pid 78");
	REFUSES("--comm curl");
	REFUSES("--not --comm x");
	ACCEPTS("-d 80");
	connection.has_role = false;
	REFUSES("--role client");
	connection.cgroup = NULL; /* of a stream without paths */
	ACCEPTS("--cgroup /");
	REFUSES("--cgroup /over");
	/* no socket */
	connection.has_uid = connection.has_cgroup_id = false;
	REFUSES("--uid 1000");
	REFUSES("--not --uid 0");
	REFUSES("--not --cgroup /other");
	ACCEPTS("-d 80");
	event.connection = NULL;
	REFUSES("-d 80");
	ACCEPTS("");
}

static void test_odd_values(void **state)
{
	(void)state;
	connection.laddr = (char *)"::ffff:10.0.0.1";
	ACCEPTS("-4 --laddr 10.0.0.1");
	connection.laddr = (char *)"no address, and much longer than one could be, even of IPv6";
	REFUSES("--laddr 10.0.0.1");
	connection.laddr = (char *)"1:2:3";
	REFUSES("--laddr ::1");
	/* escaped it is longer than any name */
	connection.comm = (char *)"\\xff\\xff\\xff\\xff\\xff";
	REFUSES("--comm \\xff\\xff\\xff\\xff");
	ACCEPTS("--not --comm curl");
}

static void test_http(void **state)
{
	(void)state;
	say(NETWATCH__HTTP__KIND__REQUEST, "GET", "h.test:8080", "/a/b?c=d");
	ACCEPTS("--http-method get,put --http-host H.test --http-path /a/*");
	FILTERS("--http-path /b*");
	FILTERS("--not --http-host h.test");
	FILTERS("--http-status 200"); /* responses only */
	FILTERS("--not --http-status 200");
	FILTERS("--min-latency 1ms");
	REFUSES("-d 81 --http-method GET");
	http.event = NETWATCH__HTTP__KIND__RESPONSE;
	http.has_status = http.has_latency_us = true;
	http.status = 503;
	http.latency_us = 1000;
	ACCEPTS("--http-status 500-599 --min-latency 1ms");
	FILTERS("--http-status 500-502");
	FILTERS("--min-latency 2ms");
	ACCEPTS("--not --min-latency 2ms");
	/* its request was not seen */
	http.method = http.host = http.target = NULL;
	FILTERS("--http-method GET");
	ACCEPTS("--not --http-method GET");
}

/* Filters for HTTP have no effect on other events. */
static void test_others(void **state)
{
	(void)state;
	ACCEPTS("--http-method GET --http-status 500 --min-latency 1h");
}

/* The limits are the collector's. */
static void test_limits(void **state)
{
	static struct options options;
	static struct judge judge_;
	static char name[] = "netwatch", word[] = "-d", ports[512];
	char *argv[] = {name, word, ports, NULL};

	(void)state;
	for (int i = 0; i < 65; i++)
		sprintf(ports + strlen(ports), "%s%d", i ? "," : "", 1000 + 2 * i);
	assert_int_equal(options_parse(&options, 3, argv, commands), 0);
	assert_int_equal(judge_init(&judge_, &options.filter), -EINVAL);
	options_deinit(&options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_connection, reset),
		cmocka_unit_test_setup(test_listener, reset),
		cmocka_unit_test_setup(test_unknown, reset),
		cmocka_unit_test_setup(test_odd_values, reset),
		cmocka_unit_test_setup(test_http, reset),
		cmocka_unit_test_setup(test_others, reset),
		cmocka_unit_test_setup(test_limits, reset),
	};

	if (event_init())
		return 1;
	event_as_recorded();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
