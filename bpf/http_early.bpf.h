/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Payload that comes before its connection has a socket: with the ACK that completes the handshake
 * (as it does where the server defers to accept, or a bare ACK was lost), or with a SYN (Fast
 * Open). The listener handles the segment, and before the next one makes the child of it. So it
 * waits on this CPU until the child is established or sends its first segment: of Fast Open the
 * SYN-ACK, else an ACK where the kernel skipped the program at the change of state.
 */
#ifndef NETWATCH_HTTP_EARLY_BPF_H
#define NETWATCH_HTTP_EARLY_BPF_H

#include "http_stream.bpf.h"

struct early {
	struct nw_subject subject;
	struct nw_segment segment; /* length 0: nothing waits */
	__u64 time_ns;
	__u64 word; /* its first letters */
	__u64 record[(sizeof(struct nw_http_record) + NW_HTTP_HEAD_MAX + PAD) / 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct early);
} early SEC(".maps");

/* Of this CPU. Never NULL, which the verifier does not know. */
static __always_inline struct early *this_early(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&early, &key);
}

static __always_inline bool is_early(void)
{
	struct early *e = this_early();

	return e && e->segment.length;
}

/* Does it begin like a request? It is the first that comes. */
static __always_inline bool is_request(struct __sk_buff *ctx, struct early *e, __u32 offset)
{
	__u32 word = 0;

	if (e->segment.length < sizeof(word))
		return !bpf_skb_load_bytes(ctx, offset, &word, 1) &&
		       may_begin_message(word, e->segment.length);
	if (!load_word(ctx, offset, &word) || !begins_message(word))
		return false;
	e->word = word;
	return true;
}

/* A listener gets a segment: what waited, if anything, never found its child. */
static __noinline int keep_early(struct __sk_buff *ctx, struct tcp_sock *tp)
{
	struct early *e = this_early();
	struct nw_http_record *r;
	struct headers h;
	__u32 offset;

	if (!e)
		return 0;
	e->word = 0;
	r = (void *)e->record;
	if (!load_segment(ctx, &h, &e->segment, NW_RX) || !e->segment.length)
		goto none;
	offset = ctx->len - e->segment.length;
	if (!is_request(ctx, e, offset) ||
	    bpf_skb_load_bytes(ctx, offset, r->data, at_most(e->segment.length, NW_HTTP_HEAD_MAX)))
		goto none;
	if (e->segment.flags & NW_TCP_SYN)
		e->segment.seq++;
	e->time_ns = bpf_ktime_get_ns();
	load_subject(&h, true, &e->subject, nw_sk(tp));
	return 0;
none:
	e->segment.length = 0;
	return 0;
}

static __noinline bool is_child(struct early *e, struct tcp_sock *tp)
{
	const __u32 *a = (void *)&e->subject, *b;
	struct nw_subject s;
	__u32 differ = 0;

	nw_ends_of_socket(&s, tp, nw_lport(tp));
	b = (void *)&s;
	for (unsigned i = 0; i < sizeof(s) / sizeof(*a); i++)
		differ |= a[i] ^ b[i];
	return !differ;
}

/* As nw_submit, of a record that is not in the ring yet. */
static __always_inline int put(void *record, __u32 size, __u64 receivers)
{
	bool armed = READ(shared.armed);
	int err;

	if (armed)
		WRITE(shared.armed, 0);
	err = bpf_ringbuf_output(&ring, record, size,
				 armed ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
	if (!err)
		return 0;
	if (armed)
		WRITE(shared.armed, 1);
	nw_count_loss(receivers);
	return err;
}

/* A child that may be the one. */
static __noinline int tell_early(struct tcp_sock *tp, struct nw_socket *w, __u64 cookie)
{
	struct early *e = this_early();
	struct nw_http_record *r;
	struct piece p = {.turn = true};
	struct streams *streams;
	struct stream *s;
	__u32 n;

	if (!e || !e->segment.length || !is_child(e, tp))
		return 0;
	n = at_most(e->segment.length, NW_HTTP_HEAD_MAX);
	p.segment = e->segment;
	p.word = e->word;
	p.begins = e->word != 0;
	e->segment.length = 0;
	p.receivers = nw_receivers(tp, w, NW_WANT_HTTP, &p.uid);
	if (!p.receivers)
		return 0;
	streams = new_streams(tp, w);
	if (!streams)
		return 0;
	s = &streams->direction[0];
	pass(s, &p.segment);
	s->end = p.segment.seq + p.segment.length;
	s->used = 1;
	r = (void *)e->record;
	__builtin_memset(r->data + n, 0, PAD);
	fill(cookie, tp, w, r, &p, n);
	r->head.time_ns = e->time_ns;
	r->flags |= NW_HTTP_START;
	go_on(s, &p, r->data, n, NW_HTTP_LARGE, 0);
	if (put(r, sizeof(*r) + n, p.receivers))
		s->bounded = 0;
	return 0;
}

#endif
