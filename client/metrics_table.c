// SPDX-License-Identifier: GPL-2.0-only
// What there is to count: a row for each family.
#include <stddef.h>

#include "metrics_table.h"

#define US 1000ull
#define MS (1000 * US)
#define S  (1000 * MS)

/* As OpenTelemetry has them, where it has any. */
static const uint64_t rtt_bounds[] = {500 * US, 1 * MS,	  2 * MS,   5 * MS,   10 * MS, 25 * MS,
				      50 * MS,	100 * MS, 250 * MS, 500 * MS, 1 * S,   0};
static const uint64_t handshake_bounds[] = {50 * US,  100 * US, 500 * US, 1 * MS,   5 * MS,
					    10 * MS,  25 * MS,	50 * MS,  100 * MS, 250 * MS,
					    500 * MS, 1 * S,	3 * S,	  10 * S,   0};
static const uint64_t duration_bounds[] = {1 * MS, 10 * MS, 100 * MS, 1 * S,	 10 * S,
					   60 * S, 600 * S, 3600 * S, 86400 * S, 0};
static const uint64_t layer_bounds[] = {1 * US,	 2 * US,   5 * US,   10 * US, 25 * US,
					50 * US, 100 * US, 250 * US, 1 * MS,  5 * MS,
					25 * MS, 100 * MS, 1 * S,    0};
static const uint64_t http_bounds[] = {5 * MS,	  10 * MS,  25 * MS,   50 * MS,	 75 * MS,
				       100 * MS,  250 * MS, 500 * MS,  750 * MS, 1 * S,
				       2500 * MS, 5 * S,    7500 * MS, 10 * S,	 0};

const char *const metrics_roles[] = {"client", "server", NULL};
const char *const metrics_results[] = {
	"ok",	 "refused", "reset", "timed_out", "host_unreachable", "net_unreachable",
	"other", NULL};
static const char *const types[] = {"fast",	  "timeout", "tail_loss_probe", "syn", "syn_ack",
				    "slow_start", NULL};
static const char *const directions[] = {"receive", "transmit", NULL};
static const char *const places[] = {"kernel", "queue", NULL};
static const char *const causes[] = {"restart", "queue", "kernel", NULL};
static const char *const closers[] = {"local",		"remote",  "reset_sent",
				      "reset_received", "timeout", NULL};

