// SPDX-License-Identifier: GPL-2.0-only
// What each category of events adds to which metric.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "event.h"
#include "metrics.h"
#include "metrics_conns.h"
#include "metrics_events.h"
#include "version.h"

#define NS_PER_S 1000000000ull

static const char *role_of(const Netwatch__Event *event)
{
	return metrics_role(event->connection && event->connection->has_role
				    ? event->connection->role
				    : (Netwatch__Role)0);
}

static const char *result_of(const char *error)
{
	static const struct {
		const char *error, *result;
	} rows[] = {
		{"ECONNREFUSED", "refused"},	    {"ECONNRESET", "reset"},
		{"ETIMEDOUT", "timed_out"},	    {"EHOSTUNREACH", "host_unreachable"},
		{"ENETUNREACH", "net_unreachable"},
	};

	for (unsigned i = 0; error && i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!strcmp(error, rows[i].error))
			return rows[i].result;
	}
	return METRICS_OTHER;
}

static void on_close(const Netwatch__Event *event)
{
	const Netwatch__Conn *conn = event->conn;
	struct metrics_conn *c = metrics_conns_find(event);
	bool listening = c && c->state == NETWATCH__TCP__STATE__LISTEN;

	if (c && !listening)
		metrics_conns_advance(c, conn->has_bytes_received && conn->has_bytes_acked,
				      conn->bytes_received, conn->bytes_acked);
	if (c)
		metrics_conns_remove(c);
	if (listening)
		return;
	if (conn->has_duration_us)
		metrics_observe(METRICS_DURATION, METRICS_VALUES(role_of(event)),
				1000 * conn->duration_us);
	if (conn->has_closed_by)
		metrics_add(METRICS_CLOSES,
			    METRICS_VALUES(role_of(event),
					   metrics_name(&netwatch__conn__closer__descriptor,
							(int)conn->closed_by)),
			    1);
}

static void on_failed(const Netwatch__Event *event)
{
	struct metrics_conn *c = metrics_conns_find(event);

	metrics_add(METRICS_CONNECTS, METRICS_VALUES(role_of(event), result_of(event->conn->error)),
		    1);
	if (c)
		metrics_conns_remove(c);
}

/* It began, or it was there. */
static void on_begun(const Netwatch__Event *event)
{
	const Netwatch__Conn *conn = event->conn;
	struct metrics_conn *c = metrics_conns_get(event);
	bool known = c && c->state;

	if (c) {
		c->state = conn->state;
		c->based |= !known && conn->event != NETWATCH__CONN__STAGE__EXISTING;
	}
	if (conn->event != NETWATCH__CONN__STAGE__ESTABLISHED)
		return;
	metrics_add(METRICS_CONNECTS, METRICS_VALUES(role_of(event), metrics_results[0]), 1);
	if (conn->has_handshake_us)
		metrics_observe(METRICS_HANDSHAKE, METRICS_VALUES(role_of(event)),
				1000 * conn->handshake_us);
}

static void on_conn(const Netwatch__Event *event)
{
	if (event->conn->event == NETWATCH__CONN__STAGE__CLOSE)
		on_close(event);
	else if (event->conn->event == NETWATCH__CONN__STAGE__FAILED)
		on_failed(event);
	else
		on_begun(event);
}

/* The last one comes with the end, before or behind CLOSE: that is no new connection. */
static void on_tcpinfo(const Netwatch__Event *event)
{
	const Netwatch__TcpInfo *info = event->tcpinfo;
	bool ended = info->state == NETWATCH__TCP__STATE__CLOSE;
	struct metrics_conn *c = ended ? metrics_conns_find(event) : metrics_conns_get(event);

	if (info->has_srtt_us && info->state != NETWATCH__TCP__STATE__LISTEN)
		metrics_observe(METRICS_RTT, NULL, 1000ull * info->srtt_us);
	if (!c)
		return;
	c->state = info->state;
	c->listens = info->state == NETWATCH__TCP__STATE__LISTEN;
	if (c->listens) {
		c->backlog = info->backlog;
		c->limit = info->max_backlog;
		if (info->has_drops)
			metrics_conns_drop(c, info->drops);
		return;
	}
	metrics_conns_advance(c, info->has_bytes_received && info->has_bytes_acked,
			      info->bytes_received, info->bytes_acked);
}

static void on_retransmit(const Netwatch__Event *event)
{
	const Netwatch__Retransmit *retransmit = event->retransmit;

	metrics_add(METRICS_RETRANSMITS,
		    METRICS_VALUES(metrics_name(&netwatch__retransmit__cause__descriptor,
						(int)retransmit->cause)),
		    retransmit->has_segments ? retransmit->segments : 1);
}

