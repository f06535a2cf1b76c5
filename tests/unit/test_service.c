// SPDX-License-Identifier: GPL-2.0-only
/* What a service manager passes in the environment, and what it is told. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "cmocka_all.h"
#include "collector/service.h"

static const char *const names[] = {"LISTEN_PID", "LISTEN_FDS", "NOTIFY_SOCKET", "WATCHDOG_USEC",
				    "WATCHDOG_PID"};

static char me[16];
static int manager; /* where it is told */

/* A row names LISTEN_PID and WATCHDOG_PID "me" where this process is meant. */
static void set(const char *name, const char *value)
{
	if (value)
		setenv(name, strcmp(value, "me") ? value : me, 1);
	else
		unsetenv(name);
}

static int clean(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	return 0;
}

static void test_environment(void **state)
{
	static const struct {
		const char *values[5]; /* in the order of names */
		int expected, listener;
		uint64_t watchdog_us;
	} rows[] = {
		{{NULL}, 0, -1, 0},
		{{"me", "1"}, 0, 3, 0},
		{{"1", "1"}, 0, -1, 0}, /* another process's */
		{{NULL, "1"}, 0, -1, 0},
		{{"1", "many"}, 0, -1, 0},
		{{"me", "2"}, -EINVAL, 0, 0},
		{{"me", "0"}, -EINVAL, 0, 0},
		{{"me", "many"}, -EINVAL, 0, 0},
		{{"me", "-1"}, -EINVAL, 0, 0},
		{{"me", "1 "}, -EINVAL, 0, 0},
		{{"me", ""}, -EINVAL, 0, 0},
		{{"x", "1"}, -EINVAL, 0, 0},
		{{"99999999999999999999", "1"}, -EINVAL, 0, 0},
		{{NULL, NULL, NULL, "7000000"}, 0, -1, 7000000},
		{{NULL, NULL, NULL, "7000000", "me"}, 0, -1, 7000000},
		{{NULL, NULL, NULL, "7000000", "1"}, 0, -1, 0},
		{{NULL, NULL, NULL, "soon"}, -EINVAL, 0, 0},
		{{NULL, NULL, NULL, "1", "x"}, -EINVAL, 0, 0},
		{{NULL, NULL, "relative"}, -EINVAL, 0, 0},
		{{NULL, NULL, ""}, -EINVAL, 0, 0},
		{{NULL, NULL, "/none/such"}, 0, -1, 0}, /* is told in vain, later */
	};

	(void)state;
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct service service;

		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			set(names[i], rows[row].values[i]);
		assert_int_equal(service_init(&service), rows[row].expected);
		if (!rows[row].expected) {
			assert_int_equal(service.listener, rows[row].listener);
			assert_int_equal(service.watchdog_us, rows[row].watchdog_us);
		}
		service_deinit(&service);
	}
}

static void test_path_too_long(void **state)
{
	char path[200];
	struct service service;

	(void)state;
	memset(path, '/', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(service_init(&service), -EINVAL);
}

static void listen_as(const char *name, char *path, size_t size)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	socklen_t length;

	snprintf(path, size, name, me);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	length =
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + (*path == '/'));
	if (*path == '@')
		sun.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&sun, length), 0);
	setenv("NOTIFY_SOCKET", path, 1);
}

static void check_told(const char *expected)
{
	char text[600];
	ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

	if (!expected) {
		assert_int_equal(n, -1);
		return;
	}
	assert_true(n >= 0);
	text[n] = '\0';
	assert_string_equal(text, expected);
}

static void test_told(void **state)
{
	static const char *const forms[] = {"/tmp/netwatch-test-notify.%s", "@netwatch-test.%s"};
	struct service service;
	char path[64];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		listen_as(forms[i], path, sizeof(path));
		assert_int_equal(service_init(&service), 0);
		check_told(NULL);
		service_ready(&service, "serving x");
		check_told("READY=1\nSTATUS=serving x");
		service_stopping(&service);
		check_told("STOPPING=1\nSTATUS=saying good-bye to clients");
		service_deinit(&service);
		close(manager);
		unlink(path);
	}
}

static bool serves(void *arg)
{
	return *(const bool *)arg;
}

static void test_watchdog(void **state)
{
	struct event_base *base = event_base_new();
	struct service service;
	bool good = true;
	char path[64];

	(void)state;
	listen_as("@netwatch-test.%s", path, sizeof(path));
	setenv("WATCHDOG_USEC", "100000", 1);
	assert_int_equal(service_init(&service), 0);
	assert_int_equal(service_watch(&service, base, serves, &good), 0);
	check_told(NULL);
	for (int i = 0; i < 3; i++) {
		event_base_loop(base, EVLOOP_ONCE);
		check_told("WATCHDOG=1");
		check_told(NULL);
	}
	good = false;
	event_base_loop(base, EVLOOP_ONCE);
	check_told(NULL);
	good = true;
	event_base_loop(base, EVLOOP_ONCE);
	check_told("WATCHDOG=1");
	service_deinit(&service);
	assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 1); /* no timer is left */
	event_base_free(base);
	close(manager);
}

/* Without one no timer runs. */
static void test_no_watchdog(void **state)
{
	struct event_base *base = event_base_new();
	struct service service;
	bool good = true;
	char path[64];

	(void)state;
	listen_as("@netwatch-test.%s", path, sizeof(path));
	assert_int_equal(service_init(&service), 0);
	assert_int_equal(service_watch(&service, base, serves, &good), 0);
	assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 1);
	service_deinit(&service);
	event_base_free(base);
	close(manager);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, clean, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_environment), TEST(test_path_too_long), TEST(test_told),
		TEST(test_watchdog),	TEST(test_no_watchdog),
	};

	snprintf(me, sizeof(me), "%d", getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
