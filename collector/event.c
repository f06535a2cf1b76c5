// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "category.h"
#include "escape.h"
#include "event.h"
#include "frame.h"
#include "kernel_side.h"
#include "tcpinfo.h"
#include "wire.h"

#define REPLY_EVENT 3 /* field number of netwatch.Reply.event */
#define HEAD_MAX    (2 * FRAME_PREFIX_MAX + 1)

enum { EVENT_TIME = 1, EVENT_CONNECTION, EVENT_LOST };

/* Numbers of the fields of netwatch.Connection. */
enum {
	ID = 1,
	LADDR,
	LPORT,
	RADDR,
	RPORT,
	ROLE,
	PID,
	COMM,
	UID,
	NETNS,
	CGROUP_ID,
	CGROUP,
	SOCK,
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t event_monotonic(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

int64_t event_unix_offset(int64_t before)
{
	/* Whatever passes between two looks, it is between these. */
	int64_t begin = (int64_t)clock_ns(CLOCK_MONOTONIC);
	int64_t now = (int64_t)clock_ns(CLOCK_REALTIME);
	int64_t end = (int64_t)clock_ns(CLOCK_MONOTONIC);

	if (before < now - end)
		return now - end;
	return before > now - begin ? now - begin : before;
}

static char *put_octet(char *p, uint8_t value)
{
	if (value >= 100)
		*p++ = (char)('0' + value / 100);
	if (value >= 10)
		*p++ = (char)('0' + value / 10 % 10);
	*p++ = (char)('0' + value % 10);
	return p;
}

static void write_address(struct wire *w, unsigned field, uint8_t family, const uint8_t *address)
{
	char text[INET6_ADDRSTRLEN], *p = text;

	if (family == 6) {
		inet_ntop(AF_INET6, address, text, sizeof(text));
		wire_string(w, field, text);
		return;
	}
	for (int i = 0; i < 4; i++) {
		p = put_octet(p, address[i]);
		*p++ = '.';
	}
	wire_bytes(w, field, text, (size_t)(p - 1 - text));
}

static void write_owner(struct wire *w, const struct nw_connection *c)
{
	char comm[4 * NW_COMM_SIZE + 1];
	size_t length;

	if (c->owner == NW_OWNER_UNKNOWN)
		return;
	length = escape_bytes(comm, sizeof(comm), c->comm, strnlen(c->comm, sizeof(c->comm)));
	wire_uint(w, PID, c->pid);
	wire_bytes(w, COMM, comm, length);
}

static void encode_connection(struct wire *w, const struct nw_connection *c, bool with_address)
{
	size_t begin = wire_begin(w, EVENT_CONNECTION);
	char sock[2 + 16 + 1];

	if (c->cookie)
		wire_fixed64(w, ID, c->cookie);
	write_address(w, LADDR, c->family, c->laddr);
	if (c->lport)
		wire_uint(w, LPORT, c->lport);
	if (c->rport) {
		write_address(w, RADDR, c->family, c->raddr);
		wire_uint(w, RPORT, c->rport);
	}
	if (c->role != NW_ROLE_UNKNOWN)
		wire_uint(w, ROLE, c->role);
	write_owner(w, c);
	if (c->cookie) /* else there is no socket */
		wire_uint(w, UID, c->uid);
	wire_uint(w, NETNS, c->netns);
	if (c->cgroup)
		wire_fixed64(w, CGROUP_ID, c->cgroup);
	if (with_address) {
		snprintf(sock, sizeof(sock), "0x%llx", c->sock);
		wire_string(w, SOCK, sock);
	}
	wire_end(w, begin);
}

/*
 * Connections as they were last encoded, by cookie: to compare with one and to copy it takes a
 * fraction of the time, and most events are of a connection that had one just now.
 */
#define ENCODED	       256
#define ENCODED_MAX    280 /* bytes: all fields, comm escaped throughout */
#define CONNECTION_KEY offsetof(struct nw_connection, state) /* bytes that are encoded */

struct encoded {
	struct nw_connection connection;
	uint16_t size; /* 0: nothing */
	uint8_t data[ENCODED_MAX];
};

static void write_connection(struct wire *w, const struct nw_connection *c, bool with_address)
{
	static struct encoded all[2][ENCODED]; /* with and without the address */
	struct encoded *known = &all[with_address][c->cookie % ENCODED];
	size_t begin = w->used;

	if (known->size && !memcmp(&known->connection, c, CONNECTION_KEY)) {
		wire_raw(w, known->data, known->size);
		return;
	}
	encode_connection(w, c, with_address);
	known->size = 0;
	if (w->overflow || w->used - begin > sizeof(known->data))
		return;
	known->connection = *c;
	known->size = (uint16_t)(w->used - begin);
	memcpy(known->data, w->data + begin, known->size);
}

/* The event stands in the buffer behind HEAD_MAX bytes: put prefix, tag and length before. */
static void finish(struct event_frame *frame, const struct wire *w)
{
	uint8_t length[FRAME_PREFIX_MAX], prefix[FRAME_PREFIX_MAX];
	size_t n = frame_prefix(length, (uint32_t)w->used);
	size_t m = frame_prefix(prefix, (uint32_t)(1 + n + w->used));
	uint8_t *p = frame->buffer + HEAD_MAX - n - 1 - m;

	frame->data = p;
	frame->size = m + 1 + n + w->used;
	memcpy(p, prefix, m);
	p[m] = REPLY_EVENT << 3 | 2;
	memcpy(p + m + 1, length, n);
}

static struct wire wire_of(struct event_frame *frame)
{
	return (struct wire){.data = frame->buffer + HEAD_MAX,
			     .size = sizeof(frame->buffer) - HEAD_MAX};
}

/* The member of a record's category. False: it is too short, or no category is known by it. */
static bool write_member(struct wire *w, const struct nw_record *record, size_t size)
{
	const struct category *category;
	size_t begin;

	if (size < sizeof(*record) || record->connection.category >= n_categories)
		return false;
	category = categories[record->connection.category];
	begin = wire_begin(w, category->field);
	if (!category->write || !category->write(w, record, size))
		return false;
	wire_end(w, begin);
	return true;
}

int event_from_record(struct event_frame *frame, const struct nw_record *record, size_t size,
		      int64_t unix_offset_ns, bool with_address)
{
	struct wire w = wire_of(frame);

	if (size < sizeof(*record))
		return -EBADMSG;
	wire_timestamp(&w, EVENT_TIME, record->time_ns + (uint64_t)unix_offset_ns);
	write_connection(&w, &record->connection, with_address);
	if (!write_member(&w, record, size) || w.overflow)
		return -EBADMSG;
	finish(frame, &w);
	return 0;
}

int event_from_made(struct event_frame *frame, const struct category *category,
		    const struct made *made, int64_t unix_offset_ns, bool with_address,
		    bool redacted)
{
	struct wire w = wire_of(frame);
	size_t begin;

	wire_timestamp(&w, EVENT_TIME, made->time_ns + (uint64_t)unix_offset_ns);
	write_connection(&w, &made->record->connection, with_address);
	begin = wire_begin(&w, category->field);
	category->maker->write(&w, made, redacted);
	wire_end(&w, begin);
	if (w.overflow)
		return -EBADMSG;
	finish(frame, &w);
	return 0;
}

int event_from_row(struct event_frame *frame, const struct nw_row *row,
		   const struct nw_counters *counters, bool with_address)
{
	struct nw_tcpinfo_record tcpinfo = {.head.connection = row->connection};
	struct nw_conn_record conn = {.head.connection = row->connection,
				      .stage = NW_CONN_EXISTING};
	struct wire w = wire_of(frame);

	conn.head.connection.category = NW_CATEGORY_CONN;
	tcpinfo.head.connection.category = NW_CATEGORY_TCPINFO;
	wire_timestamp(&w, EVENT_TIME, clock_ns(CLOCK_REALTIME));
	write_connection(&w, &row->connection, with_address);
	if (counters)
		tcpinfo.counters = *counters;
	if (!write_member(&w, &conn.head, sizeof(conn)) ||
	    (counters && !write_member(&w, &tcpinfo.head, sizeof(tcpinfo))) || w.overflow)
		return -EBADMSG;
	finish(frame, &w);
	return 0;
}

void event_lost(struct event_frame *frame, Netwatch__Lost__Cause cause, uint64_t count,
		uint64_t first_ns, uint64_t last_ns)
{
	struct wire w = wire_of(frame);
	size_t begin = wire_begin(&w, EVENT_LOST);

	wire_uint(&w, 1, cause);
	if (count)
		wire_uint(&w, 2, count);
	wire_timestamp(&w, 3, first_ns);
	wire_timestamp(&w, 4, last_ns);
	wire_end(&w, begin);
	finish(frame, &w);
}