static void on_error(const Netwatch__Event *event)
{
	const Netwatch__TcpError *error = event->error;
	const char *kind = metrics_name(&netwatch__tcp_error__kind__descriptor, (int)error->kind);
	const char *reason = error->reason ? error->reason : kind;

	switch (error->kind) {
	case NETWATCH__TCP_ERROR__KIND__RESET_SENT:
		metrics_add(METRICS_RESETS, METRICS_VALUES("transmit"), 1);
		return;
	case NETWATCH__TCP_ERROR__KIND__RESET_RECEIVED:
		metrics_add(METRICS_RESETS, METRICS_VALUES("receive"), 1);
		return;
	case NETWATCH__TCP_ERROR__KIND__DROP:
		metrics_add(METRICS_DROPS, METRICS_VALUES(reason), 1);
		return;
	case NETWATCH__TCP_ERROR__KIND__SEQUENCE:
	case NETWATCH__TCP_ERROR__KIND__CHECKSUM:
	case _NETWATCH__TCP_ERROR__KIND_IS_INT_SIZE:
		break;
	}
	metrics_add(METRICS_ERRORS, METRICS_VALUES(kind, reason), 1);
}

static void on_packet(const Netwatch__Event *event)
{
	const Netwatch__Packet *p = event->packet;
	const char *direction =
		p->direction == NETWATCH__PACKET__DIRECTION__TX ? "transmit" : "receive";
	const struct {
		const char *layer;
		bool has;
		uint64_t nanoseconds;
	} layers[] = {
		{"mac", p->has_mac_ns, p->mac_ns},	 {"ip", p->has_ip_ns, p->ip_ns},
		{"tcp", p->has_tcp_ns, p->tcp_ns},	 {"app", p->has_app_ns, p->app_ns},
		{"qdisc", p->has_qdisc_ns, p->qdisc_ns},
	};

	for (unsigned i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
		if (layers[i].has)
			metrics_observe(METRICS_LAYERS, METRICS_VALUES(layers[i].layer, direction),
					layers[i].nanoseconds);
	}
}

/* Methods by RFC 9110 and 5789; whatever else a client says is one. */
static const char *method_of(const char *method)
{
	static const char *const known[] = {"GET",     "HEAD",	  "POST",  "PUT",  "DELETE",
					    "CONNECT", "OPTIONS", "TRACE", "PATCH"};

	for (unsigned i = 0; method && i < sizeof(known) / sizeof(known[0]); i++) {
		if (!strcmp(method, known[i]))
			return known[i];
	}
	return "_OTHER";
}

static void on_http(const Netwatch__Event *event)
{
	const Netwatch__Http *http = event->http;
	const Netwatch__Connection *who = event->connection;
	char status[16];

	if (http->event != NETWATCH__HTTP__KIND__RESPONSE)
		return;
	if (!who || !who->has_role || !http->has_latency_us) {
		metrics_add(METRICS_HTTP_UNKNOWN, NULL, 1);
		return;
	}
	snprintf(status, sizeof(status), "%u", http->status % 1000);
	metrics_observe(who->role == NETWATCH__ROLE__SERVER ? METRICS_HTTP_SERVER
							    : METRICS_HTTP_CLIENT,
			METRICS_VALUES(method_of(http->method), status, "http"),
			1000 * http->latency_us);
}

static void on_lost(const Netwatch__Event *event)
{
	const Netwatch__Lost *lost = event->lost;
	static const char *const causes[] = {
		[NETWATCH__LOST__CAUSE__KERNEL_RING] = "kernel",
		[NETWATCH__LOST__CAUSE__SUBSCRIBER_QUEUE] = "queue",
		[NETWATCH__LOST__CAUSE__RESTART] = "restart",
	};
	unsigned cause = lost->has_cause ? (unsigned)lost->cause : 0;
	bool known = cause < sizeof(causes) / sizeof(causes[0]) && causes[cause];
	const char *name = known ? causes[cause] : METRICS_OTHER;

	if (lost->has_count)
		metrics_add(METRICS_LOST, METRICS_VALUES(name), lost->count);
	else
		metrics_add(METRICS_GAPS, METRICS_VALUES(name), 1);
}

static const struct {
	const char *type; /* NULL: is no event of a category */
	size_t member;
	void (*take)(const Netwatch__Event *event);
} takers[] = {
	{NULL, offsetof(Netwatch__Event, lost), on_lost},
	{"conn", offsetof(Netwatch__Event, conn), on_conn},
	{"packet", offsetof(Netwatch__Event, packet), on_packet},
	{"retransmit", offsetof(Netwatch__Event, retransmit), on_retransmit},
	{"error", offsetof(Netwatch__Event, error), on_error},
	{"tcpinfo", offsetof(Netwatch__Event, tcpinfo), on_tcpinfo},
	{"congestion", offsetof(Netwatch__Event, congestion), NULL},
	{"http", offsetof(Netwatch__Event, http), on_http},
};

int metrics_take(const struct event *raw)
{
	Netwatch__Event *event = netwatch__event__unpack(NULL, raw->size, raw->data);

	if (!event)
		return -ENOMEM;
	for (unsigned i = 0; i < sizeof(takers) / sizeof(takers[0]); i++) {
		if (!*(void **)((char *)event + takers[i].member))
			continue;
		if (takers[i].type)
			metrics_add(METRICS_EVENTS, METRICS_VALUES(takers[i].type), 1);
		if (takers[i].take)
			takers[i].take(event);
	}
	netwatch__event__free_unpacked(event, NULL);
	return 0;
}

