// SPDX-License-Identifier: GPL-2.0-only
/*
 * Category error: segments that the kernel drops for a reason that is an error, and resets. A
 * bad checksum is a drop too; tcp_bad_csum says less.
 */
#include "known.bpf.h"
#include "fault.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Written by the collector before loading: see collector/category/error.c. */
const volatile struct nw_reason reasons[NW_REASONS] = {};
const volatile __u32 args_kfree_skb = 0;
const volatile __u32 args_tcp_send_reset = 0;

static __always_inline void fill_fault(struct nw_error_record *r, const struct fault *f)
{
	r->kind = f->kind;
	r->reason = f->reason;
	r->seq = f->seq;
	r->ack = f->ack;
	r->length = f->length;
	r->parts = f->parts;
}

/* A listener's is a segment of another one; one that ended has lost its ends. */
static __always_inline bool has_ends(struct tcp_sock *tp, struct fault *f)
{
	__u8 state = nw_sk(tp)->__sk_common.skc_state;

	if (state == TCP_LISTEN && f->parts & NW_ERROR_ENDS)
		return false;
	if (state != TCP_CLOSE)
		return true;
	nw_ends_of(tp, &f->ends);
	f->ends.lport = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
	return false;
}

static __noinline int of_socket(struct tcp_sock *tp, struct fault *f)
{
	struct nw_socket uncached = {}, *w = nw_storage(tp, 0) ?: &uncached;
	bool own = has_ends(tp, f);
	struct nw_error_record *r;
	__u64 receivers;
	__u32 uid;

	if (is_probe(f, tp->rcv_nxt))
		return 0;
	receivers = own ? nw_receivers(tp, w, NW_WANT_ERROR, &uid)
			: nw_subject_receivers(&f->ends, tp, w, NW_WANT_ERROR, &uid);
	if (!receivers)
		return 0;
	r = nw_reserve(sizeof(*r), receivers);
	if (!r)
		return 0;
	nw_fill(&r->head, tp, w, bpf_get_socket_cookie(nw_sk(tp)), receivers, uid,
		bpf_ktime_get_ns(), nw_sk(tp)->__sk_common.skc_state, NW_CATEGORY_ERROR);
	if (!own)
		nw_fill_ends(&r->head.connection, &f->ends);
	fill_fault(r, f);
	nw_submit(r);
	return 0;
}

static __noinline __u64 classify_known(struct nw_subject *s, struct nw_known *k, __u32 uid)
{
	struct sock *sk = (void *)k->sock;
	struct nw_whose o;

	nw_fill_whose(&o, BPF_CORE_READ(sk, sk_cgrp_data.cgroup), &k->socket, uid,
		      READ(shared.key) & 1);
	return nw_classify(s, &o);
}

static __always_inline void fill_known(struct nw_record *r, const struct nw_known *k, __u32 uid)
{
	struct sock *sk = (void *)k->sock;
	struct nw_connection *c = &r->connection;

	c->cookie = k->cookie;
	c->sock = k->sock;
	c->cgroup = BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn, id);
	c->uid = uid;
	c->pid = k->socket.pid;
	c->owner =
		nw_owner_known((struct nw_socket *)&k->socket) ? k->socket.owner : NW_OWNER_UNKNOWN;
	c->role = k->socket.role;
	c->state = BPF_CORE_READ(sk, __sk_common.skc_state);
	__builtin_memcpy(c->comm, k->socket.comm, sizeof(c->comm));
}

static __always_inline struct nw_known *find_listener(struct nw_subject *key)
{
	struct nw_known *k;

	key->rport = 0;
	__builtin_memset(key->remote, 0, sizeof(key->remote));
	k = bpf_map_lookup_elem(&known, key);
	if (k)
		return k;
	__builtin_memset(key->local, 0, sizeof(key->local));
	k = bpf_map_lookup_elem(&known, key);
	if (k || key->family == 6)
		return k;
	key->family = 6;
	k = bpf_map_lookup_elem(&known, key);
	if (k && BPF_CORE_READ_BITFIELD_PROBED((struct sock_common *)k->sock, skc_ipv6only))
		return NULL;
	return k;
}

