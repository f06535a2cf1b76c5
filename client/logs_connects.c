// SPDX-License-Identifier: GPL-2.0-only
// The connections that there are, and those that lately closed: what is in connects.log.
#include <stdlib.h>

#include "conns.h"
#include "event.h"
#include "logs.h"

#define CLOSED_MAX 1024 /* closed connections that --all keeps, the latest */
#define HELP                                                              \
	"A TCP connection of this host; bytes in rx_bytes and tx_bytes, " \
	"microseconds in srtt and duration."

/* What connects.log has of a connection; strings are owned, or NULL. */
struct connection {
	struct conns_entry entry;
	Netwatch__Connection *who;
	Netwatch__Tcp__State state;
	bool counted; /* retransmissions are told from its beginning */
	uint64_t fast, timeout;
	Netwatch__TcpInfo *info; /* or NULL */
	Netwatch__Conn *end;	 /* CLOSE, of the closed */
};

static struct {
	const struct options *options;
	bool keep_closed, counted; /* -a; -r or -x */
	bool behind;		   /* something was lost: look what there is */
	struct conns live, closed;
} table;

static void *copy(const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *data = malloc(size + 1);
	void *made = NULL;

	if (!data)
		return NULL;
	protobuf_c_message_pack(message, data);
	made = protobuf_c_message_unpack(message->descriptor, NULL, size, data);
	free(data);
	return made;
}

/* Keeps a copy of message (NULL: keeps what there is). */
static void keep(void *where, const void *message)
{
	ProtobufCMessage **kept = where;
	ProtobufCMessage *made = message ? copy(message) : NULL;

	if (!made)
		return;
	if (*kept)
		protobuf_c_message_free_unpacked(*kept, NULL);
	*kept = made;
}

static void drop(struct conns *conns, struct connection *c)
{
	ProtobufCMessage *parts[] = {(ProtobufCMessage *)c->who, (ProtobufCMessage *)c->info,
				     (ProtobufCMessage *)c->end};

	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i])
			protobuf_c_message_free_unpacked(parts[i], NULL);
	}
	conns_remove(conns, c);
}

static void put_counters(struct prom *prom, const Netwatch__TcpInfo *i)
{
	logs_put_optional(prom, "backlog", i->has_backlog, i->backlog);
	logs_put_optional(prom, "maxbacklog", i->has_max_backlog, i->max_backlog);
	logs_put_optional(prom, "rwnd", i->has_rcv_wnd, i->rcv_wnd);
	logs_put_optional(prom, "cwnd", i->has_snd_cwnd, i->snd_cwnd);
	logs_put_optional(prom, "ssthresh", i->has_snd_ssthresh, i->snd_ssthresh);
	logs_put_optional(prom, "sndbuf", i->has_sndbuf_bytes, i->sndbuf_bytes);
	logs_put_optional(prom, "wmem_queued", i->has_wmem_queued_bytes, i->wmem_queued_bytes);
	logs_put_optional(prom, "rx_bytes", i->has_bytes_received, i->bytes_received);
	logs_put_optional(prom, "tx_bytes", i->has_bytes_acked, i->bytes_acked);
	logs_put_optional(prom, "srtt", i->has_srtt_us, i->srtt_us);
	logs_put_optional(prom, "duration", i->has_duration_us, i->duration_us);
	logs_put_optional(prom, "total_retrans", i->has_total_retransmits, i->total_retransmits);
}

/* Of a closed one: with the totals in the place of what was reported before. */
static void put_end(struct prom *prom, const struct connection *c)
{
	Netwatch__TcpInfo info = NETWATCH__TCP_INFO__INIT;
	const Netwatch__Conn *end = c->end;

	logs_put_name(prom, "closed_by", &netwatch__conn__closer__descriptor,
		      end->has_closed_by ? (int)end->closed_by : 0);
	if (!table.options->extra)
		return;
	if (c->info)
		info = *c->info;
	info.has_bytes_received = end->has_bytes_received;
	info.bytes_received = end->bytes_received;
	info.has_bytes_acked = end->has_bytes_acked;
	info.bytes_acked = end->bytes_acked;
	info.has_duration_us = end->has_duration_us;
	info.duration_us = end->duration_us;
	info.has_total_retransmits = end->has_total_retransmits;
	info.total_retransmits = end->total_retransmits;
	put_counters(prom, &info);
}

