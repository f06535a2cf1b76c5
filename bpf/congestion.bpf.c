// SPDX-License-Identifier: GPL-2.0-only
/* Category congestion: the state of congestion control changed. */
#include "netwatch.bpf.h"

#include "congestion.h"

char LICENSE[] SEC("license") = "GPL";

static __noinline int emit(struct tcp_sock *tp, struct nw_socket *w, __u32 from, __u32 to)
{
	__u32 uid;
	__u64 receivers = nw_receivers(tp, w, NW_WANT_CONGESTION, &uid);
	struct nw_congestion_record *r;
	struct sock *sk = nw_sk(tp);

	if (!receivers)
		return 0;
	r = nw_reserve(sizeof(*r), receivers);
	if (!r)
		return 0;
	nw_fill(&r->head, tp, w, bpf_get_socket_cookie(sk), receivers, uid, bpf_ktime_get_ns(),
		sk->__sk_common.skc_state, NW_CATEGORY_CONGESTION);
	r->from = from;
	r->to = to;
	r->snd_cwnd = tp->snd_cwnd;
	r->snd_ssthresh = tp->snd_ssthresh;
	r->srtt_us = tp->srtt_us >> 3;
	r->mdev_us = tp->mdev_us >> 2;
	__builtin_memset(r->reserved, 0, sizeof(r->reserved));
	nw_submit(r);
	return 0;
}

/* The tracepoint stands before the change, and the kernel also sets the state that it has. */
static __always_inline int set(struct sock *sk, __u8 to)
{
	struct nw_socket uncached = {};
	struct tcp_sock *tp = nw_tcp_sock(sk);
	struct inet_connection_sock *icsk;
	__u32 from;

	if (!tp)
		return 0;
	icsk = &tp->inet_conn;
	from = BPF_CORE_READ_BITFIELD_PROBED(icsk, icsk_ca_state);
	return from == to ? 0 : emit(tp, nw_storage(tp, 0) ?: &uncached, from, to);
}

SEC("tp_btf/tcp_cong_state_set")
int BPF_PROG(nw_congestion, struct sock *sk, __u8 to)
{
	struct nw_run *run = nw_begin(NW_PAIR_CONGESTION);

	if (!run)
		return 0;
	set(sk, to);
	nw_end(run);
	return 0;
}

SEC("tp_btf/tcp_cong_state_set")
int BPF_PROG(nw_congestion_twin, struct sock *sk, __u8 to)
{
	return nw_missed(NW_PAIR_CONGESTION) ? set(sk, to) : 0;
}