/* The socket that this segment is for; a copy, since an entry that is deleted is used again. */
static __noinline int find_known(struct fault *f, struct nw_known *copy)
{
	struct nw_subject key = f->ends;
	struct nw_known *k;

	if (f->nobody)
		return 0;
	k = bpf_map_lookup_elem(&known, &key);
	if (!k && (f->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		k = find_listener(&key);
	if (!k)
		return 0;
	*copy = *k;
	return READ(k->cookie) == copy->cookie;
}

/* Read before and after what is read from it: it is still this socket, with these ends. */
static __always_inline bool is_still(const struct nw_known *k, const struct fault *f)
{
	struct sock_common *sk = (void *)k->sock;

	return (__u64)BPF_CORE_READ(sk, skc_cookie.counter) == k->cookie &&
	       BPF_CORE_READ(sk, skc_num) == f->ends.lport;
}

static __always_inline void fill_segment(struct nw_record *r, const struct fault *f,
					 __u64 receivers)
{
	nw_fill_subject(r, &f->ends, receivers, bpf_ktime_get_ns(), NW_CATEGORY_ERROR);
}

static __noinline int of_known(struct fault *f, struct nw_known *k)
{
	__u64 receivers = READ(shared.want[NW_WANT_ERROR]);
	struct tcp_sock *tp = (void *)k->sock;
	__u32 uid = BPF_CORE_READ(tp, inet_conn.icsk_inet.sk.sk_uid.val);
	__u32 rcv_nxt = BPF_CORE_READ(tp, rcv_nxt);
	struct nw_error_record *r;

	if (!is_still(k, f))
		return 0;
	if (is_probe(f, rcv_nxt))
		return 1;
	receivers &= classify_known(&f->ends, k, uid);
	if (!receivers)
		return 1;
	r = nw_reserve(sizeof(*r), receivers);
	if (!r)
		return 1;
	fill_segment(&r->head, f, receivers);
	fill_known(&r->head, k, uid);
	fill_fault(r, f);
	nw_submit(r);
	return 1;
}

static __noinline int of_nobody(struct fault *f)
{
	struct nw_error_record *r;
	__u64 receivers;
	__u32 uid;

	receivers = nw_subject_receivers(&f->ends, NULL, NULL, NW_WANT_ERROR, &uid);
	if (!receivers)
		return 0;
	r = nw_reserve(sizeof(*r), receivers);
	if (!r)
		return 0;
	fill_segment(&r->head, f, receivers);
	fill_fault(r, f);
	nw_submit(r);
	return 0;
}

static __noinline int of_segment(struct fault *f)
{
	struct nw_known k;

	if (!(f->parts & NW_ERROR_ENDS) || f->foreign)
		return 0;
	if (find_known(f, &k) && of_known(f, &k))
		return 0;
	return of_nobody(f);
}

/*
 * A full socket has a state, and others than those of a minisock, which is shorter. That the
 * argument may be NULL some verifiers do not know, and drop a comparison; reading gives 0 then.
 */
static __always_inline bool is_full(struct sock *sk)
{
	__u8 state = sk->__sk_common.skc_state;

	return state && state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV;
}

/* Is it on its way out, from this socket? What is not TCP's sends resets. */
static __always_inline bool is_sent_by(struct sock *sk, const struct fault *f)
{
	const struct sock_common *c = &sk->__sk_common;

	if (is_full(sk) && sk->sk_type != SOCK_STREAM)
		return true;
	return c->skc_num == f->ends.rport && bpf_ntohs(c->skc_dport) == f->ends.lport;
}

/*
 * The socket that this buffer belongs to. From Linux 6.5 on the verifier lets no helper look at
 * skb->sk, but at the socket of a file, which is the same one, unless no file has it (yet).
 */
static __always_inline struct tcp_sock *owner_of(struct sock *sk)
{
	struct socket *socket = sk->sk_socket;
	struct sock *same;
	__u64 address;

	if (!socket)
		return NULL;
	same = socket->sk;
	address = (__u64)same;
	barrier_var(address); /* else the compiler takes sk for the same one */
	return address == (__u64)sk ? nw_tcp_sock(same) : NULL;
}

/* named: by the kernel; NULL: it does not. Else by the buffer, or the ends of the segment. */
static __always_inline int drop(struct sk_buff *skb, struct sock *named, struct fault *f)
{
	struct tcp_sock *tp = NULL;
	struct sock *sk;

	if (!read_segment(skb, f))
		return 0;
	if (named && is_full(named))
		tp = nw_tcp_sock(named);
	if (tp)
		return of_socket(tp, f);
	sk = skb->sk;
	if (!sk)
		return of_segment(f);
	if (is_full(sk))
		tp = owner_of(sk);
	if (tp)
		return of_socket(tp, f);
	if (is_sent_by(sk, f))
		turn(f);
	return of_segment(f);
}

static __always_inline int dropped(__u64 *ctx)
{
	struct sock *sk = NULL;
	struct fault f = {};
	__u32 reason;

	if (args_kfree_skb < 3)
		return 0;
	reason = ctx[2];
	if (reason >= NW_REASONS || !reasons[reason].kind)
		return 0;
	if (!READ(shared.want[NW_WANT_ERROR]))
		return 0;
	if (args_kfree_skb >= 4)
		sk = (void *)ctx[3];
	f.kind = reasons[reason].kind;
	f.reason = reasons[reason].row;
	f.probes = reasons[reason].probes;
	f.nobody = reasons[reason].nobody;
	return drop((void *)ctx[0], sk, &f);
}

SEC("tp_btf/kfree_skb")
int nw_drop(__u64 *ctx)
{
	struct nw_run *run = nw_begin(NW_PAIR_DROP);

	if (!run)
		return 0;
	dropped(ctx);
	nw_end(run);
	return 0;
}

SEC("tp_btf/kfree_skb")
int nw_drop_twin(__u64 *ctx)
{
	return nw_missed(NW_PAIR_DROP) ? dropped(ctx) : 0;
}

/*
 * A reset that no socket sends answers a segment that is dropped for NO_SOCKET, which tells it on
 * every kernel. One that a connection in TIME_WAIT sends, or a listener, answers this segment; a
 * socket that aborts has none.
 */
static __always_inline int sent(__u64 *ctx)
{
	struct sock *sk = (void *)ctx[0];
	struct sk_buff *skb = (void *)ctx[1];
	struct fault f = {.kind = NW_ERROR_RESET_SENT};
	struct tcp_sock *tp;

	if (!READ(shared.want[NW_WANT_ERROR]) || !sk || !sk->__sk_common.skc_state)
		return 0;
	if (args_tcp_send_reset >= 3)
		f.reason = ctx[2];
	if (skb)
		read_segment(skb, &f);
	if (!is_full(sk))
		return of_segment(&f);
	tp = nw_tcp_sock(sk);
	return tp ? of_socket(tp, &f) : 0;
}

SEC("tp_btf/tcp_send_reset")
int nw_reset_sent(__u64 *ctx)
{
	struct nw_run *run = nw_begin(NW_PAIR_RESET_SENT);

	if (!run)
		return 0;
	sent(ctx);
	nw_end(run);
	return 0;
}

SEC("tp_btf/tcp_send_reset")
int nw_reset_sent_twin(__u64 *ctx)
{
	return nw_missed(NW_PAIR_RESET_SENT) ? sent(ctx) : 0;
}

static __always_inline int received(__u64 *ctx)
{
	struct sock *sk = (void *)ctx[0];
	struct fault f = {.kind = NW_ERROR_RESET_RECEIVED};
	struct tcp_sock *tp;

	if (!READ(shared.want[NW_WANT_ERROR]) || !is_full(sk))
		return 0;
	tp = nw_tcp_sock(sk);
	return tp ? of_socket(tp, &f) : 0;
}

SEC("tp_btf/tcp_receive_reset")
int nw_reset_received(__u64 *ctx)
{
	struct nw_run *run = nw_begin(NW_PAIR_RESET_RECEIVED);

	if (!run)
		return 0;
	received(ctx);
	nw_end(run);
	return 0;
}

SEC("tp_btf/tcp_receive_reset")
int nw_reset_received_twin(__u64 *ctx)
{
	return nw_missed(NW_PAIR_RESET_RECEIVED) ? received(ctx) : 0;
}
