// SPDX-License-Identifier: GPL-2.0-only
// Families and series: counters, gauges and histograms of bounded number.
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"
#include "output.h"
#include "prom.h"

#define US 1000ull
#define MS (1000 * US)
#define S  (1000 * MS)

enum kind { COUNTER, GAUGE, HISTOGRAM };

static const char *const kinds[] = {"counter", "gauge", "histogram"};

struct family {
	const char *name, *help;
	const char *labels[METRICS_LABELS_MAX];
	enum kind kind;
	bool seconds;		/* values are nanoseconds, and written as seconds */
	unsigned most;		/* series, without that of the others */
	const uint64_t *bounds; /* of a histogram [ns], ended by 0 */
	/* values of the first two labels that are there from the beginning */
	const char *const *first, *const *second;
};

struct series {
	struct series *next;
	char values[METRICS_LABELS_MAX][METRICS_VALUE_MAX];
	uint64_t value; /* of a histogram: the sum */
	uint64_t count;
	uint64_t buckets[METRICS_BOUNDS_MAX]; /* each with what is not above its bound only */
};

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
static const char *const causes[] = {"restart", "queue", NULL};

/* clang-format off */
static struct family families[METRICS_FAMILIES] = {
	[METRICS_UP] = {"netwatch_up", "1 while there is a subscription to the collector.",
		{}, GAUGE, .most = 1},
	[METRICS_BUILD] = {"netwatch_build_info", "Always 1; the version of the exporter.",
		{"version"}, GAUGE, .most = 1},
	[METRICS_CONNECTIONS] = {"netwatch_tcp_connections", "TCP connections that exist now.",
		{"state", "role"}, GAUGE, .most = 64},
	[METRICS_UNTRACKED] = {"netwatch_untracked_connections_total",
		"Connections beyond what the exporter keeps, which are missing in the gauges and in the bytes.",
		{}, COUNTER, .most = 1},
	[METRICS_CONNECTS] = {"netwatch_tcp_connects_total",
		"Handshakes that were completed, or failed and why.",
		{"role", "result"}, COUNTER, .most = 64, .first = metrics_roles, .second = metrics_results},
	[METRICS_DURATION] = {"netwatch_tcp_connection_duration_seconds",
		"Life of connections that ended.",
		{"role"}, HISTOGRAM, .most = 4, .bounds = duration_bounds, .first = metrics_roles},
	[METRICS_HANDSHAKE] = {"netwatch_tcp_handshake_duration_seconds",
		"Of a client from SYN to SYN-ACK, of a server from SYN-ACK to ACK.",
		{"role"}, HISTOGRAM, .most = 4, .bounds = handshake_bounds, .first = metrics_roles},
	[METRICS_RTT] = {"netwatch_tcp_rtt_seconds",
		"Smoothed round trip time of each connection, at each interval and at its end.",
		{}, HISTOGRAM, .most = 1, .bounds = rtt_bounds},
	[METRICS_BYTES] = {"netwatch_tcp_io_bytes_total",
		"Bytes received in order, and bytes sent that were acknowledged; as the kernel counts, a SYN sent and a FIN are one each.",
		{"direction"}, COUNTER, .most = 2, .first = directions},
	[METRICS_RETRANSMITS] = {"netwatch_tcp_retransmits_total", "Segments sent again, by cause.",
		{"type"}, COUNTER, .most = 16, .first = types},
	[METRICS_RESETS] = {"netwatch_tcp_resets_total", "Connections reset by the other side, and resets sent.",
		{"direction"}, COUNTER, .most = 2, .first = directions},
	[METRICS_ERRORS] = {"netwatch_tcp_errors_total",
		"Segments with a wrong sequence number or checksum, by the kernel's name of the reason.",
		{"kind", "reason"}, COUNTER, .most = 64},
	[METRICS_DROPS] = {"netwatch_packet_drops_total",
		"Segments dropped for a reason that is an error, by the kernel's name of it.",
		{"reason"}, COUNTER, .most = 64},
	[METRICS_BACKLOG] = {"netwatch_listen_backlog", "Connections waiting to be accepted.",
		{"lport"}, .kind = GAUGE},
	[METRICS_BACKLOG_LIMIT] = {"netwatch_listen_backlog_limit", "How many may wait to be accepted.",
		{"lport"}, .kind = GAUGE},
	[METRICS_LAYERS] = {"netwatch_layer_latency_seconds",
		"Time that segments spent in each layer; only with --time.",
		{"layer", "direction"}, HISTOGRAM, .most = 16, .bounds = layer_bounds},
	[METRICS_HTTP_SERVER] = {"http_server_request_duration_seconds",
		"From the first byte of an HTTP request to the first of its response, seen at the server.",
		{"http_request_method", "http_response_status_code", "url_scheme"}, HISTOGRAM, .most = 128, .bounds = http_bounds},
	[METRICS_HTTP_CLIENT] = {"http_client_request_duration_seconds",
		"From the first byte of an HTTP request to the first of its response, seen at the client.",
		{"http_request_method", "http_response_status_code", "url_scheme"}, HISTOGRAM, .most = 128, .bounds = http_bounds},
	[METRICS_HTTP_UNKNOWN] = {"netwatch_http_unattributed_total",
		"HTTP responses without a duration, or on connections older than the exporter of which the role is not known.",
		{}, COUNTER, .most = 1},
	[METRICS_EVENTS] = {"netwatch_events_total", "Events that came, by category.",
		{"type"}, COUNTER, .most = 32},
	[METRICS_LOST] = {"netwatch_events_lost_total",
		"Events that matched and did not come: the kernel's ring, or the queue of the exporter, was full.",
		{"where"}, COUNTER, .most = 4, .first = places},
	[METRICS_GAPS] = {"netwatch_stream_gaps_total",
		"Times without a subscription, in which an unknown number of events happened: the collector restarted, or gave up on the exporter.",
		{"cause"}, COUNTER, .most = 4, .first = causes},
	[METRICS_UNSEEN] = {"netwatch_events_unseen_total",
		"Calls of hooks that the kernel skipped, since the collector began.", {}, COUNTER, .most = 1},
	[METRICS_SUBSCRIBERS] = {"netwatch_subscribers",
		"Subscriptions at the collector that the exporter's user may see.", {}, GAUGE, .most = 1},
	[METRICS_UPTIME] = {"netwatch_collector_uptime_seconds", "Since the collector's start.",
		{}, GAUGE, .seconds = true, .most = 1},
	[METRICS_CPU] = {"netwatch_collector_cpu_seconds_total", "CPU time of the collector's process.",
		{}, COUNTER, .seconds = true, .most = 1},
};
/* clang-format on */

