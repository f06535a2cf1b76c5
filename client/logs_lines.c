// SPDX-License-Identifier: GPL-2.0-only
// The lines of packets.log and err.log, label by label.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "logs.h"

#define HTTP_INFO_MAX 1536 /* bytes; quoted it fits into a line of a page */

static void put_endpoint(struct prom *prom, const char *key, const char *address, uint32_t port)
{
	char text[PROM_TEXT_MAX];

	if (!address)
		return;
	snprintf(text, sizeof(text), strchr(address, ':') ? "[%.64s]:%" PRIu32 : "%.64s:%" PRIu32,
		 address, port);
	prom_word(prom, key, text);
}

void logs_put_optional(struct prom *prom, const char *key, bool has, uint64_t number)
{
	if (has)
		prom_number(prom, key, number);
}

void logs_put_name(struct prom *prom, const char *key, const ProtobufCEnumDescriptor *names,
		   int value)
{
	const ProtobufCEnumValue *name = protobuf_c_enum_descriptor_get_value(names, value);

	prom_word(prom, key, name ? name->name : NULL);
}

static void put_time(struct prom *prom, const Google__Protobuf__Timestamp *time)
{
	char text[48];

	if (!time)
		return;
	snprintf(text, sizeof(text), "%" PRId64 ".%09" PRId32, time->seconds, time->nanos);
	prom_word(prom, "time", text);
}

void logs_put_ends(struct prom *prom, const Netwatch__Connection *who)
{
	put_endpoint(prom, "src", who->laddr, who->lport);
	put_endpoint(prom, "dst", who->raddr, who->rport);
}

static void put_sock(struct prom *prom, const Netwatch__Connection *who)
{
	if (who)
		logs_put_optional(prom, "sock", who->has_id, who->id);
}

/* Rounded, as the seed's were whole. */
static void put_us(struct prom *prom, const char *key, bool has, uint64_t nanoseconds)
{
	logs_put_optional(prom, key, has, (nanoseconds + 500) / 1000);
}

int logs_put_packet(struct logfile *file, const Netwatch__Event *event)
{
	const Netwatch__Packet *p = event->packet;
	bool rx = p->direction == NETWATCH__PACKET__DIRECTION__RX;
	struct prom prom;

	logfile_begin(file, &prom);
	put_sock(&prom, event->connection);
	logs_put_optional(&prom, "seq", p->has_seq, p->seq);
	logs_put_optional(&prom, "ack", p->has_ack, p->ack);
	if (rx)
		put_us(&prom, "mac_time", p->has_mac_ns, p->mac_ns);
	else
		put_us(&prom, "mac_time", p->has_qdisc_ns, p->qdisc_ns);
	put_us(&prom, "ip_time", p->has_ip_ns, p->ip_ns);
	put_us(&prom, "tcp_time", p->has_tcp_ns, p->tcp_ns);
	put_us(&prom, "app_time", p->has_app_ns, p->app_ns);
	if (!rx)
		put_us(&prom, "driver_time", p->has_mac_ns, p->mac_ns);
	logs_put_optional(&prom, "length", p->has_length, p->length);
	logs_put_optional(&prom, "rx", p->has_direction, rx);
	put_time(&prom, event->time);
	return logfile_end(file, &prom);
}

/* The message's first line, as it was sent. */
static void put_start_line(struct prom *prom, const Netwatch__Http *http)
{
	bool request = http->event == NETWATCH__HTTP__KIND__REQUEST;
	const char *version = http->version ? http->version : "";
	char text[2 * PROM_CUT_MAX], status[16] = "";

	if (http->has_status)
		snprintf(status, sizeof(status), "%" PRIu32, http->status);
	if (request)
		snprintf(text, sizeof(text), "%s %s %s", http->method ? http->method : "",
			 http->target ? http->target : "", version);
	else
		snprintf(text, sizeof(text), "%s %s %s", version, status,
			 http->reason ? http->reason : "");
	prom_text(prom, "http_info", text, strlen(text), HTTP_INFO_MAX);
}

int logs_put_http(struct logfile *file, const Netwatch__Event *event)
{
	const Netwatch__Connection *who = event->connection;
	const Netwatch__Http *http = event->http;
	bool request = http->event == NETWATCH__HTTP__KIND__REQUEST;
	struct prom prom;

	logfile_begin(file, &prom);
	put_sock(&prom, who);
	put_start_line(&prom, http);
	logs_put_optional(&prom, "http_time", http->has_latency_us, http->latency_us);
	/* who serves receives requests */
	logs_put_optional(&prom, "rx", who && who->has_role,
			  who && (who->role == NETWATCH__ROLE__SERVER) == request);
	put_time(&prom, event->time);
	return logfile_end(file, &prom);
}

int logs_put_error(struct logfile *file, const Netwatch__Event *event)
{
	const Netwatch__TcpError *error = event->error;
	const ProtobufCEnumValue *kind =
		protobuf_c_enum_descriptor_get_value(&netwatch__tcp_error__kind__descriptor,
						     (int)error->kind);
	const char *name = kind ? kind->name : NULL;
	struct prom prom;

	logfile_begin(file, &prom);
	put_sock(&prom, event->connection);
	logs_put_optional(&prom, "seq", error->has_seq, error->seq);
	logs_put_optional(&prom, "ack", error->has_ack, error->ack);
	prom_word(&prom, "reason", error->reason ? error->reason : name);
	prom_word(&prom, "kind", name);
	if (event->connection)
		logs_put_ends(&prom, event->connection);
	put_time(&prom, event->time);
	return logfile_end(file, &prom);
}
