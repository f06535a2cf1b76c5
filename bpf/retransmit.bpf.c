// SPDX-License-Identifier: GPL-2.0-only
/*
 * Category retransmit: what was sent again, and why. It counts for every socket that has storage,
 * whether or not anybody wants the event, so that a connection's counts are whole.
 */
#include "netwatch.bpf.h"

#include "retransmit.h"

char LICENSE[] SEC("license") = "GPL";

/* Before Linux 6.18 there are two, and only what was sent is told. */
const volatile __u32 args_tcp_retransmit_skb = 2;

#define TCPHDR_SYN	     0x02
#define TCP_CA_Recovery	     3
#define TCP_CA_Loss	     4
#define ICSK_TIME_LOSS_PROBE 5

struct retransmission {
	__u32 cause; /* enum nw_cause */
	__u32 seq;
	__u32 length;
	__u32 segments;
};

/*
 * The retransmission timer clears icsk_pending before it sends (tcp_write_timer_handler), an
 * acknowledgment that lets more be sent again does not, and the timer of a tail loss probe clears
 * it after. A probe is sent before any loss is known, in another state than Recovery or Loss;
 * its timer alone says nothing, since it is still armed when fast retransmission begins.
 */
static __always_inline __u32 cause_of(struct tcp_sock *tp, __u8 flags)
{
	struct inet_connection_sock *icsk = &tp->inet_conn;
	__u32 state = BPF_CORE_READ_BITFIELD_PROBED(icsk, icsk_ca_state);

	if (flags & TCPHDR_SYN)
		return NW_CAUSE_SYN;
	if (state == TCP_CA_Loss)
		return icsk->icsk_pending ? NW_CAUSE_SLOW_START : NW_CAUSE_TIMEOUT;
	if (state != TCP_CA_Recovery && icsk->icsk_pending == ICSK_TIME_LOSS_PROBE)
		return NW_CAUSE_TAIL_LOSS_PROBE;
	return NW_CAUSE_FAST;
}

/* The socket's lock is held. */
static __always_inline void count(struct nw_socket *w, const struct retransmission *what)
{
	w->retransmits += what->segments;
	if (what->cause == NW_CAUSE_FAST)
		w->fast_retransmits += what->segments;
	else if (what->cause == NW_CAUSE_TIMEOUT || what->cause == NW_CAUSE_SLOW_START ||
		 what->cause == NW_CAUSE_SYN)
		w->timeout_retransmits += what->segments;
}

static __always_inline void fill(struct nw_retransmit_record *r, const struct retransmission *what)
{
	r->cause = what->cause;
	r->seq = what->seq;
	r->length = what->length;
	r->segments = what->segments;
	r->known = 0;
	r->total_retransmits = 0;
	r->fast_retransmits = 0;
	r->timeout_retransmits = 0;
	__builtin_memset(r->reserved, 0, sizeof(r->reserved));
}

static __noinline int emit(struct tcp_sock *tp, struct nw_socket *w, struct retransmission *what)
{
	__u32 uid;
	__u64 receivers = nw_receivers(tp, w, NW_WANT_RETRANSMIT, &uid);
	struct nw_retransmit_record *r;
	struct sock *sk = nw_sk(tp);

	if (!receivers)
		return 0;
	r = nw_reserve(sizeof(*r), receivers);
	if (!r)
		return 0;
	nw_fill(&r->head, tp, w, bpf_get_socket_cookie(sk), receivers, uid, bpf_ktime_get_ns(),
		sk->__sk_common.skc_state, NW_CATEGORY_RETRANSMIT);
	fill(r, what);
	r->known = NW_KNOWN_TOTAL | (nw_retransmits_known(w, tp) ? NW_KNOWN_BY_CAUSE : 0);
	r->total_retransmits = tp->total_retrans;
	r->fast_retransmits = w->fast_retransmits;
	r->timeout_retransmits = w->timeout_retransmits;
	nw_submit(r);
	return 0;
}

/* Of a connection that has no socket yet: its listener's, with its own ends. */
static __noinline int emit_request(struct tcp_sock *tp, struct nw_socket *w, struct nw_subject *s,
				   struct retransmission *what)
{
	__u32 uid;
	__u64 receivers = nw_subject_receivers(s, tp, w, NW_WANT_RETRANSMIT, &uid);
	struct nw_retransmit_record *r;

