/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Layer times of packets: what is kept of a segment while it is on its way. Cgroup programs
 * put it into a FIFO of its socket (times_rx.bpf.h, times_tx.bpf.h), the hooks behind them note
 * when it gets there, and the last one tells it. What finds the FIFO full is told at once, without
 * the stages that are to come. Who receives a segment is asked when it is told.
 *
 * Some hooks run without the socket's lock, and the sweep on whatever CPU: a segment belongs to
 * whoever changed its state to NW_BUSY. Its place in the FIFO is part of the state, so nobody
 * takes it for the one that was there before.
 */
#ifndef NETWATCH_TIMES_BPF_H
#define NETWATCH_TIMES_BPF_H

#include "netwatch.bpf.h"
#include "packet.h"

#define NW_RX_MAX     64
#define NW_TX_MAX     32
#define NW_SENDS_MAX  32
#define NW_STAMPS_MAX 128
#define NW_XMITS_MAX  4
#define NW_OUTS_BITS  6
#define NW_BATCH_NS   50000000	  /* a segment does not take longer from the link to TCP */
#define NW_UNREAD_NS  1000000000  /* then it is told without app_ns */
#define NW_UNSENT_NS  10000000000 /* then the queueing discipline has lost it */

/* Boundaries that not every kernel tells of. Without one, two neighbours are one stage. */
enum nw_boundary {
	NW_RX_IP4 = 1,
	NW_RX_IP6 = 2,
	NW_RX_QUEUE = 4,
	NW_TX_IP4 = 8,
	NW_TX_IP6 = 16,
};

enum nw_pending_kind {
	NW_EMPTY, /* the state is 0: none was there yet */
	NW_BUSY,  /* being written or told */
	NW_READY,
	NW_TOLD,
};

#define NW_STATE(index, kind) ((index) << 2 | (kind))
#define NW_KIND(state)	      ((state)&3)

struct nw_pending {
	struct nw_segment segment;
	__u64 state; /* its number in the FIFO, and enum nw_pending_kind */
	__u64 time_ns;
};

struct nw_rx {
	struct nw_pending pending;
	__u64 mark_ns; /* TCP began, or if tcp_ns is known: it was in the queue */
	__u64 mac_ns;
	__u64 ip_ns;
	__u64 tcp_ns;
};

struct nw_tx {
	struct nw_pending pending;
	__u64 skb;
	__u64 mark_ns;	 /* IP began, or where no hook tells that: the send; 0: unknown */
	__u64 queued_ns; /* 0: not yet */
	__u64 tcp_ns;
};

/* A send of the application: bytes from begin, at most up to end, if no later one begins before. */
struct nw_send {
	__u32 begin;
	__u32 end;
	__u64 time_ns;
};

/*
 * What is kept of a socket whose packets are told with times. Linux 7 refuses storage of more than
 * 8 KiB, all included (kmalloc_nolock).
 */
struct nw_layers {
	__u64 cookie;
	__u64 rx_head;	 /* number of the next segment */
	__u64 rx_queued; /* all before are in the queue; as rx_read under the socket's lock */
	__u64 rx_read;	 /* all before are told */
	__u64 tx_head;
	__u64 tx_told; /* all before are told */
	__u64 ip_skb;  /* the last one that TCP gave to IP, under the socket's lock */
	__u64 ip_ns;
	__u32 session;
	__u32 n_sends;
	struct nw_subject ends; /* a closed socket names them no more */
	struct nw_send sends[NW_SENDS_MAX];
	struct nw_rx rx[NW_RX_MAX];
	struct nw_tx tx[NW_TX_MAX];
};

_Static_assert(sizeof(struct nw_layers) <= 8192 - 256, "nw_layers");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct nw_layers);
} layers SEC(".maps");

/* A segment between the link and TCP, where nobody knows its socket yet. */
struct nw_stamp {
	__u64 skb;
	__u64 link_ns;
	__u64 ip_ns; /* 0: not yet; as tcp_ns */
	__u64 tcp_ns;
};

/* A segment in the driver's hands. Afterwards its socket and its buffer may be gone. */
struct nw_xmit {
	__u64 skb; /* 0: free */
	__u64 start_ns;
	__u64 key;   /* nw_shared.key when its receivers were asked */
	__u64 index; /* in the FIFO of its socket */
	struct nw_packet_times_record record;
};

/*
 * Of a CPU. From the link to TCP, and in a driver, softirqs are off: nobody interferes. But they
 * do with outs.
 */
struct nw_cpu {
	__u64 address;		       /* see stamp_of */
	__u64 outs[1 << NW_OUTS_BITS]; /* see times_local.bpf.h */
	struct nw_stamp stamps[NW_STAMPS_MAX];
	struct nw_xmit xmits[NW_XMITS_MAX]; /* stacked devices nest */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct nw_cpu);
} cpus SEC(".maps");

static __always_inline struct nw_cpu *nw_cpu(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&cpus, &zero);
}

static __always_inline void nw_has_boundary(__u32 boundary)
{
	if (!(READ(shared.boundaries) & boundary))
		__sync_fetch_and_or(&shared.boundaries, boundary);
}

