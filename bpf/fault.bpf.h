/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is wrong with a segment, and what its headers say, read from a buffer wherever the kernel
 * drops it: whether data begins with the IP header, the TCP header or behind it differs.
 */
#ifndef NETWATCH_FAULT_BPF_H
#define NETWATCH_FAULT_BPF_H

#include "netwatch.bpf.h"

#define IPV6_MIN 40
#define TCP_MIN	 20

/* Of the headers no more than what is needed: the stack is small. */
#define IP_READ	  12 /* the addresses follow */
#define IPV6_READ 8  /* likewise */
#define TCP_READ  16

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

struct fault {
	struct nw_subject ends; /* as of the host that is to receive it, unless turn was called */
	__u32 kind;		/* enum nw_error_kind */
	__u32 reason;		/* as in struct nw_error_record */
	__u32 parts;		/* NW_ERROR_...: which of the others are known */
	__u32 seq;
	__u32 ack;
	__u32 length; /* payload, bytes */
	__u8 flags;   /* TCP_... */
	__u8 foreign; /* it was to be forwarded */
	__u8 what;    /* NW_REASON_... */
};

static __always_inline __u16 get16(const __u8 *p)
{
	return p[0] << 8 | p[1];
}

static __always_inline __u32 get32(const __u8 *p)
{
	return (__u32)get16(p) << 16 | get16(p + 2);
}

static __always_inline void *dst_of(struct sk_buff *skb)
{
	return (void *)(skb->_skb_refdst & ~1UL); /* the lowest bit: without a reference */
}

/* In TCP the kernel takes the device away (tcp_v4_rcv), but the route is still there. */
static __always_inline __u32 netns_of(struct sk_buff *skb)
{
	struct dst_entry *dst = dst_of(skb);
	struct net_device *dev = dst ? BPF_CORE_READ(dst, dev) : NULL;

	if (!dev)
		dev = (void *)skb->dev;
	return BPF_CORE_READ(dev, nd_net.net, ns.inum);
}

/* Without a route, or of a buffer that a socket sends, nobody knows and nobody asks. */
static __always_inline bool is_forwarded(struct sk_buff *skb, __u32 family)
{
	void *dst = dst_of(skb);

	if (!dst)
		return false;
	if (family == 4)
		return BPF_CORE_READ((struct rtable *)dst, rt_type) != RTN_LOCAL;
	return !(BPF_CORE_READ((struct rt6_info *)dst, rt6i_flags) & RTF_LOCAL);
}

/* Both return where TCP begins, from skb->head; 0: it is not TCP. */
static __always_inline __u32 read_ipv4(struct sk_buff *skb, struct nw_subject *s)
{
	__u32 at = skb->network_header;
	const __u8 *from = skb->head + at;
	__u8 ip[IP_READ];

	if (bpf_probe_read_kernel(ip, sizeof(ip), from))
		return 0;
	/* Of the fragments of a packet only the first one has a TCP header. */
	if (ip[0] >> 4 != 4 || ip[9] != IPPROTO_TCP || get16(ip + 6) & 0x1fff)
		return 0;
	s->family = 4;
	__builtin_memset(s->local, 0, sizeof(s->local));
	__builtin_memset(s->remote, 0, sizeof(s->remote));
	bpf_probe_read_kernel(s->remote, 4, from + IP_READ);
	bpf_probe_read_kernel(s->local, 4, from + IP_READ + 4);
	return at + (ip[0] & 0xf) * 4;
}

static __always_inline __u32 read_ipv6(struct sk_buff *skb, struct nw_subject *s)
{
	__u32 at = skb->network_header;
	const __u8 *from = skb->head + at;
	__u8 ip[IPV6_READ];

	if (bpf_probe_read_kernel(ip, sizeof(ip), from))
		return 0;
	if (ip[0] >> 4 != 6 || ip[6] != IPPROTO_TCP)
		return 0;
	s->family = 6;
	bpf_probe_read_kernel(s->remote, 16, from + IPV6_READ);
	bpf_probe_read_kernel(s->local, 16, from + IPV6_READ + 16);
	return at + IPV6_MIN;
}

static __always_inline void read_tcp(struct sk_buff *skb, struct fault *f, __u32 at)
{
	__u32 end = (__u64)skb->data - (__u64)skb->head + skb->len, header;
	__u8 tcp[TCP_READ];

	f->ends.lport = f->ends.rport = 0;
	/* It may be too short, or its header not in the first part of the buffer. */
	if (at + TCP_MIN > skb->tail || bpf_probe_read_kernel(tcp, sizeof(tcp), skb->head + at))
		return;
	f->ends.rport = get16(tcp);
	f->ends.lport = get16(tcp + 2);
	f->seq = get32(tcp + 4);
	f->ack = get32(tcp + 8);
	f->flags = tcp[13];
	header = (tcp[12] >> 4) * 4;
	if (header < TCP_MIN)
		header = TCP_MIN;
	f->length = end > at + header ? end - at - header : 0;
	f->parts |= NW_ERROR_HEADER | (f->flags & TCP_ACK ? NW_ERROR_ACK : 0);
}

/* False: it is not TCP. */
static __always_inline bool read_segment(struct sk_buff *skb, struct fault *f)
{
	__u16 protocol = bpf_ntohs(skb->protocol);
	__u32 at = 0;

	if (protocol == ETH_P_IP)
		at = read_ipv4(skb, &f->ends);
	else if (protocol == ETH_P_IPV6)
		at = read_ipv6(skb, &f->ends);
	if (!at)
		return false;
	f->parts |= NW_ERROR_ENDS;
	f->ends.netns = netns_of(skb);
	f->foreign = is_forwarded(skb, f->ends.family);
	read_tcp(skb, f, at);
	return true;
}

/* It is on its way out. */
static __always_inline void turn(struct fault *f)
{
	struct nw_subject *s = &f->ends;
	__u16 port = s->lport;

	for (int i = 0; i < 4; i++) {
		__u32 word = s->local[i];

		s->local[i] = s->remote[i];
		s->remote[i] = word;
	}
	s->lport = s->rport;
	s->rport = port;
	f->foreign = false;
}

/*
 * Keepalives and probes of a closed window are wrong on purpose: no data at the byte before the
 * next one, or one byte for which there is no room (RFC 9293, 3.8.4 and 3.8.6.1).
 */
static __always_inline bool is_probe(const struct fault *f, __u32 rcv_nxt)
{
	return f->what & NW_REASON_PROBES && f->length <= 1 && rcv_nxt - f->seq <= 1 &&
	       !(f->flags & (TCP_FIN | TCP_SYN | TCP_RST));
}

#endif
