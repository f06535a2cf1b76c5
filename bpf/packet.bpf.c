// SPDX-License-Identifier: GPL-2.0-only
/*
 * Category packet: each segment that a socket sends or receives. The programs are told of it
 * with its full socket: a listener's for a handshake, and none for TIME_WAIT. Cgroup programs
 * run whatever they interrupt, so they need no twin.
 */
#include "segment.bpf.h"
#include "times_end.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/*
 * Some segments are sent by the kernel in the name of a socket, and whether egress sees them
 * depends on the kernel and on the family: a reset (IPv4, since Linux 6.13), and the SYN-ACK of
 * a listener (IPv6, since 6.6). They are told where they are made, and remembered until egress,
 * which follows at once, has let them pass.
 */
struct made {
	__u64 cookie;
	__u32 seq;
	__u16 lport;
	__u16 rport;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct made);
	__type(value, __u32);
} made SEC(".maps");

/* cookie: see nw_fill_connection. */
static __always_inline struct made made_of(__u64 cookie, __u32 seq, __u16 lport, __u16 rport)
{
	return (struct made){.cookie = cookie, .seq = seq, .lport = lport, .rport = rport};
}

/* True, once: it was told when it was made. */
static __always_inline bool was_told(__u64 cookie, const struct headers *h,
				     const struct nw_segment *s)
{
	struct made key =
		made_of(cookie, s->seq, bpf_ntohs(h->tcp.source), bpf_ntohs(h->tcp.destination));

	return s->direction == NW_TX && s->flags & (NW_TCP_RST | NW_TCP_SYN) &&
	       !bpf_map_delete_elem(&made, &key);
}

/* A listener does not know the peer, a closed socket its port, a new child on 6.1 its address. */
static __always_inline bool names_connection(__u8 state)
{
	return state != TCP_LISTEN && state != TCP_CLOSE && state != TCP_SYN_RECV;
}

static __always_inline void fill(struct nw_packet_record *r, struct tcp_sock *tp,
				 struct nw_socket *w, __u64 cookie, const struct nw_segment *s,
				 const struct nw_subject *subject, __u64 receivers, __u32 uid)
{
	nw_fill(&r->head, tp, w, cookie, receivers, uid, bpf_ktime_get_ns(),
		nw_sk(tp)->__sk_common.skc_state, NW_CATEGORY_PACKET);
	if (subject)
		nw_fill_ends(&r->head.connection, subject);
	r->segment = *s;
}

/*
 * To receivers, with the ends of subject or else (NULL) of the socket. times: for those of them
 * who want it; NULL: it is not known.
 */
static __always_inline void tell(struct tcp_sock *tp, struct nw_socket *w, __u64 cookie,
				 const struct nw_segment *s, const struct nw_subject *subject,
				 const struct nw_times *times, __u64 receivers, __u32 uid)
{
	__u64 timed = times ? receivers & READ(shared.want[NW_WANT_PACKET_TIMES]) : 0;
	struct nw_packet_times_record *full;
	struct nw_packet_record *r;

	full = timed ? nw_reserve_chatty(sizeof(*full), timed) : NULL;
	if (full) {
		fill(&full->packet, tp, w, cookie, s, subject, timed, uid);
		full->times = *times;
		nw_submit(full);
	}
	receivers &= ~timed;
	r = receivers ? nw_reserve_chatty(sizeof(*r), receivers) : NULL;
	if (!r)
		return;
	fill(r, tp, w, cookie, s, subject, receivers, uid);
	nw_submit(r);
}

/* Of sockets without storage; not on the stack, which is too small on Linux 6.1. */
static const volatile struct nw_socket unstored, unstored_listener = {.role = NW_ROLE_SERVER};

/* A segment of a socket that does not itself say which connection it is about. */
static __noinline int tell_subject(struct tcp_sock *tp, __u64 cookie, struct nw_segment *s,
				   struct nw_subject *subject, const struct nw_times *times)
{
	struct nw_socket *w = nw_storage(tp, 0);
	__u64 receivers;
	__u32 uid;

	if (!w && nw_sk(tp)->__sk_common.skc_state == TCP_LISTEN)
		w = (void *)&unstored_listener;
	else if (!w)
		w = (void *)&unstored;
	receivers = nw_subject_receivers(subject, tp, w, NW_WANT_PACKET, &uid);
	if (receivers)
		tell(tp, w, cookie, s, subject, times, receivers, uid);
	return 0;
}

/*
 * Fills s, whose direction is set, and, if it is wanted, the subject. False: there is no segment,
 * or it was told. Parted from its callers, since headers take much of the stack.
 */
static __noinline int load_untold(struct __sk_buff *ctx, struct tcp_sock *tp, __u64 cookie,
				  struct nw_segment *s, struct nw_subject *subject)
{
	struct headers h;

