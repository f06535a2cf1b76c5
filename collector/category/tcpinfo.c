// SPDX-License-Identifier: GPL-2.0-only
#include "../category.h"
#include "kernel_side.h"
#include "../wire.h"
#include "tcpinfo.h"
#include "tcpinfo.skel.h"

#include "../../bpf/tcpinfo.h"

#define INFINITE_SSTHRESH 0x7fffffff /* TCP_INFINITE_SSTHRESH */
#define NO_RTT		  UINT32_MAX /* of struct minmax, before the first sample */

/* Numbers of the fields of netwatch.TcpInfo. */
enum {
	STATE = 1,
	BACKLOG,
	MAX_BACKLOG,
	BYTES_ACKED,
	BYTES_RECEIVED,
	BYTES_ACKED_DELTA,
	BYTES_RECEIVED_DELTA,
	SND_CWND,
	SND_SSTHRESH,
	SND_WND,
	RCV_WND,
	SNDBUF_BYTES,
	WMEM_QUEUED_BYTES,
	SRTT_US,
	MDEV_US,
	MIN_RTT_US,
	RTO_US,
	PACKETS_OUT,
	BYTES_INFLIGHT,
	SEGS_IN,
	SEGS_OUT,
	TOTAL_RETRANSMITS,
	FAST_RETRANSMITS,
	TIMEOUT_RETRANSMITS,
	CONGESTION_STATE,
	DURATION_US,
	DROPS,
};

static uint32_t jiffies, jiffies_us;

void tcpinfo_set_jiffies(uint32_t n, uint32_t microseconds)
{
	jiffies = n;
	jiffies_us = microseconds;
}

static void write_windows(struct wire *w, const struct nw_counters *c)
{
	wire_uint(w, SND_CWND, c->snd_cwnd);
	if (c->snd_ssthresh < INFINITE_SSTHRESH)
		wire_uint(w, SND_SSTHRESH, c->snd_ssthresh);
	wire_uint(w, SND_WND, c->snd_wnd);
	wire_uint(w, RCV_WND, c->rcv_wnd);
	wire_uint(w, SNDBUF_BYTES, c->sndbuf);
	wire_uint(w, WMEM_QUEUED_BYTES, c->wmem_queued);
}

static void write_times(struct wire *w, const struct nw_counters *c)
{
	if (c->srtt) {
		wire_uint(w, SRTT_US, c->srtt >> 3);
		wire_uint(w, MDEV_US, c->mdev >> 2);
	}
	if (c->min_rtt_us != NO_RTT)
		wire_uint(w, MIN_RTT_US, c->min_rtt_us);
	if (jiffies)
		wire_uint(w, RTO_US, (uint64_t)c->rto * jiffies_us / jiffies);
}

static void write_connection(struct wire *w, const struct nw_tcpinfo_record *r)
{
	const struct nw_counters *c = &r->counters;

	wire_uint(w, BYTES_ACKED, c->bytes_acked);
	wire_uint(w, BYTES_RECEIVED, c->bytes_received);
	if (r->has_deltas) {
		wire_uint(w, BYTES_ACKED_DELTA, r->bytes_acked_delta);
		wire_uint(w, BYTES_RECEIVED_DELTA, r->bytes_received_delta);
	}
	write_windows(w, c);
	write_times(w, c);
	wire_uint(w, PACKETS_OUT, c->packets_out);
	wire_uint(w, BYTES_INFLIGHT, c->bytes_inflight);
	wire_uint(w, SEGS_IN, c->segs_in);
	wire_uint(w, SEGS_OUT, c->segs_out);
	wire_uint(w, TOTAL_RETRANSMITS, c->total_retransmits);
	if (c->retransmits_known) {
		wire_uint(w, FAST_RETRANSMITS, c->fast_retransmits);
		wire_uint(w, TIMEOUT_RETRANSMITS, c->timeout_retransmits);
	}
	wire_uint(w, CONGESTION_STATE, c->ca_state + 1U); /* Ca.State counts from 1 */
}

static bool write_tcpinfo(struct wire *w, const struct nw_record *record, size_t size)
{
	const struct nw_tcpinfo_record *r = (const void *)record;

	if (size < sizeof(*r))
		return false;
	wire_uint(w, STATE, record->connection.state);
	if (r->counters.listener) {
		wire_uint(w, BACKLOG, r->counters.backlog);
		wire_uint(w, MAX_BACKLOG, r->counters.max_backlog);
	} else {
		write_connection(w, r);
	}
	if (r->counters.duration_us)
		wire_uint(w, DURATION_US, r->counters.duration_us);
	if (r->counters.listener)
		wire_uint(w, DROPS, r->counters.drops);
	return true;
}

static const struct category_hook hooks[] = {
	{.name = "iter/bpf_sk_storage_map"},
	{.name = "tp_btf/inet_sock_set_state", .without = "no report when a connection ends"},
	{.name = NULL},
};

const struct category category_tcpinfo = {
	.name = "tcpinfo",
	.field = 8,
	.wants = 1ULL << NW_WANT_TCPINFO,
	.chatty = true,
	.hooks = hooks,
	.elf = tcpinfo_bpf__elf_bytes,
	.write = write_tcpinfo,
};
