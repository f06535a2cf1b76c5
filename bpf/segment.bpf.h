/* SPDX-License-Identifier: GPL-2.0-only */
/* The TCP segment in a buffer of which a cgroup_skb program is told: it begins with IP. */
#ifndef NETWATCH_SEGMENT_BPF_H
#define NETWATCH_SEGMENT_BPF_H

#include "netwatch.bpf.h"
#include "packet.h"

#define IPV6_HEADERS_MAX 8	/* extension headers that are looked behind */
#define IP_OFFSET	 0x1fff /* of fragment: those that do not begin the packet */
#define IP6_OFFSET	 0xfff8
#define LINEAR_MASK	 0x1ff /* headers end before; a bound for the verifier */

struct ipv4_header {
	__u8 version_length;
	__u8 tos;
	__be16 length;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__u16 checksum;
	__be32 source;
	__be32 destination;
};

struct ipv6_header {
	__u8 version_class;
	__u8 class_label[3];
	__be16 length;
	__u8 next;
	__u8 hop_limit;
	__be32 source[4];
	__be32 destination[4];
};

/* All that are looked behind begin so; of FRAGMENT length is reserved. */
struct ipv6_extension {
	__u8 next;
	__u8 length;
	__be16 fragment;
};

struct tcp_header {
	__be16 source;
	__be16 destination;
	__be32 seq;
	__be32 ack;
	__u8 length; /* upper four bits, in words */
	__u8 flags;
	__be16 window;
	__u16 checksum;
	__be16 urgent;
};

struct headers {
	union {
		struct ipv4_header v4;
		struct ipv6_header v6;
	} ip;
	struct tcp_header tcp;
	__u8 version;
};

/* Bytes from one extension header to the next; 0: nothing that is looked behind. */
static __always_inline __u32 extension_length(__u8 type, const struct ipv6_extension *x)
{
	switch (type) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		return (x->length + 1) * 8;
	case IPPROTO_AH:
		return (x->length + 2) * 4;
	case IPPROTO_FRAGMENT:
		return x->fragment & bpf_htons(IP6_OFFSET) ? 0 : 8;
	}
	return 0;
}

/*
 * Copies what stands at this offset of the buffer; false: it is too short. Mostly headers lie in
 * its linear part, from which they are read without a call.
 */
#define load(ctx, offset, to)                                                                     \
	({                                                                                        \
		void *__data = (void *)(long)(ctx)->data, *__end = (void *)(long)(ctx)->data_end; \
		typeof(*(to)) *__at = __data + ((offset)&LINEAR_MASK);                            \
		bool __is = (offset) <= LINEAR_MASK && (void *)(__at + 1) <= __end;               \
		if (__is)                                                                         \
			*(to) = *__at;                                                            \
		else                                                                              \
			__is = !bpf_skb_load_bytes(ctx, offset, to, sizeof(*(to)));               \
		__is;                                                                             \
	})

/* Where TCP begins, or 0. */
static __noinline __u32 behind_ipv6(struct __sk_buff *ctx, __u8 next)
{
	__u32 offset = sizeof(struct ipv6_header);

	for (int i = 0; i <= IPV6_HEADERS_MAX; i++) {
		struct ipv6_extension x;
		__u32 length;

		if (next == IPPROTO_TCP)
			return offset;
		if (!load(ctx, offset, &x))
			return 0;
		length = extension_length(next, &x);
		if (!length)
			return 0;
		offset += length;
		next = x.next;
	}
	return 0;
}

static __always_inline __u32 behind_ip(struct __sk_buff *ctx, struct headers *h)
{
	if (!load(ctx, 0, &h->ip.v4))
		return 0;
	h->version = h->ip.v4.version_length >> 4;
	if (h->version == 4) {
		if (h->ip.v4.protocol != IPPROTO_TCP || h->ip.v4.fragment & bpf_htons(IP_OFFSET))
			return 0;
		return (h->ip.v4.version_length & 0xf) * 4;
	}
	if (h->version != 6 || !load(ctx, 0, &h->ip.v6))
		return 0;
	return h->ip.v6.next == IPPROTO_TCP ? sizeof(h->ip.v6) : behind_ipv6(ctx, h->ip.v6.next);
}

/* Without payload. */
static __always_inline void fill_segment(struct nw_segment *s, const struct tcp_header *tcp,
					 __u8 direction)
{
	s->seq = bpf_ntohl(tcp->seq);
	s->ack = bpf_ntohl(tcp->ack);
	s->length = 0;
	s->window = bpf_ntohs(tcp->window);
	s->segments = 1;
	s->flags = tcp->flags;
	s->direction = direction;
	__builtin_memset(s->reserved, 0, sizeof(s->reserved));
}

/*
 * False: there is no TCP header. The length of the payload is the buffer's, since that of IP is
 * 0 in a buffer of more than 64 KiB (BIG TCP), and IP has cut off what follows the packet.
 */
static __always_inline bool load_segment(struct __sk_buff *ctx, struct headers *h,
					 struct nw_segment *s, __u8 direction)
{
	__u32 offset = behind_ip(ctx, h), segments = ctx->gso_segs;

	if (!offset || !load(ctx, offset, &h->tcp))
		return false;
	offset += (h->tcp.length >> 4) * 4;
	if (offset > ctx->len)
		return false;
	fill_segment(s, &h->tcp, direction);
	s->length = ctx->len - offset;
	s->segments = segments ?: 1;
	return true;
}

/* The connection that the headers name: local is where they come from or, of what came, go to. */
static __always_inline void load_subject(const struct headers *h, bool rx,
					 struct nw_subject *subject, struct sock *sk)
{

	if (h->version == 4) {
		__builtin_memset(subject, 0, sizeof(*subject));
		subject->local[0] = rx ? h->ip.v4.destination : h->ip.v4.source;
		subject->remote[0] = rx ? h->ip.v4.source : h->ip.v4.destination;
	} else {
		for (int i = 0; i < 4; i++) {
			__be32 source = h->ip.v6.source[i], destination = h->ip.v6.destination[i];

			subject->local[i] = rx ? destination : source;
			subject->remote[i] = rx ? source : destination;
		}
	}
	subject->lport = bpf_ntohs(rx ? h->tcp.destination : h->tcp.source);
	subject->rport = bpf_ntohs(rx ? h->tcp.source : h->tcp.destination);
	subject->family = h->version;
	subject->netns = sk->__sk_common.skc_net.net->ns.inum;
}

/*
 * The full TCP socket of a cgroup_skb program's buffer, or NULL. Raw sockets pass the helper before
 * Linux 7, and the kernel's own sends resets.
 */
static __always_inline struct tcp_sock *socket_of(struct __sk_buff *ctx)
{
	struct tcp_sock *tp = ctx->sk ? bpf_skc_to_tcp_sock(ctx->sk) : NULL;

	return tp && nw_sk(tp)->sk_type == SOCK_STREAM ? tp : NULL;
}

/* bpf_get_socket_cookie, which makes one if there is none yet. */
static __always_inline __u64 cookie_of(struct __sk_buff *ctx, struct tcp_sock *tp)
{
	__u64 cookie = READ(nw_sk(tp)->__sk_common.skc_cookie.counter);

	return cookie ? cookie : bpf_get_socket_cookie(ctx);
}

#endif
