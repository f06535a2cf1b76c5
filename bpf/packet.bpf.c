// SPDX-License-Identifier: GPL-2.0-only
/*
 * Category packet: each segment that a socket sends or receives. The programs are told of it
 * with its full socket: a listener's for a handshake, and none for TIME_WAIT. Cgroup programs
 * run whatever they interrupt, so none needs a twin.
 */
#include "segment.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* A listener does not know the peer, a closed socket its port, a new child on 6.1 its address. */
static __always_inline bool names_connection(__u8 state)
{
	return state != TCP_LISTEN && state != TCP_CLOSE && state != TCP_SYN_RECV;
}

/* To receivers, with the ends of subject or else (NULL) of the socket. */
static __always_inline void tell(struct __sk_buff *ctx, struct tcp_sock *tp, struct nw_socket *w,
				 const struct nw_segment *s, const struct nw_subject *subject,
				 __u64 receivers, __u32 uid)
{
	struct nw_packet_record *r = nw_reserve_chatty(sizeof(*r), receivers);

	if (!r)
		return;
	nw_fill(&r->head, tp, w, bpf_get_socket_cookie(ctx), receivers, uid, bpf_ktime_get_ns(),
		nw_sk(tp)->__sk_common.skc_state, NW_CATEGORY_PACKET);
	if (subject)
		nw_fill_ends(&r->head.connection, subject);
	r->segment = *s;
	nw_submit(r);
}

/* A segment of a socket that does not itself say which connection it is about. */
static __noinline int packet_of_subject(struct __sk_buff *ctx, struct tcp_sock *tp, __u32 direction)
{
	struct nw_socket uncached = {}, *w = nw_storage(tp, 0);
	struct nw_subject subject;
	struct nw_segment s;
	struct headers h;
	__u64 receivers;
	__u32 uid;

	if (!w) {
		if (nw_sk(tp)->__sk_common.skc_state == TCP_LISTEN)
			uncached.role = NW_ROLE_SERVER;
		w = &uncached;
	}
	if (!load_segment(ctx, &h, &s, direction))
		return 0;
	load_subject(&h, &s, &subject, nw_sk(tp));
	receivers = nw_subject_receivers(&subject, tp, w, NW_WANT_PACKET, &uid);
	if (receivers)
		tell(ctx, tp, w, &s, &subject, receivers, uid);
	return 0;
}

static __noinline int packet_of_socket(struct __sk_buff *ctx, struct tcp_sock *tp, __u32 direction)
{
	struct nw_socket uncached = {};
	struct nw_socket *w = nw_storage_if_possible(tp, nw_storage(tp, 0), &uncached);
	struct nw_segment s;
	struct headers h;
	__u64 receivers;
	__u32 uid;

	receivers = w ? nw_receivers(tp, w, NW_WANT_PACKET, &uid) : 0;
	if (receivers && load_segment(ctx, &h, &s, direction))
		tell(ctx, tp, w, &s, NULL, receivers, uid);
	return 0;
}

static __always_inline int packet(struct __sk_buff *ctx, __u32 direction)
{
	struct tcp_sock *tp;

	if (!ctx->sk)
		return 1;
	tp = bpf_skc_to_tcp_sock(ctx->sk);
	/* Raw sockets pass the helper before Linux 7: the kernel's own sends resets. */
	if (!tp || nw_sk(tp)->sk_type != SOCK_STREAM)
		return 1;
	if (names_connection(nw_sk(tp)->__sk_common.skc_state))
		packet_of_socket(ctx, tp, direction);
	else
		packet_of_subject(ctx, tp, direction);
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