/* clang-format off */
const struct metrics_row metrics_table[METRICS_FAMILIES] = {
	[METRICS_UP] = {"netwatch_up", "1 while there is a subscription to the collector.",
		{}, METRICS_GAUGE, .most = 1},
	[METRICS_BUILD] = {"netwatch_build_info", "Always 1; the version of the exporter.",
		{"version"}, METRICS_GAUGE, .most = 1},
	[METRICS_CONNECTIONS] = {"netwatch_tcp_connections", "TCP connections that exist now.",
		{"state", "role"}, METRICS_GAUGE, .most = 64},
	[METRICS_UNTRACKED] = {"netwatch_untracked_connections_total",
		"Connections beyond what the exporter keeps, which are missing in the gauges and in the bytes.",
		{}, METRICS_COUNTER, .most = 1},
	[METRICS_CONNECTS] = {"netwatch_tcp_connects_total",
		"Handshakes that were completed, or failed and why.",
		{"role", "result"}, METRICS_COUNTER, .most = 64, .first = metrics_roles, .second = metrics_results},
	[METRICS_DURATION] = {"netwatch_tcp_connection_duration_seconds",
		"Life of connections that ended.",
		{"role"}, METRICS_HISTOGRAM, .most = 4, .bounds = duration_bounds, .first = metrics_roles},
	[METRICS_CLOSES] = {"netwatch_tcp_closes_total",
		"Connections that ended, by who ended them; after local there is a TIME_WAIT of a minute, as a rule.",
		{"role", "closed_by"}, METRICS_COUNTER, .most = 32, .first = metrics_roles, .second = closers},
	[METRICS_HANDSHAKE] = {"netwatch_tcp_handshake_duration_seconds",
		"Of a client from SYN to SYN-ACK, of a server from SYN-ACK to ACK.",
		{"role"}, METRICS_HISTOGRAM, .most = 4, .bounds = handshake_bounds, .first = metrics_roles},
	[METRICS_RTT] = {"netwatch_tcp_rtt_seconds",
		"Smoothed round trip time of each connection, at each interval and at its end.",
		{}, METRICS_HISTOGRAM, .most = 1, .bounds = rtt_bounds},
	[METRICS_BYTES] = {"netwatch_tcp_io_bytes_total",
		"Bytes received in order, and bytes sent that were acknowledged; as the kernel counts, a SYN sent and a FIN are one each.",
		{"direction"}, METRICS_COUNTER, .most = 2, .first = directions},
	[METRICS_RETRANSMITS] = {"netwatch_tcp_retransmits_total", "Segments sent again, by cause.",
		{"type"}, METRICS_COUNTER, .most = 16, .first = types},
	[METRICS_RESETS] = {"netwatch_tcp_resets_total", "Connections reset by the other side, and resets sent.",
		{"direction"}, METRICS_COUNTER, .most = 2, .first = directions},
	[METRICS_ERRORS] = {"netwatch_tcp_errors_total",
		"Segments with a wrong sequence number or checksum, by the kernel's name of the reason.",
		{"kind", "reason"}, METRICS_COUNTER, .most = 64},
	[METRICS_DROPS] = {"netwatch_packet_drops_total",
		"Segments dropped for a reason that is an error, by the kernel's name of it.",
		{"reason"}, METRICS_COUNTER, .most = 64},
	[METRICS_BACKLOG] = {"netwatch_listen_backlog", "Connections waiting to be accepted.",
		{"lport"}, .kind = METRICS_GAUGE},
	[METRICS_BACKLOG_LIMIT] = {"netwatch_listen_backlog_limit", "How many may wait to be accepted.",
		{"lport"}, .kind = METRICS_GAUGE},
	[METRICS_LISTEN_DROPS] = {"netwatch_listen_drops_total",
		"SYNs and ACKs that a listening socket dropped, as when its backlog is full; sk_drops.",
		{"lport"}, .kind = METRICS_COUNTER},
	[METRICS_LAYERS] = {"netwatch_layer_latency_seconds",
		"Time that segments spent in each layer; only with --time.",
		{"layer", "direction"}, METRICS_HISTOGRAM, .most = 16, .bounds = layer_bounds},
	[METRICS_HTTP_SERVER] = {"http_server_request_duration_seconds",
		"From the first byte of an HTTP request to the first of its response, seen at the server.",
		{"http_request_method", "http_response_status_code", "url_scheme"}, METRICS_HISTOGRAM, .most = 128, .bounds = http_bounds},
	[METRICS_HTTP_CLIENT] = {"http_client_request_duration_seconds",
		"From the first byte of an HTTP request to the first of its response, seen at the client.",
		{"http_request_method", "http_response_status_code", "url_scheme"}, METRICS_HISTOGRAM, .most = 128, .bounds = http_bounds},
	[METRICS_HTTP_UNKNOWN] = {"netwatch_http_unattributed_total",
		"HTTP responses without a duration, or on connections older than the exporter of which the role is not known.",
		{}, METRICS_COUNTER, .most = 1},
	[METRICS_HTTP_MISSED] = {"netwatch_http_missed_total",
		"HTTP messages that the collector did not tell, or told without their request, for want of pieces; of all users.",
		{}, METRICS_COUNTER, .told = true, .most = 1},
	[METRICS_EVENTS] = {"netwatch_events_total", "Events that came, by category.",
		{"type"}, METRICS_COUNTER, .most = 32},
	[METRICS_LOST] = {"netwatch_events_lost_total",
		"Events that matched and did not come: the kernel's ring, or the queue of the exporter, was full.",
		{"where"}, METRICS_COUNTER, .most = 4, .first = places},
	[METRICS_GAPS] = {"netwatch_stream_gaps_total",
		"Times of which an unknown number of events is missing: the collector restarted, gave up on the exporter, or its history had lost them.",
		{"cause"}, METRICS_COUNTER, .most = 4, .first = causes},
	[METRICS_UNSEEN] = {"netwatch_events_unseen_total",
		"Calls of hooks that the kernel skipped, since the collector began.", {}, METRICS_COUNTER, .told = true, .most = 1},
	[METRICS_NO_STORAGE] = {"netwatch_storage_failures_total",
		"Times that the kernel had no memory beside a socket: less is told of it.", {}, METRICS_COUNTER, .told = true, .most = 1},
	[METRICS_NO_PLACE] = {"netwatch_place_failures_total",
		"Times that a socket was one too many of those that are found by the ends of a segment: its errors may be nobody's.",
		{}, METRICS_COUNTER, .told = true, .most = 1},
	[METRICS_SUBSCRIBERS] = {"netwatch_subscribers",
		"Subscriptions at the collector that the exporter's user may see.", {}, METRICS_GAUGE, .most = 1},
	[METRICS_DISCONNECTS] = {"netwatch_subscriber_disconnects_total",
		"Subscriptions that ended: as asked (done), given up on (slow_reader), broken; only for who sees all.",
		{"cause"}, METRICS_COUNTER, .most = 4},
	[METRICS_HISTORY] = {"netwatch_history_events", "Events that the collector remembers; only with a history.",
		{}, METRICS_GAUGE, .most = 1},
	[METRICS_HISTORY_LIMIT] = {"netwatch_history_events_limit", "How many it remembers at most.",
		{}, METRICS_GAUGE, .most = 1},
	[METRICS_HISTORY_BYTES] = {"netwatch_history_bytes", "Memory that these events take.",
		{}, METRICS_GAUGE, .most = 1},
	[METRICS_HISTORY_OLDEST] = {"netwatch_history_oldest_timestamp_seconds", "When the oldest of them happened.",
		{}, METRICS_GAUGE, .seconds = true, .most = 1},
	[METRICS_COLLECTOR] = {"netwatch_collector_info", "Always 1; the version of the collector, and its kernel.",
		{"version", "kernel"}, METRICS_GAUGE, .most = 1},
	[METRICS_UPTIME] = {"netwatch_collector_uptime_seconds", "Since the collector's start.",
		{}, METRICS_GAUGE, .seconds = true, .most = 1},
	[METRICS_CPU] = {"netwatch_collector_cpu_seconds_total", "CPU time of the collector's process.",
		{}, METRICS_COUNTER, .seconds = true, .told = true, .most = 1},
	[METRICS_BPF_SECONDS] = {"netwatch_bpf_run_seconds_total",
		"Time in the collector's BPF programs while the kernel measured it (kernel.bpf_stats_enabled).",
		{"prog"}, METRICS_COUNTER, .seconds = true, .most = 128},
	[METRICS_BPF_RUNS] = {"netwatch_bpf_runs_total", "Calls of these programs while the kernel measured them.",
		{"prog"}, METRICS_COUNTER, .most = 128},
	[METRICS_BPF_MISSED] = {"netwatch_bpf_missed_total",
		"Calls of these programs that the kernel skipped; their twins make up for most of them.",
		{"prog"}, METRICS_COUNTER, .most = 128},
};
/* clang-format on */
