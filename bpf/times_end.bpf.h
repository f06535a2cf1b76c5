/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a segment with times begins and where it ends: what cgroup programs call, and sweeps. */
#ifndef NETWATCH_TIMES_END_BPF_H
#define NETWATCH_TIMES_END_BPF_H

#include "times_rx.bpf.h"
#include "times_tx.bpf.h"

/* Those before the limits are told as they are, by their times. */
static __always_inline void tell_older(struct sock *sk, struct nw_layers *t, __u64 rx_limit,
				       __u64 tx_limit)
{
	struct nw_socket *w = nw_storage((struct tcp_sock *)sk, 0);
	struct nw_look look;

	if (!w)
		return;
	nw_look_begin(&look, sk, w, t, 0, rx_limit);
	bpf_loop(NW_RX_MAX, expire_rx, &look, 0);
	look.limit = tx_limit;
	bpf_loop(NW_TX_MAX, expire_tx, &look, 0);
}

/*
 * The connection is over, also where its socket is kept (tcp_disconnect) and may connect again.
 * What a softirq has put there meanwhile is told when the socket is destroyed.
 */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(nw_times_close, struct sock *sk, int oldstate, int newstate)
{
	struct nw_layers *t = newstate == TCP_CLOSE ? nw_layers(sk) : NULL;

	if (t)
		tell_older(sk, t, ~0ULL, ~0ULL);
	return 0;
}

/* After this no hook can find them. */
SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(nw_times_destroy, struct sock *sk)
{
	struct nw_layers *t = nw_layers(sk);

	if (t)
		tell_older(sk, t, ~0ULL, ~0ULL);
	return 0;
}

/* What nobody reads, and what was lost on its way to the device. */
SEC("iter/bpf_sk_storage_map")
int nw_times_sweep(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	struct sock *sk = ctx->sk;
	struct nw_layers *t;

	if (!sk || !ctx->value)
		return 0;
	t = nw_layers(sk);
	if (t)
		tell_older(sk, t, now - NW_UNREAD_NS, now - NW_UNSENT_NS);
	return 0;
}

/* Nobody wants times any more. */
SEC("iter/bpf_sk_storage_map")
int nw_times_forget(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;

	if (sk && ctx->value)
		bpf_sk_storage_delete(&layers, sk);
	return 0;
}

/* NULL: the kernel has no memory for it. */
static __always_inline struct nw_layers *new_layers(struct __sk_buff *ctx, struct tcp_sock *tp)
{
	struct nw_layers *t;

	bpf_sk_storage_delete(&layers, tp); /* of those who were subscribed before */
	t = bpf_sk_storage_get(&layers, tp, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!t)
		return NULL;
	t->cookie = bpf_get_socket_cookie(ctx);
	nw_set_ends(t, tp);
	t->session = shared.times_session;
	return t;
}

static __always_inline bool has_ends(const struct nw_layers *t, struct tcp_sock *tp)
{
	return t->ends.lport == nw_lport(tp) &&
	       t->ends.rport == bpf_ntohs(nw_sk(tp)->__sk_common.skc_dport);
}

static __always_inline struct nw_layers *layers_for(struct __sk_buff *ctx, struct tcp_sock *tp)
{
	struct nw_layers *t = nw_layers(nw_sk(tp));

	/* It connects again: see nw_times_close. */
	if (t && nw_sk(tp)->__sk_common.skc_state == TCP_SYN_SENT && !has_ends(t, tp))
		t = NULL;
	return t ?: new_layers(ctx, tp);
}

static __always_inline __u32 boundary_of(struct __sk_buff *ctx, __u8 direction)
{
	bool v4 = ctx->protocol == bpf_htons(ETH_P_IP);

	if (direction == NW_RX)
		return v4 ? NW_RX_IP4 : NW_RX_IP6;
	return v4 ? NW_TX_IP4 : NW_TX_IP6;
}

/*
 * True: the segment is kept, and told later. False: it is to be told now, with these times.
 * stored: its socket names the connection and has storage. Data that is there already, and what
 * carries none, has been delivered when TCP has seen it.
 */
static __noinline int nw_keep(struct __sk_buff *ctx, struct tcp_sock *tp, struct nw_socket *stored,
			      const struct nw_segment *s, struct nw_times *times)
{
	__u64 now = bpf_ktime_get_ns(), tcp_ns;
	bool told = nw_is_told(nw_sk(tp), boundary_of(ctx, s->direction));
	struct nw_layers *t;

	times->mac_ns = NW_TIME_ABSENT;
	times->ip_ns = NW_TIME_ABSENT;
	times->tcp_ns = NW_TIME_ABSENT;
	times->app_ns = NW_TIME_ABSENT;
	times->qdisc_ns = NW_TIME_ABSENT;
	if (s->direction == NW_RX) {
		tcp_ns = take_stamp(ctx, now, told, times);
		if (!stored || !s->length || !nw_after(nw_data_end(s), tp->rcv_nxt))
			return false;
		t = layers_for(ctx, tp);
		return t && keep_rx(nw_sk(tp), t, s, now, tcp_ns, times);
	}
	t = stored ? layers_for(ctx, tp) : NULL;
	return t && keep_tx(ctx, tp, t, s, now, told);
}

#endif