static void put_connection(struct output *output, const struct connection *c)
{
	const Netwatch__Connection *who = c->who;
	struct prom prom;

	prom_begin(&prom, output, "connection", "");
	logs_put_optional(&prom, "pid", who->has_pid, who->pid);
	prom_number(&prom, "sock", c->entry.id);
	logs_put_ends(&prom, who);
	logs_put_optional(&prom, "is_server", who->has_role, who->role == NETWATCH__ROLE__SERVER);
	prom_word(&prom, "comm", who->comm);
	logs_put_optional(&prom, "uid", who->has_uid, who->uid);
	logs_put_name(&prom, "state", &netwatch__tcp__state__descriptor, c->state);
	if (c->end)
		put_end(&prom, c);
	else if (c->info && table.options->extra)
		put_counters(&prom, c->info);
	logs_put_optional(&prom, "fast_retrans", c->counted, c->fast);
	logs_put_optional(&prom, "timeout_retrans", c->counted, c->timeout);
	prom_value(&prom, 1);
}

static int put_connections(struct output *output, const struct conns *conns)
{
	const struct conns_entry *entry;
	int err = 0;

	TAILQ_FOREACH (entry, &conns->list, link) {
		err = err ? err : output_begin(output);
		if (err)
			break;
		put_connection(output, (const struct connection *)entry);
		err = output_end(output);
	}
	return err;
}

int logs_connects_write(int dir)
{
	struct logfile_whole file;
	int err = logfile_whole_begin(&file, dir, LOGS_CONNECTS);

	if (!err) {
		prom_head(&file.output, "connection", "gauge", HELP);
		err = put_connections(&file.output, &table.live);
		if (!err)
			err = put_connections(&file.output, &table.closed);
		err = logfile_whole_end(&file, err);
	}
	return err;
}

static struct connection *find(const Netwatch__Connection *who)
{
	return who && who->has_id ? conns_find(&table.live, who->id) : NULL;
}

static struct connection *get(const Netwatch__Connection *who)
{
	struct connection *c = who && who->has_id ? conns_get(&table.live, who->id) : NULL;

	if (!c)
		return NULL;
	c->entry.generation = table.live.generation;
	keep(&c->who, who);
	if (c->who)
		return c;
	conns_remove(&table.live, c);
	return NULL;
}

static void close_connection(struct connection *c, const Netwatch__Conn *conn)
{
	struct connection *closed = NULL;

	if (table.keep_closed && table.closed.count == CLOSED_MAX)
		drop(&table.closed, (struct connection *)TAILQ_FIRST(&table.closed.list));
	if (table.keep_closed)
		closed = conns_get(&table.closed, c->entry.id);
	if (closed) {
		closed->who = c->who;
		closed->info = c->info;
		closed->counted = c->counted;
		closed->fast = c->fast;
		closed->timeout = c->timeout;
		closed->state = NETWATCH__TCP__STATE__CLOSE;
		c->who = NULL;
		c->info = NULL;
		keep(&closed->end, conn);
	}
	drop(&table.live, c);
}

void logs_on_conn(struct session *session, const Netwatch__Event *event)
{
	const Netwatch__Conn *conn = event->conn;
	bool ended = conn->event == NETWATCH__CONN__STAGE__CLOSE ||
		     conn->event == NETWATCH__CONN__STAGE__FAILED;
	bool begun = conn->event == NETWATCH__CONN__STAGE__OPEN ||
		     conn->event == NETWATCH__CONN__STAGE__ESTABLISHED;
	struct connection *c = ended ? find(event->connection) : get(event->connection);

	(void)session;
	if (!c)
		return;
	if (conn->event == NETWATCH__CONN__STAGE__CLOSE) {
		keep(&c->who, event->connection);
		close_connection(c, conn);
	} else if (ended) {
		drop(&table.live, c);
	} else {
		c->state = conn->state;
		c->counted |= begun && table.counted;
	}
}

