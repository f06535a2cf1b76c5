// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "../category.h"
#include "kernel_side.h"
#include "../wire.h"
#include "conn.h"

/* Numbers of the fields of netwatch.Conn. */
enum {
	EVENT = 1,
	STATE,
	ERROR,
	HANDSHAKE_US,
	CLOSED_BY,
	DURATION_US,
	BYTES_RECEIVED,
	BYTES_ACKED,
	SEGS_IN,
	SEGS_OUT,
	TOTAL_RETRANSMITS,
};

static void write_error(struct wire *w, const struct nw_conn_end_record *r)
{
	const char *name = r->error ? strerrorname_np((int)r->error) : NULL;

	if (name)
		wire_string(w, ERROR, name);
}

static void write_totals(struct wire *w, const struct nw_conn_end_record *r)
{
	if (r->closed_by)
		wire_uint(w, CLOSED_BY, r->closed_by);
	if (r->duration_us)
		wire_uint(w, DURATION_US, r->duration_us);
	wire_uint(w, BYTES_RECEIVED, r->bytes_received);
	wire_uint(w, BYTES_ACKED, r->bytes_acked);
	wire_uint(w, SEGS_IN, r->segs_in);
	wire_uint(w, SEGS_OUT, r->segs_out);
	wire_uint(w, TOTAL_RETRANSMITS, r->total_retransmits);
}

static bool write_conn(struct wire *w, const struct nw_record *record, size_t size)
{
	const struct nw_conn_record *r = (const void *)record;
	const struct nw_conn_end_record *end = (const void *)record;
	bool ended;

	if (size < sizeof(*r))
		return false;
	ended = r->stage == NW_CONN_FAILED || r->stage == NW_CONN_CLOSE;
	if (ended && size < sizeof(*end))
		return false;
	wire_uint(w, EVENT, r->stage);
	wire_uint(w, STATE, record->connection.state);
	if (r->stage == NW_CONN_FAILED)
		write_error(w, end);
	if (r->handshake_us)
		wire_uint(w, HANDSHAKE_US, r->handshake_us);
	if (r->stage == NW_CONN_CLOSE)
		write_totals(w, end);
	return true;
}

static uint64_t options(const Netwatch__Subscribe *subscribe)
{
	return subscribe->has_closed && subscribe->closed ? 1ULL << NW_WANT_CONN_CLOSE : 0;
}

static uint64_t wanted_by(const struct nw_record *record, size_t size)
{
	const struct nw_conn_record *r = (const void *)record;

	return 1ULL << (size >= sizeof(*r) && r->stage == NW_CONN_CLOSE ? NW_WANT_CONN_CLOSE
									: NW_WANT_CONN);
}

static const struct category_hook hooks[] = {
	{.name = "tp_btf/inet_sock_set_state"},
	{.name = "tp_btf/tcp_rcv_space_adjust",
	 .without =
		 "an accepted connection is told up to a second late, when its process was found"},
	{.name = NULL},
};

const struct category category_conn = {
	.name = "conn",
	.field = 4,
	.wants = 1ULL << NW_WANT_CONN,
	.wanted_by = wanted_by,
	.options = options,
	.hooks = hooks,
	.write = write_conn,
};