/* Is this boundary told of where the socket is? */
static __always_inline bool nw_is_told(struct sock *sk, __u32 boundary)
{
	if (READ(shared.boundaries) & boundary)
		return true;
	return READ(shared.local_boundaries) & boundary &&
	       sk->__sk_common.skc_net.net->ns.inum == READ(shared.local_netns);
}

static __always_inline bool nw_after(__u32 a, __u32 b)
{
	return (__s32)(a - b) > 0;
}

/* Sequence number behind its data. */
static __always_inline __u32 nw_data_end(const struct nw_segment *s)
{
	return s->seq + (s->flags & NW_TCP_SYN ? 1 : 0) + s->length;
}

/* From one moment to another; absent if one was not seen. */
static __always_inline __u64 nw_between(__u64 from, __u64 to)
{
	return from && to >= from ? to - from : NW_TIME_ABSENT;
}

/* What is kept of this socket; NULL: nothing, or by those who were subscribed before. */
static __always_inline struct nw_layers *nw_layers(struct sock *sk)
{
	struct nw_layers *t;

	if (!nw_is_full(sk) || !sk->sk_bpf_storage) /* most sockets; spares the call */
		return NULL;
	t = bpf_sk_storage_get(&layers, sk, 0, 0);
	return t && t->session == shared.times_session ? t : NULL;
}

static __always_inline void nw_set_ends(struct nw_layers *t, struct tcp_sock *tp)
{
	struct sock *sk = nw_sk(tp);

	t->ends.family = nw_family(sk);
	nw_addresses(sk, t->ends.family, t->ends.local, t->ends.remote);
	t->ends.lport = nw_lport(tp);
	t->ends.rport = bpf_ntohs(sk->__sk_common.skc_dport);
	t->ends.netns = sk->__sk_common.skc_net.net->ns.inum;
}

/* Who gets a segment with times now. *uid is the owner that they were asked with. */
static __always_inline __u64 nw_times_receivers(struct sock *sk, struct nw_socket *w,
						struct nw_layers *t, __u32 *uid)
{
	__u64 wanting = READ(shared.want[NW_WANT_PACKET_TIMES]);

	return wanting ? wanting & nw_ends_receivers(&t->ends, sk, w, NW_WANT_PACKET, uid) : 0;
}

/* All but times. */
static __always_inline void nw_fill_pending(struct nw_packet_record *r, struct sock *sk,
					    struct nw_socket *w, struct nw_layers *t,
					    const struct nw_pending *p, __u64 receivers, __u32 uid)
{
	r->head.receivers = receivers;
	r->head.time_ns = p->time_ns;
	nw_fill_socket(&r->head.connection, sk, w, t->cookie, uid, sk->__sk_common.skc_state);
	nw_fill_ends(&r->head.connection, &t->ends);
	r->head.connection.category = NW_CATEGORY_PACKET;
	r->segment = p->segment;
}

static __noinline int nw_tell_pending(struct sock *sk, struct nw_socket *w, struct nw_layers *t,
				      const struct nw_pending *p, const struct nw_times *times)
{
	__u32 uid = 0;
	__u64 receivers = nw_times_receivers(sk, w, t, &uid);
	struct nw_packet_times_record *r;

	if (!receivers)
		return 0;
	r = nw_reserve_chatty(sizeof(*r), receivers);
	if (!r)
		return 0;
	nw_fill_pending(&r->packet, sk, w, t, p, receivers, uid);
	r->times = *times;
	nw_submit(r);
	return 0;
}

/* True: the segment is the caller's, who has to change its state again. */
static __always_inline bool nw_take(struct nw_pending *p, __u64 index)
{
	return __sync_val_compare_and_swap(&p->state, NW_STATE(index, NW_READY),
					   NW_STATE(index, NW_BUSY)) == NW_STATE(index, NW_READY);
}

static __always_inline void nw_release(struct nw_pending *p, __u64 index, __u32 kind)
{
	__sync_val_compare_and_swap(&p->state, NW_STATE(index, NW_BUSY), NW_STATE(index, kind));
}

/*
 * Takes the place of a new segment: number index, which *head was, in a FIFO of max. False: the
 * one that was there before still waits, or another segment is put there at the moment.
 */
static __always_inline bool nw_claim(struct nw_pending *p, __u64 *head, __u64 index, __u32 max)
{
	__u64 before = index < max ? 0 : NW_STATE(index - max, NW_TOLD);

	if (__sync_val_compare_and_swap(&p->state, before, NW_STATE(index, NW_BUSY)) != before)
		return false;
	WRITE(*head, index + 1);
	return true;
}

/* A run over segments of a socket, from the oldest to the newest. */
struct nw_look {
	struct sock *sk;
	struct nw_socket *w;
	struct nw_layers *t;
	__u64 first;
	__u64 next; /* all before are done with */
	__u64 now;
	__u64 limit; /* what it looks for: see there */
};

static __always_inline void nw_look_begin(struct nw_look *look, struct sock *sk,
					  struct nw_socket *w, struct nw_layers *t, __u64 first,
					  __u64 limit)
{
	look->sk = sk;
	look->w = w;
	look->t = t;
	look->first = first;
	look->next = first;
	look->now = bpf_ktime_get_ns();
	look->limit = limit;
}

/* This segment is done with: if all before are, so are all up to here. */
static __always_inline void nw_look_past(struct nw_look *look, __u64 index)
{
	if (look->next == index)
		look->next = index + 1;
}

#endif
