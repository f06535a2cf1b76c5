/* SPDX-License-Identifier: GPL-2.0-only */
/* A record for the receivers of an event, or an exact count of the loss. */
#ifndef NETWATCH_EMIT_BPF_H
#define NETWATCH_EMIT_BPF_H

#include "storage.bpf.h"

/*
 * An event for these receivers found the ring full. No static function, so that the verifier
 * looks at it once, not at every call.
 */
__noinline int nw_count_loss(__u64 receivers)
{
	__u32 stripe = bpf_get_smp_processor_id() % NW_LOSS_STRIPES;

	for (int bit = 0; bit < NW_SLOTS; bit++) {
		if (receivers & (1ULL << bit))
			__sync_fetch_and_add(&shared.lost[stripe][bit], 1);
	}
	__sync_fetch_and_add(&shared.lost_any, 1);
	return 0;
}

/* Space for a record of constant size, or NULL with the loss counted. */
#define nw_reserve(size, receivers)                                     \
	({                                                              \
		void *__record = bpf_ringbuf_reserve(&ring, (size), 0); \
		if (!__record)                                          \
			nw_count_loss(receivers);                       \
		__record;                                               \
	})

/*
 * The same for chatty categories, which leave the last quarter of the ring to the others: a
 * flood of packets never pushes out a connection or an error.
 */
#define nw_reserve_chatty(size, receivers)                                         \
	({                                                                         \
		void *__record = NULL;                                             \
		if (bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) <= shared.crowded) \
			__record = bpf_ringbuf_reserve(&ring, (size), 0);          \
		if (!__record)                                                     \
			nw_count_loss(receivers);                                  \
		__record;                                                          \
	})

/* A wake-up is dear: force one only if the collector sleeps, else it comes by itself. */
static __always_inline void nw_submit(void *record)
{
	__u64 flags = BPF_RB_NO_WAKEUP;

	if (READ(shared.armed)) {
		WRITE(shared.armed, 0);
		flags = BPF_RB_FORCE_WAKEUP;
	}
	bpf_ringbuf_submit(record, flags);
}

/* All but the ends. cookie: of tracing programs bpf_get_socket_cookie(sk), of cgroup_skb ones ctx.
 */
static __always_inline void nw_fill_socket(struct nw_connection *c, struct sock *sk,
					   struct nw_socket *w, __u64 cookie, __u32 uid, __u8 state)
{
	c->cookie = cookie;
	c->sock = (__u64)sk;
	c->cgroup = nw_cgroup_id(sk->sk_cgrp_data.cgroup);
	c->netns = sk->__sk_common.skc_net.net->ns.inum;
	c->uid = uid;
	c->owner = nw_owner_known(w) ? w->owner : NW_OWNER_UNKNOWN;
	c->pid = w->pid;
	__builtin_memcpy(c->comm, w->comm, sizeof(c->comm));
	c->role = w->role;
	c->state = state;
	c->category = 0;
}

/* See nw_fill_socket. */
static __always_inline void nw_fill_connection(struct nw_connection *c, struct tcp_sock *tp,
					       struct nw_socket *w, __u64 cookie, __u32 uid,
					       __u8 state)
{
	struct sock *sk = nw_sk(tp);
	__u32 local[4], remote[4];

	nw_fill_socket(c, sk, w, cookie, uid, state);
	c->family = nw_family(sk);
	nw_addresses(sk, c->family, local, remote);
	__builtin_memcpy(c->laddr, local, sizeof(c->laddr));
	__builtin_memcpy(c->raddr, remote, sizeof(c->raddr));
	c->lport = nw_lport(tp);
	c->rport = bpf_ntohs(sk->__sk_common.skc_dport);
}

/* The ends that a segment names, instead of the socket's. */
static __always_inline void nw_fill_ends(struct nw_connection *c, const struct nw_subject *s)
{
	__builtin_memcpy(c->laddr, s->local, sizeof(c->laddr));
	__builtin_memcpy(c->raddr, s->remote, sizeof(c->raddr));
	c->lport = s->lport;
	c->rport = s->rport;
	c->family = s->family;
}

static __always_inline void nw_fill(struct nw_record *r, struct tcp_sock *tp, struct nw_socket *w,
				    __u64 cookie, __u64 receivers, __u32 uid, __u64 time_ns,
				    __u8 state, __u32 category)
{
	r->receivers = receivers;
	r->time_ns = time_ns;
	nw_fill_connection(&r->connection, tp, w, cookie, uid, state);
	r->connection.category = category;
}

/* Of a segment that no socket handles. */
static __always_inline void nw_fill_subject(struct nw_record *r, const struct nw_subject *s,
					    __u64 receivers, __u64 time_ns, __u32 category)
{
	__builtin_memset(r, 0, sizeof(*r));
	r->receivers = receivers;
	r->time_ns = time_ns;
	nw_fill_ends(&r->connection, s);
	r->connection.netns = s->netns;
	r->connection.category = category;
}

#endif
