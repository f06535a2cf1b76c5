// SPDX-License-Identifier: GPL-2.0-only
// What each category of events adds to which metric, and the connections that exist.
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "conns.h"
#include "event.h"
#include "metrics.h"
#include "metrics_events.h"
#include "version.h"

#define REPORTS_MISSED 3    /* intervals without one, after which a connection is gone */
#define REPORTS_LATE   5000 /* and so many milliseconds */

struct connection {
	struct conns_entry entry;
	Netwatch__Tcp__State state;
	Netwatch__Role role; /* or 0 */
	uint32_t lport, backlog, limit;
	bool based; /* the two below are known */
	uint64_t received, acked;
	int64_t told; /* monotonic ms of the last word */
};

static struct conns conns;
static int64_t interval; /* of reports, or 0 */
static bool live;

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The name of an enum's value in small letters, in a static buffer; or "other". */
static const char *name_of(const ProtobufCEnumDescriptor *names, int value)
{
	const ProtobufCEnumValue *name = protobuf_c_enum_descriptor_get_value(names, value);
	static char text[METRICS_VALUE_MAX];
	size_t i = 0;

	if (!name)
		return METRICS_OTHER;
	for (; name->name[i] && i < sizeof(text) - 1; i++)
		text[i] = (char)tolower((unsigned char)name->name[i]);
	text[i] = '\0';
	return text;
}

static const char *role_name(Netwatch__Role role)
{
	if (role == NETWATCH__ROLE__CLIENT)
		return metrics_roles[0];
	return role == NETWATCH__ROLE__SERVER ? metrics_roles[1] : "unknown";
}

static const char *role_of(const Netwatch__Event *event)
{
	return role_name(event->connection && event->connection->has_role ? event->connection->role
									  : (Netwatch__Role)0);
}

static struct connection *find(const Netwatch__Event *event)
{
	const Netwatch__Connection *who = event->connection;

	return who && who->has_id ? conns_find(&conns, who->id) : NULL;
}

static struct connection *get(const Netwatch__Event *event)
{
	const Netwatch__Connection *who = event->connection;
	struct connection *c;

	if (!who || !who->has_id)
		return NULL;
	c = conns_get(&conns, who->id);
	if (!c) {
		metrics_add(METRICS_UNTRACKED, NULL, 1);
		return NULL;
	}
	c->entry.generation = conns.generation;
	c->told = now_ms();
	c->lport = who->lport;
	if (who->has_role)
		c->role = who->role;
	return c;
}

/* Counters of a connection grow; what was lost on the way is in the next report. */
static void advance(struct connection *c, bool has, uint64_t received, uint64_t acked)
{
	if (!has)
		return;
	if (c->based && received >= c->received)
		metrics_add(METRICS_BYTES, METRICS_VALUES("receive"), received - c->received);
	if (c->based && acked >= c->acked)
		metrics_add(METRICS_BYTES, METRICS_VALUES("transmit"), acked - c->acked);
	c->based = true;
	c->received = received;
	c->acked = acked;
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
	struct connection *c = find(event);
	bool listening = c && c->state == NETWATCH__TCP__STATE__LISTEN;

	if (c && !listening)
		advance(c, conn->has_bytes_received && conn->has_bytes_acked, conn->bytes_received,
			conn->bytes_acked);
	if (c)
		conns_remove(&conns, c);
	if (conn->has_duration_us && !listening)
		metrics_observe(METRICS_DURATION, METRICS_VALUES(role_of(event)),
				1000 * conn->duration_us);
}

static void on_failed(const Netwatch__Event *event)
{
	struct connection *c = find(event);

	metrics_add(METRICS_CONNECTS, METRICS_VALUES(role_of(event), result_of(event->conn->error)),
		    1);
	if (c)
		conns_remove(&conns, c);
}

