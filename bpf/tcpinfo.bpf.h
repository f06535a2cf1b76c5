/* SPDX-License-Identifier: GPL-2.0-only */
/* A connection's counters, read from its socket: for reports and for rows of a walk. */
#ifndef NETWATCH_TCPINFO_BPF_H
#define NETWATCH_TCPINFO_BPF_H

#include "netwatch.bpf.h"

/* state: of the socket, or at its end the one that it had. Writes every byte. */
static __always_inline void nw_fill_counters(struct nw_counters *c, struct tcp_sock *tp,
					     const struct nw_socket *w, int state, __u64 now)
{
	struct inet_connection_sock *icsk = &tp->inet_conn;
	struct sock *sk = nw_sk(tp);

	__builtin_memset(c, 0, sizeof(*c));
	c->duration_us = w->born_ns ? (now - w->born_ns) / 1000 : 0;
	c->listener = state == TCP_LISTEN;
	if (c->listener) {
		c->backlog = sk->sk_ack_backlog;
		c->max_backlog = sk->sk_max_ack_backlog;
		c->drops = sk->sk_drops.counter;
		barrier(); /* no load of both ways becomes one, which the verifier refuses */
		return;
	}
	c->retransmits_known = nw_retransmits_known(w, tp);
	c->fast_retransmits = w->fast_retransmits;
	c->timeout_retransmits = w->timeout_retransmits;
	c->bytes_acked = tp->bytes_acked;
	c->bytes_received = tp->bytes_received;
	c->segs_in = tp->segs_in;
	c->segs_out = tp->segs_out;
	c->total_retransmits = tp->total_retrans;
	c->snd_cwnd = tp->snd_cwnd;
	c->snd_ssthresh = tp->snd_ssthresh;
	c->snd_wnd = tp->snd_wnd;
	c->rcv_wnd = tp->rcv_wnd;
	c->sndbuf = sk->sk_sndbuf;
	c->wmem_queued = sk->sk_wmem_queued;
	c->srtt = tp->srtt_us;
	c->mdev = tp->mdev_us;
	c->min_rtt_us = tp->rtt_min.s[0].v;
	c->rto = icsk->icsk_rto;
	c->packets_out = tp->packets_out;
	c->bytes_inflight = tp->snd_nxt - tp->snd_una;
	c->ca_state = BPF_CORE_READ_BITFIELD(icsk, icsk_ca_state);
}

#endif