static struct {
	struct series *first, *other;
	unsigned count;
} all[METRICS_FAMILIES];

static unsigned n_labels(const struct family *family)
{
	unsigned n = 0;

	while (n < METRICS_LABELS_MAX && family->labels[n])
		n++;
	return n;
}

static struct series *new_series(struct series **where, unsigned n, const char *const *values)
{
	struct series *series = calloc(1, sizeof(*series));

	if (!series)
		return NULL;
	for (unsigned i = 0; i < n; i++)
		strncpy(series->values[i], values ? values[i] : METRICS_OTHER,
			METRICS_VALUE_MAX - 1);
	series->next = *where;
	return *where = series;
}

/* The series of these values, or that of the others; NULL: no memory. */
static struct series *get(enum metrics_family which, const char *const *values)
{
	const struct family *family = &families[which];
	unsigned n = n_labels(family), i;
	struct series **end = &all[which].first;

	for (; *end; end = &(*end)->next) {
		for (i = 0; i < n; i++) {
			if (strncmp((*end)->values[i], values[i], METRICS_VALUE_MAX - 1))
				break;
		}
		if (i == n)
			return *end;
	}
	if (all[which].count < family->most) {
		all[which].count++;
		return new_series(end, n, values);
	}
	return all[which].other ? all[which].other : new_series(&all[which].other, n, NULL);
}