/* It began, or it was there. */
static void on_begun(const Netwatch__Event *event)
{
	const Netwatch__Conn *conn = event->conn;
	struct connection *c = get(event);
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
	struct connection *c = ended ? find(event) : get(event);

	if (info->has_srtt_us && info->state != NETWATCH__TCP__STATE__LISTEN)
		metrics_observe(METRICS_RTT, NULL, 1000ull * info->srtt_us);
	if (!c)
		return;
	c->state = info->state;
	if (info->state == NETWATCH__TCP__STATE__LISTEN) {
		c->backlog = info->backlog;
		c->limit = info->max_backlog;
		return;
	}
	advance(c, info->has_bytes_received && info->has_bytes_acked, info->bytes_received,
		info->bytes_acked);
}

static void on_retransmit(const Netwatch__Event *event)
{
	const Netwatch__Retransmit *retransmit = event->retransmit;

	metrics_add(METRICS_RETRANSMITS,
		    METRICS_VALUES(name_of(&netwatch__retransmit__cause__descriptor,
					   (int)retransmit->cause)),
		    retransmit->has_segments ? retransmit->segments : 1);
}

static void on_error(const Netwatch__Event *event)
{
	const Netwatch__TcpError *error = event->error;
	const char *kind = name_of(&netwatch__tcp_error__kind__descriptor, (int)error->kind);
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
	bool queue = lost->cause == NETWATCH__LOST__CAUSE__SUBSCRIBER_QUEUE;

	if (!lost->has_count) /* the time between two subscriptions */
		metrics_add(METRICS_GAPS, METRICS_VALUES(queue ? "queue" : "restart"), 1);
	else
		metrics_add(METRICS_LOST, METRICS_VALUES(queue ? "queue" : "kernel"), lost->count);
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
	conns_init(&conns, sizeof(struct connection), CONNS_MAX);
	metrics_set(METRICS_UP, NULL, 0);
	metrics_set(METRICS_BUILD, METRICS_VALUES(VERSION), 1);
}

void metrics_events_deinit(void)
{
	conns_deinit(&conns);
}

void metrics_begin(void)
{
	conns_renew(&conns);
}

void metrics_live(void)
{
	conns_remove_old(&conns);
	metrics_set(METRICS_UP, NULL, 1);
	live = true;
}

void metrics_down(void)
{
	metrics_set(METRICS_UP, NULL, 0);
	live = false;
}

void metrics_expect_reports(uint64_t interval_ms)
{
	interval = (int64_t)interval_ms;
}

void metrics_take_status(const Netwatch__Status *status)
{
	metrics_set(METRICS_UNSEEN, NULL, status->unseen);
	metrics_set(METRICS_SUBSCRIBERS, NULL, status->n_subscription);
	metrics_set(METRICS_UPTIME, NULL, 1000000000 * status->uptime_s);
	if (status->has_cpu_us)
		metrics_set(METRICS_CPU, NULL, 1000 * status->cpu_us);
}

static void remove_silent(void)
{
	int64_t since = now_ms() - REPORTS_MISSED * interval - REPORTS_LATE;
	struct conns_entry *entry, *next;

	if (!interval || !live)
		return;
	for (entry = TAILQ_FIRST(&conns.list); entry; entry = next) {
		next = TAILQ_NEXT(entry, link);
		if (((struct connection *)entry)->told < since)
			conns_remove(&conns, entry);
	}
}

static void count_connections(void)
{
	const struct conns_entry *entry;
	char port[16];

	metrics_clear(METRICS_CONNECTIONS);
	metrics_clear(METRICS_BACKLOG);
	metrics_clear(METRICS_BACKLOG_LIMIT);
	TAILQ_FOREACH (entry, &conns.list, link) {
		const struct connection *c = (const struct connection *)entry;

		metrics_add(METRICS_CONNECTIONS,
			    METRICS_VALUES(name_of(&netwatch__tcp__state__descriptor,
						   (int)c->state),
					   role_name(c->role)),
			    1);
		if (c->state != NETWATCH__TCP__STATE__LISTEN || !c->limit)
			continue;
		snprintf(port, sizeof(port), "%u", c->lport);
		metrics_add(METRICS_BACKLOG, METRICS_VALUES(port), c->backlog);
		metrics_add(METRICS_BACKLOG_LIMIT, METRICS_VALUES(port), c->limit);
	}
}

void metrics_page(struct output *output)
{
	remove_silent();
	count_connections();
	metrics_write(output);
}