	if (!receivers)
		return 0;
	r = nw_reserve(sizeof(*r), receivers);
	if (!r)
		return 0;
	nw_fill(&r->head, tp, w, bpf_get_socket_cookie(nw_sk(tp)), receivers, uid,
		bpf_ktime_get_ns(), TCP_NEW_SYN_RECV, NW_CATEGORY_RETRANSMIT);
	nw_fill_ends(&r->head.connection, s);
	fill(r, what);
	nw_submit(r);
	return 0;
}

static __always_inline int sent_again(struct sock *sk, struct sk_buff *skb)
{
	struct nw_socket uncached = {}, *w;
	struct tcp_sock *tp = nw_tcp_sock(sk);
	struct tcp_skb_cb *cb = (void *)skb->cb;
	struct retransmission what;

	if (!tp)
		return 0;
	w = nw_storage(tp, 0);
	if (!w && !READ(shared.want[NW_WANT_RETRANSMIT]))
		return 0;
	w = w ?: &uncached;
	what.cause = cause_of(tp, BPF_CORE_READ(cb, tcp_flags));
	what.seq = BPF_CORE_READ(cb, seq);
	what.length = skb->len;
	what.segments = BPF_CORE_READ(cb, tcp_gso_segs);
	count(w, &what);
	return emit(tp, w, &what);
}

/* sk is a listener, or with Fast Open the child, which has a socket before the handshake ends. */
static __always_inline int syn_ack_again(struct sock *sk, struct request_sock *req)
{
	struct retransmission what = {.cause = NW_CAUSE_SYN_ACK, .segments = 1};
	struct sock *own = (struct sock *)req; /* they begin alike */
	struct nw_socket uncached = {}, *w;
	struct tcp_sock *tp = nw_tcp_sock(sk);
	struct nw_subject s = {};

	if (!tp)
		return 0;
	what.seq = BPF_CORE_READ((struct tcp_request_sock *)req, snt_isn);
	w = nw_storage(tp, 0) ?: &uncached;
	w->role = NW_ROLE_SERVER; /* unknown of a listener without storage */
	if (sk->__sk_common.skc_state != TCP_LISTEN) {
		count(w, &what);
		return emit(tp, w, &what);
	}
	if (!READ(shared.want[NW_WANT_RETRANSMIT]))
		return 0;
	s.family = nw_family(own);
	nw_addresses(own, s.family, s.local, s.remote);
	s.lport = own->__sk_common.skc_num;
	s.rport = bpf_ntohs(own->__sk_common.skc_dport);
	s.netns = sk->__sk_common.skc_net.net->ns.inum;
	return emit_request(tp, w, &s, &what);
}

/* What was tried in vain is none: the kernel counts it in TCPRetransFail, if it came so far. */
static __always_inline bool failed(const __u64 *ctx)
{
	return args_tcp_retransmit_skb > 2 && (int)ctx[2];
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(nw_retransmit, struct sock *sk, struct sk_buff *skb)
{
	struct nw_run *run = nw_begin(NW_PAIR_RETRANSMIT);

	if (!run)
		return 0;
	if (!failed(ctx)) /* behind nw_begin, else the twin would not see what is skipped now */
		sent_again(sk, skb);
	nw_end(run);
	return 0;
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(nw_retransmit_twin, struct sock *sk, struct sk_buff *skb)
{
	return nw_missed(NW_PAIR_RETRANSMIT) && !failed(ctx) ? sent_again(sk, skb) : 0;
}

SEC("tp_btf/tcp_retransmit_synack")
int BPF_PROG(nw_retransmit_synack, struct sock *sk, struct request_sock *req)
{
	struct nw_run *run = nw_begin(NW_PAIR_RETRANSMIT_SYNACK);

	if (!run)
		return 0;
	syn_ack_again(sk, req);
	nw_end(run);
	return 0;
}

SEC("tp_btf/tcp_retransmit_synack")
int BPF_PROG(nw_retransmit_synack_twin, struct sock *sk, struct request_sock *req)
{
	return nw_missed(NW_PAIR_RETRANSMIT_SYNACK) ? syn_ack_again(sk, req) : 0;
}