void metrics_events_init(void)
{
	metrics_conns_init();
	metrics_set(METRICS_UP, NULL, 0);
	metrics_set(METRICS_BUILD, METRICS_VALUES(VERSION), 1);
}

void metrics_events_deinit(void)
{
	metrics_conns_deinit();
}

void metrics_begin(void)
{
	metrics_conns_begin();
}

void metrics_live(void)
{
	metrics_conns_live();
	metrics_set(METRICS_UP, NULL, 1);
}

void metrics_down(void)
{
	metrics_conns_down();
	metrics_set(METRICS_UP, NULL, 0);
}

void metrics_expect_reports(uint64_t interval_ms)
{
	metrics_conns_expect_reports(interval_ms);
}

#define OF_STATUS(family, member, scale)                          \
	{                                                         \
		family, offsetof(Netwatch__Status, has_##member), \
			offsetof(Netwatch__Status, member), scale \
	}

/* Numbers of the status, of 64 bits each. */
static const struct {
	enum metrics_family family;
	size_t has, value;
	uint64_t scale;
} of_status[] = {
	OF_STATUS(METRICS_UNSEEN, unseen, 1),
	OF_STATUS(METRICS_NO_STORAGE, no_storage, 1),
	OF_STATUS(METRICS_NO_PLACE, no_place, 1),
	OF_STATUS(METRICS_HTTP_MISSED, http_missed, 1),
	OF_STATUS(METRICS_UPTIME, uptime_s, NS_PER_S),
	OF_STATUS(METRICS_CPU, cpu_us, 1000),
};

static void take_numbers(const Netwatch__Status *status)
{
	const char *at = (const char *)status;

	for (unsigned i = 0; i < sizeof(of_status) / sizeof(of_status[0]); i++) {
		protobuf_c_boolean has;
		uint64_t value;

		memcpy(&has, at + of_status[i].has, sizeof(has));
		memcpy(&value, at + of_status[i].value, sizeof(value));
		if (has)
			metrics_set(of_status[i].family, NULL, value * of_status[i].scale);
	}
}

static void take_programs(const Netwatch__Status *status)
{
	static const enum metrics_family families[] = {METRICS_BPF_SECONDS, METRICS_BPF_RUNS,
						       METRICS_BPF_MISSED};

	for (unsigned i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		metrics_clear(families[i]); /* of a collector that is no more */
	for (size_t i = 0; i < status->n_program; i++) {
		const Netwatch__ProgramStatus *one = status->program[i];
		const char *const *name = METRICS_VALUES(one->name ? one->name : METRICS_OTHER);

		if (one->has_runs && one->has_run_ns) {
			metrics_set(METRICS_BPF_SECONDS, name, one->run_ns);
			metrics_set(METRICS_BPF_RUNS, name, one->runs);
		}
		metrics_set(METRICS_BPF_MISSED, name, one->missed);
	}
}

static void take_ended(const Netwatch__EndedSubscriptions *ended)
{
	metrics_set(METRICS_DISCONNECTS, METRICS_VALUES("done"), ended->done);
	metrics_set(METRICS_DISCONNECTS, METRICS_VALUES("slow_reader"), ended->slow_reader);
	metrics_set(METRICS_DISCONNECTS, METRICS_VALUES("broken"), ended->broken);
}

static void take_history(const Netwatch__HistoryStatus *history)
{
	const Google__Protobuf__Timestamp *oldest = history->oldest;

	metrics_set(METRICS_HISTORY, NULL, history->events);
	metrics_set(METRICS_HISTORY_LIMIT, NULL, history->events_max);
	metrics_set(METRICS_HISTORY_BYTES, NULL, history->bytes);
	if (oldest)
		metrics_set(METRICS_HISTORY_OLDEST, NULL,
			    (uint64_t)oldest->seconds * NS_PER_S + (uint64_t)oldest->nanos);
}

void metrics_take_status(const Netwatch__Status *status)
{
	const char *version = status->version ? status->version : METRICS_OTHER;
	const char *kernel = status->kernel ? status->kernel : METRICS_OTHER;

	take_numbers(status);
	take_programs(status);
	if (status->ended)
		take_ended(status->ended);
	for (unsigned i = METRICS_HISTORY; i <= METRICS_HISTORY_OLDEST; i++)
		metrics_clear(i);
	if (status->history)
		take_history(status->history);
	metrics_clear(METRICS_COLLECTOR);
	metrics_set(METRICS_COLLECTOR, METRICS_VALUES(version, kernel), 1);
	metrics_set(METRICS_SUBSCRIBERS, NULL, status->n_subscription);
}

void metrics_page(struct output *output)
{
	metrics_conns_count();
	metrics_write(output);
}