static void free_series(enum metrics_family which)
{
	struct series *lists[] = {all[which].first, all[which].other};

	for (unsigned i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		while (lists[i]) {
			struct series *next = lists[i]->next;

			free(lists[i]);
			lists[i] = next;
		}
	}
	all[which].first = all[which].other = NULL;
	all[which].count = 0;
}

/* Those that are there before anything happened: a rate needs a zero to begin with. */
static int make_first(enum metrics_family which)
{
	static const char *const none[] = {NULL, NULL};
	const struct family *family = &families[which];
	const char *const *first = family->first;

	if (!family->labels[0] && family->kind != GAUGE && !family->seconds)
		return get(which, none) ? 0 : -ENOMEM;
	for (; first && *first; first++) {
		const char *const *second = family->second ? family->second : none;

		do {
			if (!get(which, METRICS_VALUES(*first, *second)))
				return -ENOMEM;
		} while (*second && *++second);
	}
	return 0;
}

int metrics_init(uint64_t ports)
{
	int err = 0;

	families[METRICS_BACKLOG].most = families[METRICS_BACKLOG_LIMIT].most = (unsigned)ports;
	for (unsigned i = 0; i < METRICS_FAMILIES && !err; i++)
		err = make_first(i);
	return err;
}

void metrics_deinit(void)
{
	for (unsigned i = 0; i < METRICS_FAMILIES; i++)
		free_series(i);
}

void metrics_add(enum metrics_family family, const char *const *values, uint64_t count)
{
	struct series *series = get(family, values);

	if (series)
		series->value += count;
}

void metrics_set(enum metrics_family family, const char *const *values, uint64_t value)
{
	struct series *series = get(family, values);

	if (series)
		series->value = value;
}

void metrics_observe(enum metrics_family which, const char *const *values, uint64_t nanoseconds)
{
	const uint64_t *bounds = families[which].bounds;
	struct series *series = get(which, values);
	unsigned i = 0;

	if (!series)
		return;
	while (bounds[i] && nanoseconds > bounds[i])
		i++;
	series->buckets[i] += bounds[i] != 0;
	series->value += nanoseconds;
	series->count++;
}

void metrics_clear(enum metrics_family family)
{
	free_series(family);
}

/* name, suffix and the series' labels; more may follow. */
static struct prom begin(struct output *output, const struct family *family,
			 const struct series *series, const char *suffix)
{
	struct prom prom;

	prom_begin(&prom, output, family->name, suffix);
	for (unsigned i = 0; i < n_labels(family); i++)
		prom_word(&prom, family->labels[i], series->values[i]);
	return prom;
}

static void write_histogram(struct output *output, const struct family *family,
			    const struct series *series)
{
	uint64_t count = 0;
	struct prom prom;

	for (unsigned i = 0; family->bounds[i]; i++) {
		count += series->buckets[i];
		prom = begin(output, family, series, "_bucket");
		prom_open(&prom, "le");
		prom_put_seconds(output, family->bounds[i]);
		prom_close(&prom);
		prom_value(&prom, count);
	}
	prom = begin(output, family, series, "_bucket");
	prom_word(&prom, "le", "+Inf");
	prom_value(&prom, series->count);
	prom = begin(output, family, series, "_sum");
	prom_seconds(&prom, series->value);
	prom = begin(output, family, series, "_count");
	prom_value(&prom, series->count);
}

static void write_series(struct output *output, const struct family *family,
			 const struct series *series)
{
	struct prom prom;

	if (family->kind == HISTOGRAM) {
		write_histogram(output, family, series);
		return;
	}
	prom = begin(output, family, series, "");
	if (family->seconds)
		prom_seconds(&prom, series->value);
	else
		prom_value(&prom, series->value);
}

void metrics_write(struct output *output)
{
	for (unsigned i = 0; i < METRICS_FAMILIES; i++) {
		const struct family *family = &families[i];

		prom_head(output, family->name, kinds[family->kind], family->help);
		for (const struct series *s = all[i].first; s; s = s->next)
			write_series(output, family, s);
		if (all[i].other)
			write_series(output, family, all[i].other);
	}
}
