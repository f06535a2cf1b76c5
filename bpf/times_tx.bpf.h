/* SPDX-License-Identifier: GPL-2.0-only */
/* Layer times of what is sent: from the application's send to the driver. */
#ifndef NETWATCH_TIMES_TX_BPF_H
#define NETWATCH_TIMES_TX_BPF_H

#include "times_local.bpf.h"

#define NETDEV_TX_BUSY 0x10 /* the driver did not take it: it comes again */

/* ----------------------------------------- under the socket's lock: send, TCP */

/* count: bytes that the application still has to give. Some may not find room. */
static __always_inline int sends(struct sock *sk, __u64 count)
{
	struct nw_layers *t = nw_layers(sk);
	struct tcp_sock *tp = t ? bpf_skc_to_tcp_sock(sk) : NULL;
	struct nw_send *send;

	if (!t || !tp)
		return 0;
	send = &t->sends[t->n_sends++ & (NW_SENDS_MAX - 1)];
	send->begin = tp->write_seq;
	send->end = tp->write_seq + count;
	send->time_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(nw_times_send, struct sock *sk, struct msghdr *msg)
{
	return sends(sk, msg->msg_iter.count);
}

SEC("fentry/tcp_sendmsg_locked")
int BPF_PROG(nw_times_sendmsg, struct sock *sk, struct msghdr *msg, unsigned long size)
{
	return sends(sk, size);
}

static __always_inline int gives_to_ip(struct sock *sk, struct sk_buff *skb, __u32 boundary)
{
	struct nw_layers *t = nw_layers(sk);

	nw_has_boundary(boundary);
	if (!t)
		return 0;
	t->ip_skb = (__u64)skb;
	t->ip_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("fentry/ip_queue_xmit")
int BPF_PROG(nw_times_ip4_sends, struct sock *sk, struct sk_buff *skb)
{
	return gives_to_ip(sk, skb, NW_TX_IP4);
}

SEC("fentry/inet6_csk_xmit")
int BPF_PROG(nw_times_ip6_sends, struct sock *sk, struct sk_buff *skb)
{
	return gives_to_ip(sk, skb, NW_TX_IP6);
}

struct nw_find_send {
	struct nw_layers *t;
	__u32 seq;
	__u32 last;
	__u64 time_ns;
};

static long find_send(__u32 i, struct nw_find_send *find)
{
	struct nw_send *send = &find->t->sends[(find->last - i) & (NW_SENDS_MAX - 1)];

	if (nw_after(send->begin, find->seq) || !nw_after(send->end, find->seq))
		return 0;
	find->time_ns = send->time_ns;
	return 1;
}

/* When the application gave its first byte; 0: unknown, as of what is sent again. */
static __always_inline __u64 send_time(struct tcp_sock *tp, struct nw_layers *t,
				       const struct nw_segment *s)
{
	struct nw_find_send find = {.t = t, .seq = s->seq, .last = t->n_sends - 1};
	__u32 n = t->n_sends < NW_SENDS_MAX ? t->n_sends : NW_SENDS_MAX;

	if (!s->length || s->flags & NW_TCP_SYN || nw_after(tp->snd_nxt, s->seq))
		return 0;
	bpf_loop(n, find_send, &find, 0);
	return find.time_ns;
}

static __always_inline void tx_times(const struct nw_tx *tx, struct nw_times *times)
{
	times->mac_ns = NW_TIME_ABSENT;
	times->ip_ns = tx->queued_ns ? nw_between(tx->mark_ns, tx->queued_ns) : NW_TIME_ABSENT;
	times->tcp_ns = tx->tcp_ns;
	times->app_ns = NW_TIME_ABSENT;
	times->qdisc_ns = NW_TIME_ABSENT;
}

/* What was told need not be looked at again. Of each segment only the next ones: they are few. */
static __always_inline void pass_told(struct nw_layers *t)
{
	__u64 told = READ(t->tx_told);

	for (int i = 0; i < 2; i++) {
		if (READ(t->tx[told & (NW_TX_MAX - 1)].pending.state) == NW_STATE(told, NW_TOLD))
			told++;
	}
	WRITE(t->tx_told, told);
}

/* True: it waits for the next hooks. told: where IP begins is. */
static __always_inline bool keep_tx(struct __sk_buff *ctx, struct tcp_sock *tp, struct nw_layers *t,
				    const struct nw_segment *s, __u64 now, bool told)
{
	__u64 sent, ip_ns, index = READ(t->tx_head);
	struct nw_tx *tx = &t->tx[index & (NW_TX_MAX - 1)];

	pass_told(t);
	if (!nw_claim(&tx->pending, &t->tx_head, index, NW_TX_MAX))
		return false;
	sent = send_time(tp, t, s);
	tx->pending.segment = *s;
	tx->pending.time_ns = now;
	WRITE(tx->skb, (__u64)ctx); /* the kernel's buffer */
	tx->queued_ns = 0;
	tx->tcp_ns = NW_TIME_ABSENT;
	ip_ns = t->ip_skb == READ(tx->skb) ? t->ip_ns : 0;
	t->ip_skb = 0;
	if (!told) {
		tx->mark_ns = sent;
	} else {
		tx->mark_ns = ip_ns ?: take_out(READ(tx->skb), now);
		tx->tcp_ns = nw_between(sent, tx->mark_ns);
	}
	nw_release(&tx->pending, index, NW_READY);
	return true;
}

/* ---------------------------------------------- the device, without the lock */

struct nw_find_tx {
	struct nw_layers *t;
	__u64 skb;
	__u64 last;  /* looked at first: a buffer that was lost may have been used again */
	__u64 index; /* found */
	__u32 seq;   /* skb 0: of a piece of what is looked for */
	__u16 several;
	__u16 found;
};

static long find_tx(__u32 i, struct nw_find_tx *find)
{
	__u64 index = find->last - i;
	struct nw_tx *tx = &find->t->tx[index & (NW_TX_MAX - 1)];
	const struct nw_segment *s = &tx->pending.segment;

	if (READ(tx->pending.state) != NW_STATE(index, NW_READY))
		return 0;
	find->several |= s->segments > 1;
	if (find->skb ? tx->skb != find->skb : s->segments < 2 || find->seq - s->seq >= s->length)
		return 0;
	find->index = index;
	find->found = true;
	return 1;
}

static __always_inline __u32 sequence_of(struct sk_buff *skb)
{
	__u32 seq = 0;

	bpf_probe_read_kernel(&seq, sizeof(seq), skb->head + skb->transport_header + 4);
	return bpf_ntohl(seq);
}

/*
 * What is kept of this buffer, or NULL. One that was cut into pieces before the driver is known
 * by the first of them.
 */
static __always_inline struct nw_tx *look_for(struct sk_buff *skb, struct nw_layers *t,
					      __u64 *index)
{
	__u64 head = READ(t->tx_head), told = READ(t->tx_told);

	struct nw_find_tx find = {.t = t, .skb = (__u64)skb, .last = head - 1};

	bpf_loop(head - told, find_tx, &find, 0);
	if (!find.found && find.several) {
		find.skb = 0;
		find.seq = sequence_of(skb);
		bpf_loop(head - told, find_tx, &find, 0);
	}
	*index = find.index;
	return find.found ? &t->tx[find.index & (NW_TX_MAX - 1)] : NULL;
}

/* Of the socket that sends this buffer. */
static __always_inline struct nw_layers *layers_of_buffer(struct sk_buff *skb)
{
	struct sock *sk = skb->sk;

	return sk ? nw_layers(sk) : NULL;
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(nw_times_device, struct sk_buff *skb)
{
	struct nw_layers *t = layers_of_buffer(skb);
	struct nw_tx *tx;
	__u64 index;

	tx = t ? look_for(skb, t, &index) : NULL;
	if (tx && !tx->queued_ns) /* stacked devices: the first one counts */
		tx->queued_ns = bpf_ktime_get_ns();
	return 0;
}

/* skb 0: a free place. */
static __always_inline struct nw_xmit *find_xmit(struct nw_cpu *cpu, __u64 skb)
{
	for (int i = 0; i < NW_XMITS_MAX; i++) {
		if (cpu->xmits[i].skb == skb)
			return &cpu->xmits[i];
	}
	return NULL;
}

/* Receivers were asked before the driver was called. If filters changed since, they are void. */
static __always_inline void send_xmit(struct nw_xmit *xmit)
{
	struct nw_packet_times_record *r;

	xmit->skb = 0;
	if (xmit->key != READ(shared.key))
		return;
	r = nw_reserve_chatty(sizeof(*r), xmit->record.packet.head.receivers);
	if (!r)
		return;
	__builtin_memcpy(r, &xmit->record, sizeof(*r));
	nw_submit(r);
}

static __always_inline int start_xmit(struct sk_buff *skb, struct sock *sk, struct nw_layers *t,
				      struct nw_tx *tx, __u64 index)
{
	__u64 now = bpf_ktime_get_ns(), receivers, key = READ(shared.key);
	struct nw_socket *w = nw_storage((struct tcp_sock *)sk, 0);
	struct nw_cpu *cpu = nw_cpu();
	struct nw_xmit *xmit;
	__u32 uid = 0;

	receivers = w ? nw_times_receivers(sk, w, t, &uid) : 0;
	if (!receivers || !cpu)
		return 0;
	xmit = find_xmit(cpu, 0);
	if (!xmit) {
		/* Never: more devices above each other than there are places. */
		xmit = &cpu->xmits[0];
		send_xmit(xmit);
	}
	nw_fill_pending(&xmit->record.packet, sk, w, t, &tx->pending, receivers, uid);
	tx_times(tx, &xmit->record.times);
	xmit->record.times.qdisc_ns = nw_between(tx->queued_ns, now);
	xmit->skb = (__u64)skb;
	xmit->key = key;
	xmit->index = index;
	xmit->start_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(nw_times_start, struct sk_buff *skb)
{
	struct sock *sk = skb->sk;
	struct nw_layers *t = sk ? nw_layers(sk) : NULL;
	struct nw_tx *tx;
	__u64 index;

	tx = t ? look_for(skb, t, &index) : NULL;
	if (!tx || !nw_take(&tx->pending, index))
		return 0;
	start_xmit(skb, sk, t, tx, index);
	nw_release(&tx->pending, index, NW_TOLD);
	return 0;
}

/* The driver was busy: the buffer, which still has its socket, waits again. */
static __always_inline bool again(struct sk_buff *skb, struct nw_xmit *xmit)
{
	__u64 index = xmit->index;
	struct nw_layers *t = layers_of_buffer(skb);
	struct nw_tx *tx;

	if (!t)
		return false;
	tx = &t->tx[index & (NW_TX_MAX - 1)];
	if (READ(t->tx_told) > index)
		WRITE(t->tx_told, index);
	return __sync_val_compare_and_swap(&tx->pending.state, NW_STATE(index, NW_TOLD),
					   NW_STATE(index, NW_READY)) == NW_STATE(index, NW_TOLD);
}

SEC("tp_btf/net_dev_xmit")
int BPF_PROG(nw_times_xmit, struct sk_buff *skb, int rc)
{
	struct nw_cpu *cpu = nw_cpu();
	struct nw_xmit *xmit = cpu ? find_xmit(cpu, (__u64)skb) : NULL;

	if (!xmit)
		return 0;
	if (rc == NETDEV_TX_BUSY && again(skb, xmit)) {
		xmit->skb = 0;
		return 0;
	}
	xmit->record.times.mac_ns = nw_between(xmit->start_ns, bpf_ktime_get_ns());
	send_xmit(xmit);
	return 0;
}

static long expire_tx(__u32 i, struct nw_look *look)
{
	struct nw_tx *tx = &look->t->tx[i & (NW_TX_MAX - 1)];
	__u64 state = READ(tx->pending.state), index = state >> 2;
	struct nw_times times;

	if (NW_KIND(state) != NW_READY || tx->pending.time_ns > look->limit ||
	    !nw_take(&tx->pending, index))
		return 0;
	tx_times(tx, &times);
	nw_tell_pending(look->sk, look->w, look->t, &tx->pending, &times);
	nw_release(&tx->pending, index, NW_TOLD);
	return 0;
}

#endif