	if (!load_segment(ctx, &h, s, s->direction) || was_told(cookie, &h, s))
		return false;
	if (subject)
		load_subject(&h, s->direction == NW_RX, subject, nw_sk(tp));
	return true;
}

static __noinline int packet_of_subject(struct __sk_buff *ctx, struct tcp_sock *tp, __u32 direction)
{
	__u64 cookie = cookie_of(ctx, tp);
	struct nw_times times, *known = NULL;
	struct nw_subject subject;
	struct nw_segment s = {.direction = direction};

	if (!load_untold(ctx, tp, cookie, &s, &subject))
		return 0;
	if (READ(shared.want[NW_WANT_PACKET_TIMES])) {
		nw_keep(ctx, tp, NULL, &s, &times);
		known = &times;
	}
	return tell_subject(tp, cookie, &s, &subject, known);
}

static __noinline int packet_of_socket(struct __sk_buff *ctx, struct tcp_sock *tp,
				       struct nw_socket *w, __u32 direction)
{
	struct nw_times times, *known = NULL;
	__u64 receivers, timed, cookie;
	struct nw_segment s = {.direction = direction};
	__u32 uid;

	receivers = nw_receivers(tp, w, NW_WANT_PACKET, &uid);
	cookie = cookie_of(ctx, tp);
	if (!receivers || !load_untold(ctx, tp, cookie, &s, NULL))
		return 0;
	timed = receivers & READ(shared.want[NW_WANT_PACKET_TIMES]);
	if (timed) {
		known = &times;
		if (nw_keep(ctx, tp, w, &s, &times))
			receivers &= ~timed;
	}
	if (receivers)
		tell(tp, w, cookie, &s, NULL, known, receivers, uid);
	return 0;
}

/*
 * Sockets without storage of which it is known that no slot could want them, by their cookie. A
 * walk finds most of those that some slot could want, but not one that was in a listener's queue
 * or on its way to another process, and any socket may be given to another user.
 */
#define REFUSED 1024

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, REFUSED);
	__type(key, __u32);
	__type(value, __u64);
} refused SEC(".maps");

/*
 * All on which the answer depends, the tables included: a socket may get another owner, port or
 * peer (skc_hash is made of both ends), and nothing else.
 */
static __always_inline __u64 refusal_of(struct sock *sk, __u64 cookie)
{
	const struct sock_common *c = &sk->__sk_common;

	return READ(shared.key) ^ cookie * 0xff51afd7ed558ccdULL ^
	       ((__u64)sk->sk_uid.val << 32 | c->skc_hash) * 0x9e3779b97f4a7c15ULL ^
	       ((__u64)c->skc_daddr << 32 | (__u32)c->skc_num << 16 | c->skc_dport) *
		       0xc2b2ae3d27d4eb4fULL;
}

/* Where it is remembered; NULL: it is, and nothing need be done. */
static __always_inline __u64 *refused_or_place(__u64 cookie, __u64 refusal)
{
	__u32 i = cookie & (REFUSED - 1);
	__u64 *place = bpf_map_lookup_elem(&refused, &i);

	return place && READ(*place) != refusal ? place : NULL;
}

/* Most packets of sockets without storage end here. Not inline: the stack is too small. */
static __noinline int is_refused(struct __sk_buff *ctx, struct tcp_sock *tp)
{
	__u64 cookie = cookie_of(ctx, tp);

	return !refused_or_place(cookie, refusal_of(nw_sk(tp), cookie));
}

/* Could a slot want this socket, which has no storage? The answer no is remembered. */
static __always_inline bool is_wanted(struct tcp_sock *tp, __u64 cookie)
{
	__u64 refusal = refusal_of(nw_sk(tp), cookie);
	__u64 *place = refused_or_place(cookie, refusal);

	if (!place || nw_possible(tp))
		return place;
	WRITE(*place, refusal);
	return false;
}

/* Where the kernel refuses storage, the segment itself is the subject. */
static __always_inline void packet_of_connection(struct __sk_buff *ctx, struct tcp_sock *tp,
						 __u32 direction)
{
	struct nw_socket *w = nw_storage(tp, 0);

	if (!w && !is_wanted(tp, cookie_of(ctx, tp)))
		return;
	w = w ?: nw_storage(tp, BPF_SK_STORAGE_GET_F_CREATE);
	if (w)
		packet_of_socket(ctx, tp, w, direction);
	else
		packet_of_subject(ctx, tp, direction);
}

static __always_inline int packet(struct __sk_buff *ctx, __u32 direction)
{
	struct tcp_sock *tp = socket_of(ctx);

	if (!tp)
		return 1;
	if (!names_connection(nw_sk(tp)->__sk_common.skc_state))
		packet_of_subject(ctx, tp, direction);
	else if (nw_sk(tp)->sk_bpf_storage || !is_refused(ctx, tp))
		packet_of_connection(ctx, tp, direction);
	return 1;
}

