// SPDX-License-Identifier: GPL-2.0-only
/*
 * Category error: segments that the kernel drops for a reason that is an error, and resets. A
 * bad checksum is a drop too; tcp_bad_csum says less.
 */
#include "fault.bpf.h"
#include "known.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Written by the collector before loading: see collector/category/error.c. */
const volatile struct nw_reason reasons[NW_REASONS] = {};
const volatile __u32 args_kfree_skb = 0;
const volatile __u32 args_tcp_send_reset = 0;

/* ------------------------------------------------------------ whom to tell */

static __always_inline void fill_whose(struct nw_whose *o, struct nw_known *k, __u32 uid)
{
	struct sock *sk = (void *)k->sock;

	__builtin_memset(o, 0, sizeof(*o));
	o->side = READ(shared.key) & 1;
	if (!sk)
		return;
	o->cgroup = (__u64)BPF_CORE_READ(sk, sk_cgrp_data.cgroup);
	o->uid = uid;
	o->pid = k->pid;
	o->role = k->role;
	o->has = NW_HAS_SOCKET;
	if (k->owner != NW_OWNER_UNKNOWN && k->owner != NW_OWNER_CHANGING)
		o->has |= NW_HAS_OWNER;
	__builtin_memcpy(o->comm, k->comm, sizeof(o->comm));
}

static __always_inline void fill_known(struct nw_connection *c, struct nw_known *k, __u32 uid)
{
	struct sock *sk = (void *)k->sock;

	c->cookie = k->cookie;
	c->sock = k->sock;
	c->cgroup = BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn, id);
	c->uid = uid;
	c->pid = k->pid;
	c->owner = k->owner == NW_OWNER_CHANGING ? NW_OWNER_UNKNOWN : k->owner;
	c->role = k->role;
	c->state = BPF_CORE_READ(sk, __sk_common.skc_state);
	__builtin_memcpy(c->comm, k->comm, sizeof(c->comm));
}

/*
 * Tells what is wrong with a segment of this socket; without `sock` it is nobody's. No static
 * function, so that the verifier looks at it once, not at every call; hence no tcp_sock either.
 */
__noinline int tell(struct fault *f, struct nw_known *k)
{
	struct nw_error_record *r;
	struct nw_whose o;
	__u64 receivers;
	struct sock *sk;
	__u32 uid;

	if (!f || !k)
		return 0;
	receivers = READ(shared.want[NW_WANT_ERROR]); /* before the key: see nw_receivers */
	sk = (void *)k->sock;
	uid = sk ? BPF_CORE_READ(sk, sk_uid.val) : 0;
	fill_whose(&o, k, uid);
	receivers &= nw_classify(&f->ends, &o);
	if (!receivers)
		return 0;
	r = nw_reserve(sizeof(*r), receivers);
	if (!r)
		return 0;
	nw_fill_subject(&r->head, &f->ends, receivers, bpf_ktime_get_ns(), NW_CATEGORY_ERROR);
	if (k->sock)
		fill_known(&r->head.connection, k, uid);
	r->kind = f->kind;
	r->reason = f->reason;
	r->seq = f->seq;
	r->ack = f->ack;
	r->length = f->length;
	r->parts = f->parts;
	nw_submit(r);
	return 0;
}

/* --------------------------------------------------------- whose segment is it */

static __always_inline struct nw_known *find_listener(struct nw_subject *key)
{
	struct sock_common *sk;
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
	sk = k ? (void *)k->sock : NULL;
	return sk && BPF_CORE_READ_BITFIELD_PROBED(sk, skc_ipv6only) ? NULL : k;
}

/* An entry that is deleted is used again, for another socket. */
static __always_inline bool copy_known(struct nw_known *copy, struct nw_known *k, __u16 lport)
{
	struct sock_common *sk;

	*copy = *k;
	sk = (void *)copy->sock;
	return READ(k->cookie) == copy->cookie && BPF_CORE_READ(sk, skc_num) == lport &&
	       (__u64)BPF_CORE_READ(sk, skc_cookie.counter) == copy->cookie;
}

/* The socket that this segment is for, if it is known. */
static __always_inline void find(struct fault *f, struct nw_known *copy)
{
	struct nw_subject key = f->ends;
	struct nw_known *k;

	if (f->what & NW_REASON_NOBODY)
		return;
	k = bpf_map_lookup_elem(&known, &key);
	if (!k && (f->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		k = find_listener(&key);
	if (k && !copy_known(copy, k, key.lport))
		copy->sock = 0;
}

/* No static function either. */
__noinline int of_segment(struct fault *f)
{
	struct nw_known k = {};
	struct tcp_sock *tp;

	if (!f || !(f->parts & NW_ERROR_ENDS))
		return 0;
	/* A reset for nobody is a late one, of which nothing follows (RFC 9293, 3.10.7.1). */
	if (f->what & NW_REASON_NOBODY && f->flags & TCP_RST)
		return 0;
	find(f, &k);
	if (!k.sock && f->foreign)
		return 0;
	tp = (void *)k.sock;
	if (tp && is_probe(f, BPF_CORE_READ(tp, rcv_nxt)))
		return 0;
	return tell(f, &k);
}

/* A listener's is a segment with ends of its own; one that ended has put back its port. */
static __always_inline void set_ends(struct tcp_sock *tp, struct fault *f)
{
	__u8 state = nw_sk(tp)->__sk_common.skc_state;

	if (state == TCP_LISTEN && f->parts & NW_ERROR_ENDS)
		return;
	nw_ends_of(tp, &f->ends);
	if (state == TCP_CLOSE)
		f->ends.lport = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
}

static __always_inline int of_socket(struct tcp_sock *tp, struct fault *f)
{
	struct nw_known k = {};
	struct nw_socket *w = nw_storage(tp, 0);

	if (is_probe(f, tp->rcv_nxt))
		return 0;
	set_ends(tp, f);
	k.sock = (__u64)nw_sk(tp);
	k.cookie = bpf_get_socket_cookie(nw_sk(tp));
	if (w)
		nw_copy_owner(&k, w);
	return tell(f, &k);
}

/* Is it on its way out, from this socket? What is not TCP's sends resets. */
static __always_inline bool is_sent_by(struct sock *sk, const struct fault *f)
{
	const struct sock_common *c = &sk->__sk_common;

	if (nw_is_full(sk) && sk->sk_type != SOCK_STREAM)
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
	sk = skb->sk;
	if (named && nw_is_full(named)) {
		tp = nw_tcp_sock(named);
		if (!tp) /* a raw socket did not take its copy */
			return 0;
	} else if (sk) {
		tp = nw_is_full(sk) ? owner_of(sk) : NULL;
		if (!tp && is_sent_by(sk, f))
			turn(f);
	}
	return tp ? of_socket(tp, f) : of_segment(f);
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
	if (args_kfree_skb < 4 && reasons[reason].what & NW_REASON_NAMED)
		return 0;
	if (!READ(shared.want[NW_WANT_ERROR]))
		return 0;
	if (args_kfree_skb >= 4)
		sk = (void *)ctx[3];
	f.kind = reasons[reason].kind;
	f.reason = reasons[reason].row;
	f.what = reasons[reason].what;
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
	if (!nw_is_full(sk))
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

	if (!READ(shared.want[NW_WANT_ERROR]))
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
