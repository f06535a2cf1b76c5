// SPDX-License-Identifier: GPL-2.0-only
// Counters, gauges and histograms: what is written, and that their number is bounded.
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/metrics.h"
#include "client/output.h"

#define PORTS 3

static struct output output;

static const char *text(void)
{
	output.used = output.line = 0;
	metrics_write(&output);
	assert_int_equal(output.err, 0);
	output.data[output.used] = '\0';
	return output.data;
}

/* A whole line of the page. */
static void expect(const char *line)
{
	char with_ends[512];

	snprintf(with_ends, sizeof(with_ends), "\n%s\n", line);
	if (!strstr(text(), with_ends))
		fail_msg("no line: %s", line);
}

static unsigned count(const char *begin)
{
	unsigned n = 0;

	for (const char *at = text(); (at = strstr(at, begin)); at++)
		n += at[-1] == '\n';
	return n;
}

/* A rate needs a zero to begin with. */
static void zeros(void **state)
{
	(void)state;
	expect("netwatch_tcp_connects_total{role=\"server\",result=\"timed_out\"} 0");
	expect("netwatch_tcp_retransmits_total{type=\"syn_ack\"} 0");
	expect("netwatch_events_lost_total{where=\"kernel\"} 0");
	expect("netwatch_tcp_rtt_seconds_count 0");
	assert_int_equal(count("netwatch_collector_cpu_seconds_total"), 0);
}

static void counters(void **state)
{
	(void)state;
	metrics_add(METRICS_CONNECTS, METRICS_VALUES("client", "ok"), 2);
	metrics_add(METRICS_CONNECTS, METRICS_VALUES("client", "ok"), 3);
	metrics_set(METRICS_CPU, NULL, 1500000000);
	expect("netwatch_tcp_connects_total{role=\"client\",result=\"ok\"} 5");
	expect("netwatch_tcp_connects_total{role=\"server\",result=\"ok\"} 0");
	expect("netwatch_collector_cpu_seconds_total 1.5");
}

/* A bucket has what is not above its bound, and all of those below. */
static void histograms(void **state)
{
	static const uint64_t nanoseconds[] = {0, 500000, 500001, 1000000, 999999999, 5000000000};

	(void)state;
	for (unsigned i = 0; i < sizeof(nanoseconds) / sizeof(nanoseconds[0]); i++)
		metrics_observe(METRICS_RTT, NULL, nanoseconds[i]);
	expect("netwatch_tcp_rtt_seconds_bucket{le=\"0.0005\"} 2");
	expect("netwatch_tcp_rtt_seconds_bucket{le=\"0.001\"} 4");
	expect("netwatch_tcp_rtt_seconds_bucket{le=\"0.5\"} 4");
	expect("netwatch_tcp_rtt_seconds_bucket{le=\"1\"} 5");
	expect("netwatch_tcp_rtt_seconds_bucket{le=\"+Inf\"} 6");
	expect("netwatch_tcp_rtt_seconds_count 6");
	expect("netwatch_tcp_rtt_seconds_sum 6.002");
}

static void bound(void **state)
{
	char status[8];

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(status, sizeof(status), "%u", i);
		metrics_add(METRICS_DROPS, METRICS_VALUES(status), 1);
		metrics_observe(METRICS_HTTP_SERVER, METRICS_VALUES("GET", status, "http"), 1);
	}
	assert_int_equal(count("netwatch_packet_drops_total{"), 64 + 1);
	assert_int_equal(count("http_server_request_duration_seconds_count{"), 128 + 1);
	expect("netwatch_packet_drops_total{reason=\"63\"} 1");
	expect("netwatch_packet_drops_total{reason=\"other\"} 1936");
	expect("http_server_request_duration_seconds_count{http_request_method=\"other\","
	       "http_response_status_code=\"other\",url_scheme=\"other\"} 1872");
}

static void gauges(void **state)
{
	static const char *const ports[] = {"1", "2", "3", "4", "5"};

	(void)state;
	for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		metrics_add(METRICS_BACKLOG, METRICS_VALUES(ports[i]), 10);
	expect("netwatch_listen_backlog{lport=\"3\"} 10");
	expect("netwatch_listen_backlog{lport=\"other\"} 20");
	metrics_clear(METRICS_BACKLOG);
	assert_int_equal(count("netwatch_listen_backlog{"), 0);
	metrics_add(METRICS_BACKLOG, METRICS_VALUES("5"), 1);
	expect("netwatch_listen_backlog{lport=\"5\"} 1");
}

/* Of ports: those that were not used since the last time are gone, and others have their place. */
static void sweep(void **state)
{
	static const char *const ports[] = {"1", "2", "3", "4"};

	(void)state;
	for (unsigned i = 0; i < PORTS; i++)
		metrics_add(METRICS_LISTEN_DROPS, METRICS_VALUES(ports[i]), 10);
	metrics_sweep(METRICS_LISTEN_DROPS);
	assert_int_equal(count("netwatch_listen_drops_total{"), PORTS);
	metrics_add(METRICS_LISTEN_DROPS, METRICS_VALUES("2"), 0);
	metrics_sweep(METRICS_LISTEN_DROPS);
	assert_int_equal(count("netwatch_listen_drops_total{"), 1);
	expect("netwatch_listen_drops_total{lport=\"2\"} 10");
	for (unsigned i = 1; i < sizeof(ports) / sizeof(ports[0]); i++)
		metrics_add(METRICS_LISTEN_DROPS, METRICS_VALUES(ports[i]), 1);
	expect("netwatch_listen_drops_total{lport=\"2\"} 11");
	expect("netwatch_listen_drops_total{lport=\"4\"} 1");
	assert_int_equal(count("netwatch_listen_drops_total{"), PORTS);
	metrics_sweep(METRICS_LISTEN_DROPS);
	metrics_sweep(METRICS_LISTEN_DROPS);
	assert_int_equal(count("netwatch_listen_drops_total{"), 0);
}

/* A longer value is cut, and found again. */
static void long_values(void **state)
{
	char value[200];

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	metrics_add(METRICS_DROPS, METRICS_VALUES(value), 1);
	metrics_add(METRICS_DROPS, METRICS_VALUES(value), 1);
	assert_int_equal(count("netwatch_packet_drops_total{reason=\"xxx"), 1);
}

static int setup(void **state)
{
	(void)state;
	return output_init(&output, -1) || metrics_init(PORTS);
}

static int teardown(void **state)
{
	(void)state;
	metrics_deinit();
	output_deinit(&output);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(zeros),  TEST(counters), TEST(histograms),	 TEST(bound),
		TEST(gauges), TEST(sweep),    TEST(long_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