SEC("cgroup_skb/ingress")
int nw_packet_rx(struct __sk_buff *ctx)
{
	return packet(ctx, NW_RX);
}

SEC("cgroup_skb/egress")
int nw_packet_tx(struct __sk_buff *ctx)
{
	return packet(ctx, NW_TX);
}

/* What was made for a socket is on its way. */
static __noinline int tell_made(struct tcp_sock *tp, struct nw_segment *s,
				struct nw_subject *subject)
{
	__u64 cookie = bpf_get_socket_cookie(nw_sk(tp));
	struct made key = made_of(cookie, s->seq, subject->lport, subject->rport);
	__u32 value = 0;

	bpf_map_update_elem(&made, &key, &value, 0);
	return tell_subject(tp, cookie, s, subject, NULL);
}

/*
 * The answer to skb, which the socket cannot take. tcp_v4_send_reset and tcp_v6_send_reset:
 * seq is what skb acknowledges, else ack acknowledges all of skb. Without skb the socket itself
 * sends a reset, and egress sees it. (Some verifiers believe that both are never NULL and remove
 * the test: what is read behind NULL is then 0.)
 */
static __noinline int reset(struct sock *sk, struct sk_buff *skb)
{
	struct tcp_header answer = {};
	struct nw_subject subject;
	struct nw_segment s;
	struct tcp_sock *tp;
	struct headers h;
	unsigned char *head;
	__u32 size;

	if (!sk || !skb || !READ(shared.want[NW_WANT_PACKET]))
		return 0;
	tp = nw_tcp_sock(sk);
	head = skb->head;
	if (!tp || !head)
		return 0;
	if (bpf_probe_read_kernel(&h.ip, sizeof(h.ip), head + skb->network_header) ||
	    bpf_probe_read_kernel(&h.tcp, sizeof(h.tcp), head + skb->transport_header))
		return 0;
	h.version = h.ip.v4.version_length >> 4;
	if (h.tcp.flags & NW_TCP_RST)
		return 0;
	answer.flags = NW_TCP_RST;
	if (h.tcp.flags & NW_TCP_ACK) {
		answer.seq = h.tcp.ack;
	} else {
		size = skb->len - (h.tcp.length >> 4) * 4 + !!(h.tcp.flags & NW_TCP_SYN) +
		       !!(h.tcp.flags & NW_TCP_FIN);
		answer.ack = bpf_htonl(bpf_ntohl(h.tcp.seq) + size);
		answer.flags |= NW_TCP_ACK;
	}
	load_subject(&h, true, &subject, sk);
	fill_segment(&s, &answer, NW_TX);
	return tell_made(tp, &s, &subject);
}

SEC("tp_btf/tcp_send_reset")
int BPF_PROG(nw_packet_reset, struct sock *sk, struct sk_buff *skb)
{
	struct nw_run *run = nw_begin(NW_PAIR_PACKET_RESET);

	if (!run)
		return 0;
	reset(sk, skb);
	nw_end(run);
	return 0;
}

SEC("tp_btf/tcp_send_reset")
int BPF_PROG(nw_packet_reset_twin, struct sock *sk, struct sk_buff *skb)
{
	return nw_missed(NW_PAIR_PACKET_RESET) ? reset(sk, skb) : 0;
}

/* Of IPv6 only: egress sees those of IPv4 everywhere. They are made in softirqs: no twin. */
SEC("fexit/tcp_make_synack")
int BPF_PROG(nw_packet_synack, struct sock *sk, struct dst_entry *dst, struct request_sock *req,
	     struct tcp_fastopen_cookie *cookie, int type, struct sk_buff *syn, struct sk_buff *skb)
{
	struct sock_common *request = &req->__req_common;
	struct tcp_sock *tp = nw_tcp_sock(sk);
	struct nw_subject subject;
	struct tcp_header tcp;
	struct nw_segment s;

	if (!tp || req->rsk_ops->family != AF_INET6 || !READ(shared.want[NW_WANT_PACKET]) ||
	    bpf_probe_read_kernel(&tcp, sizeof(tcp), skb->head + skb->transport_header))
		return 0;
	for (int i = 0; i < 4; i++) {
		subject.local[i] = request->skc_v6_rcv_saddr.in6_u.u6_addr32[i];
		subject.remote[i] = request->skc_v6_daddr.in6_u.u6_addr32[i];
	}
	subject.lport = request->skc_num;
	subject.rport = bpf_ntohs(request->skc_dport);
	subject.netns = request->skc_net.net->ns.inum;
	subject.family = 6;
	fill_segment(&s, &tcp, NW_TX);
	tell_made(tp, &s, &subject);
	return 0;
}
