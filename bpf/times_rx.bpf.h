/* SPDX-License-Identifier: GPL-2.0-only */
/* Layer times of what is received: from the link to the application that reads it. */
#ifndef NETWATCH_TIMES_RX_BPF_H
#define NETWATCH_TIMES_RX_BPF_H

#include "times.bpf.h"

/* ------------------------------------------- from the link to TCP, by buffer */

static __always_inline struct nw_stamp *stamp_at(struct nw_cpu *cpu, __u64 address)
{
	return &cpu->stamps[address >> 8 & (NW_STAMPS_MAX - 1)];
}

/* The verifier lets nobody calculate with a pointer, but with what was one in memory. */
static __always_inline struct nw_stamp *stamp_of(struct sk_buff *skb)
{
	struct nw_cpu *cpu = nw_cpu();

	if (!cpu)
		return NULL;
	WRITE(cpu->address, (__u64)skb);
	return stamp_at(cpu, READ(cpu->address));
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(nw_times_link, struct sk_buff *skb)
{
	struct nw_stamp *stamp = stamp_of(skb);

	if (!stamp)
		return 0;
	stamp->skb = (__u64)skb;
	stamp->link_ns = bpf_ktime_get_ns();
	stamp->ip_ns = 0;
	stamp->tcp_ns = 0;
	return 0;
}

static __always_inline int ip_begins(struct sk_buff *skb)
{
	struct nw_stamp *stamp = stamp_of(skb);

	if (stamp && stamp->skb == (__u64)skb)
		stamp->ip_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("fentry/ip_rcv_core")
int BPF_PROG(nw_times_ip4, struct sk_buff *skb)
{
	nw_has_boundary(NW_RX_IP4);
	return ip_begins(skb);
}

SEC("fentry/ip6_rcv_core")
int BPF_PROG(nw_times_ip6, struct sk_buff *skb)
{
	nw_has_boundary(NW_RX_IP6);
	return ip_begins(skb);
}

static __always_inline int tcp_begins(struct sk_buff *skb)
{
	struct nw_stamp *stamp = stamp_of(skb);

	if (stamp && stamp->skb == (__u64)skb)
		stamp->tcp_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("fentry/tcp_v4_rcv")
int BPF_PROG(nw_times_tcp4, struct sk_buff *skb)
{
	return tcp_begins(skb);
}

SEC("fentry/tcp_v6_rcv")
int BPF_PROG(nw_times_tcp6, struct sk_buff *skb)
{
	return tcp_begins(skb);
}

/* Where the kernel's buffer behind the context is. */
static __always_inline __u64 address_of(struct __sk_buff *ctx)
{
	__u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), &ctx);
	return address;
}

/*
 * What came before TCP: used once, and only by a segment that has just come, so that a buffer
 * which was seen by half of the hooks never has the time of an earlier one. told: where IP begins
 * is. The moment at which TCP began, which is at latest now.
 */
static __always_inline __u64 take_stamp(struct __sk_buff *ctx, __u64 now, bool told,
					struct nw_times *times)
{
	__u64 skb = address_of(ctx), tcp_ns, link_ns, ip_ns;
	struct nw_cpu *cpu = nw_cpu();
	struct nw_stamp *stamp;

	if (!cpu)
		return now;
	stamp = stamp_at(cpu, skb);
	if (stamp->skb != skb)
		return now;
	stamp->skb = 0;
	link_ns = stamp->link_ns;
	ip_ns = stamp->ip_ns;
	tcp_ns = stamp->tcp_ns ?: now;
	if (now - link_ns > NW_BATCH_NS)
		return now;
	if (told) {
		times->mac_ns = nw_between(link_ns, ip_ns);
		times->ip_ns = nw_between(ip_ns, tcp_ns);
	} else {
		times->ip_ns = nw_between(link_ns, tcp_ns);
	}
	return tcp_ns;
}

/* ------------------------------------- from TCP to the application, by socket */

static __always_inline void rx_times(const struct nw_rx *rx, struct nw_times *times)
{
	times->mac_ns = rx->mac_ns;
	times->ip_ns = rx->ip_ns;
	times->tcp_ns = rx->tcp_ns;
	times->app_ns = NW_TIME_ABSENT;
	times->qdisc_ns = NW_TIME_ABSENT;
}

/* True: it waits for the next hooks. */
static __always_inline bool keep_rx(struct sock *sk, struct nw_layers *t,
				    const struct nw_segment *s, __u64 now, __u64 tcp_ns,
				    const struct nw_times *times)
{
	__u64 index = READ(t->rx_head);
	struct nw_rx *rx = &t->rx[index & (NW_RX_MAX - 1)];

	if (!nw_claim(&rx->pending, &t->rx_head, index, NW_RX_MAX))
		return false;
	rx->pending.segment = *s;
	rx->pending.time_ns = now;
	rx->mark_ns = tcp_ns;
	rx->mac_ns = times->mac_ns;
	rx->ip_ns = times->ip_ns;
	rx->tcp_ns = NW_TIME_ABSENT;
	nw_release(&rx->pending, index, NW_READY);
	/* Who closed the socket in between may not have seen it. */
	if (sk->__sk_common.skc_state != TCP_CLOSE || !nw_take(&rx->pending, index))
		return true;
	nw_release(&rx->pending, index, NW_TOLD);
	return false;
}

/* Data is in the queue up to rcv_nxt: what came early waited for what was missing. */
static long queue_one(__u32 i, struct nw_look *look)
{
	__u64 index = look->first + i, state;
	struct nw_rx *rx = &look->t->rx[index & (NW_RX_MAX - 1)];

	state = READ(rx->pending.state);
	if (state == NW_STATE(index, NW_TOLD) || rx->tcp_ns != NW_TIME_ABSENT) {
		nw_look_past(look, index);
		return 0;
	}
	if (state != NW_STATE(index, NW_READY) ||
	    nw_after(nw_data_end(&rx->pending.segment), look->limit) ||
	    !nw_take(&rx->pending, index))
		return 0;
	rx->tcp_ns = nw_between(rx->mark_ns, look->now);
	rx->mark_ns = look->now;
	nw_release(&rx->pending, index, NW_READY);
	nw_look_past(look, index);
	return 0;
}

static __always_inline int queued(struct sock *sk)
{
	struct nw_layers *t = nw_layers(sk);
	struct nw_look look;
	struct tcp_sock *tp;
	__u64 head;

	if (!t)
		return 0;
	head = READ(t->rx_head);
	tp = t->rx_queued != head ? bpf_skc_to_tcp_sock(sk) : NULL;
	if (!tp)
		return 0;
	nw_look_begin(&look, sk, NULL, t, t->rx_queued, tp->rcv_nxt);
	bpf_loop(head - look.first, queue_one, &look, 0);
	t->rx_queued = look.next;
	return 0;
}

SEC("tp_btf/sk_data_ready")
int BPF_PROG(nw_times_queued, struct sock *sk)
{
	nw_has_boundary(NW_RX_QUEUE);
	return queued(sk);
}

SEC("fentry/sock_def_readable")
int BPF_PROG(nw_times_readable, struct sock *sk)
{
	nw_has_boundary(NW_RX_QUEUE);
	return queued(sk);
}

static long read_one(__u32 i, struct nw_look *look)
{
	__u64 index = look->first + i, state;
	struct nw_rx *rx = &look->t->rx[index & (NW_RX_MAX - 1)];
	struct nw_times times;

	state = READ(rx->pending.state);
	if (state == NW_STATE(index, NW_TOLD)) {
		nw_look_past(look, index);
		return 0;
	}
	if (state != NW_STATE(index, NW_READY) ||
	    nw_after(nw_data_end(&rx->pending.segment), look->limit) ||
	    !nw_take(&rx->pending, index))
		return 0;
	rx_times(rx, &times);
	if (rx->tcp_ns != NW_TIME_ABSENT || !(READ(shared.boundaries) & NW_RX_QUEUE))
		times.app_ns = nw_between(rx->mark_ns, look->now);
	nw_tell_pending(look->sk, look->w, look->t, &rx->pending, &times);
	nw_release(&rx->pending, index, NW_TOLD);
	nw_look_past(look, index);
	return 0;
}

SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(nw_times_read, struct sock *sk)
{
	struct nw_layers *t = nw_layers(sk);
	struct nw_socket *w;
	struct nw_look look;
	struct tcp_sock *tp;
	__u64 head;

	if (!t)
		return 0;
	head = READ(t->rx_head);
	tp = t->rx_read != head ? bpf_skc_to_tcp_sock(sk) : NULL;
	w = tp ? nw_storage(tp, 0) : NULL;
	if (!w)
		return 0;
	nw_look_begin(&look, sk, w, t, t->rx_read, tp->copied_seq);
	bpf_loop(head - look.first, read_one, &look, 0);
	t->rx_read = look.next;
	return 0;
}

/* Those that came before limit are told as they are. */
static long expire_rx(__u32 i, struct nw_look *look)
{
	struct nw_rx *rx = &look->t->rx[i & (NW_RX_MAX - 1)];
	__u64 state = READ(rx->pending.state), index = state >> 2;
	struct nw_times times;

	if (NW_KIND(state) != NW_READY || rx->pending.time_ns > look->limit ||
	    !nw_take(&rx->pending, index))
		return 0;
	rx_times(rx, &times);
	nw_tell_pending(look->sk, look->w, look->t, &rx->pending, &times);
	nw_release(&rx->pending, index, NW_TOLD);
	return 0;
}

#endif
