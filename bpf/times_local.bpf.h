/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where no program may be put on a function, netfilter programs tell where IP begins and where it
 * ends, but only in the collector's own network namespace. They see every packet of it and accept
 * each. No helper finds a socket's storage there, so a buffer that is sent is known by its address
 * from here to egress, like one that is received from the link to TCP.
 */
#ifndef NETWATCH_TIMES_LOCAL_BPF_H
#define NETWATCH_TIMES_LOCAL_BPF_H

#include "times_rx.bpf.h"

static __always_inline void has_local_boundary(struct bpf_nf_ctx *ctx, __u32 boundary)
{
	if (READ(shared.local_boundaries) & boundary)
		return;
	WRITE(shared.local_netns, ctx->state->net->ns.inum);
	__sync_fetch_and_or(&shared.local_boundaries, boundary);
}

static __always_inline int local_ip_begins(struct bpf_nf_ctx *ctx, __u32 boundary)
{
	has_local_boundary(ctx, boundary);
	ip_begins(ctx->skb);
	return NF_ACCEPT;
}

SEC("netfilter/ip4/pre_routing")
int nw_times_local_ip4(struct bpf_nf_ctx *ctx)
{
	return local_ip_begins(ctx, NW_RX_IP4);
}

SEC("netfilter/ip6/pre_routing")
int nw_times_local_ip6(struct bpf_nf_ctx *ctx)
{
	return local_ip_begins(ctx, NW_RX_IP6);
}

SEC("netfilter/ip4/local_in")
int nw_times_local_tcp4(struct bpf_nf_ctx *ctx)
{
	tcp_begins(ctx->skb);
	return NF_ACCEPT;
}

SEC("netfilter/ip6/local_in")
int nw_times_local_tcp6(struct bpf_nf_ctx *ctx)
{
	tcp_begins(ctx->skb);
	return NF_ACCEPT;
}

/*
 * When a buffer came to IP, and whose time it is, in one word: a softirq may use the same place in
 * between, and then it is the time of another buffer, and as such it is known.
 */
#define OUT_TAG_BITS 16
#define OUT_NS_MASK  ((1ULL << (64 - OUT_TAG_BITS)) - 1)

static __always_inline __u64 mix(__u64 address)
{
	return address * 0x9e3779b97f4a7c15ULL;
}

static __always_inline __u64 tag_of(__u64 mixed)
{
	return mixed >> (64 - NW_OUTS_BITS - OUT_TAG_BITS) & ((1 << OUT_TAG_BITS) - 1);
}

static __always_inline __u64 *out_of(struct nw_cpu *cpu, __u64 mixed)
{
	return &cpu->outs[mixed >> (64 - NW_OUTS_BITS) & ((1 << NW_OUTS_BITS) - 1)];
}

static __always_inline int goes_out(struct bpf_nf_ctx *ctx, __u32 boundary)
{
	struct sk_buff *skb = ctx->skb;
	struct nw_cpu *cpu = nw_cpu();
	__u64 address = 0;

	has_local_boundary(ctx, boundary);
	/* As in address_of; cpu->address may be another's in the next moment. */
	bpf_probe_read_kernel(&address, sizeof(address), &skb);
	if (cpu)
		WRITE(*out_of(cpu, mix(address)),
		      bpf_ktime_get_ns() << OUT_TAG_BITS | tag_of(mix(address)));
	return NF_ACCEPT;
}

SEC("netfilter/ip4/local_out")
int nw_times_local_ip4_sends(struct bpf_nf_ctx *ctx)
{
	return goes_out(ctx, NW_TX_IP4);
}

SEC("netfilter/ip6/local_out")
int nw_times_local_ip6_sends(struct bpf_nf_ctx *ctx)
{
	return goes_out(ctx, NW_TX_IP6);
}

/* When this buffer came to IP, once; 0: it was not seen, or went on on another CPU. */
static __always_inline __u64 take_out(__u64 address, __u64 now)
{
	struct nw_cpu *cpu = nw_cpu();
	__u64 *out = cpu ? out_of(cpu, mix(address)) : NULL;
	__u64 word = out ? READ(*out) : 0, age;

	if (!word || (word & ((1 << OUT_TAG_BITS) - 1)) != tag_of(mix(address)))
		return 0;
	WRITE(*out, 0);
	age = (now - (word >> OUT_TAG_BITS)) & OUT_NS_MASK;
	return age > NW_BATCH_NS ? 0 : now - age;
}

#endif