/* The last one comes with the end, before or behind CLOSE: that is no new connection. */
static struct connection *reported(const Netwatch__Connection *who, const Netwatch__TcpInfo *info)
{
	struct connection *c = find(who);

	if (info->state != NETWATCH__TCP__STATE__CLOSE)
		return get(who);
	return c || !who || !who->has_id ? c : conns_find(&table.closed, who->id);
}

void logs_on_tcpinfo(struct session *session, const Netwatch__Event *event)
{
	const Netwatch__TcpInfo *info = event->tcpinfo;
	struct connection *c = reported(event->connection, info);

	(void)session;
	if (!c)
		return;
	keep(&c->info, info);
	c->state = info->state;
	if (!info->has_fast_retransmits || !info->has_timeout_retransmits)
		return;
	c->counted = table.counted;
	c->fast = info->fast_retransmits;
	c->timeout = info->timeout_retransmits;
}

void logs_on_retransmit(struct session *session, const Netwatch__Event *event)
{
	const Netwatch__Retransmit *retransmit = event->retransmit;
	struct connection *c = find(event->connection);

	(void)session;
	if (!c || !retransmit->has_fast_retransmits || !retransmit->has_timeout_retransmits)
		return;
	c->counted = true;
	c->fast = retransmit->fast_retransmits;
	c->timeout = retransmit->timeout_retransmits;
}

void logs_on_lost(struct session *session, const Netwatch__Event *event)
{
	(void)session;
	(void)event;
	table.behind = true;
}

static int start_list(struct session *session, const Netwatch__Hello *hello)
{
	Netwatch__Request request = NETWATCH__REQUEST__INIT;
	Netwatch__List list = NETWATCH__LIST__INIT;

	(void)hello;
	list.filter = session->options->filter.message;
	request.request_case = NETWATCH__REQUEST__REQUEST_LIST;
	request.list = &list;
	return session_send(session, &request);
}

/* Those of which nobody told that they are gone, and those of which nobody told. */
static void remove_old(void)
{
	struct conns_entry *entry, *next;

	for (entry = TAILQ_FIRST(&table.live.list); entry; entry = next) {
		next = TAILQ_NEXT(entry, link);
		if (entry->generation != table.live.generation)
			drop(&table.live, (struct connection *)entry);
	}
}

/* After a loss: what the collector lists is what there is. */
void logs_connects_catch_up(const struct session *session)
{
	static const struct session_ops ops = {.start = start_list,
					       .event = logs_take,
					       .snapshot = true};
	struct session list;
	int status;

	if (!table.behind || !categories_have(&session->asked, "conn"))
		return;
	conns_renew(&table.live);
	status = session_run(&list, session->options, &ops);
	session_deinit(&list);
	if (status)
		return; /* again at the next time */
	remove_old();
	table.behind = false;
}

void logs_connects_begin(void)
{
	conns_renew(&table.live);
}

void logs_connects_live(void)
{
	remove_old();
	table.behind = false;
}

void logs_connects_init(const struct options *options, bool counted)
{
	table.options = options;
	table.keep_closed = options->closed;
	table.counted = counted;
	conns_init(&table.live, sizeof(struct connection), CONNS_MAX);
	conns_init(&table.closed, sizeof(struct connection), CLOSED_MAX);
}

static void drop_all(struct conns *conns)
{
	while (!TAILQ_EMPTY(&conns->list))
		drop(conns, (struct connection *)TAILQ_FIRST(&conns->list));
}

void logs_connects_deinit(void)
{
	drop_all(&table.live);
	drop_all(&table.closed);
}
