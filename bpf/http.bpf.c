// SPDX-License-Identifier: GPL-2.0-only
/*
 * Category http: segments that begin like a message, and those that continue a head that is
 * not complete, leave the kernel; the collector parses them. Of any other segment a socket's
 * storage is looked at, and the payload's first bytes. Cgroup programs read payload wherever it
 * lies, so that sendfile and splice are seen as well.
 */
#include "http_early.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* size: what the record takes at most, a constant. */
static __always_inline int capture(struct __sk_buff *ctx, struct tcp_sock *tp, struct nw_socket *w,
				   struct stream *s, const struct piece *p, const __u32 size)
{
	__u32 n, taken = s->taken;
	struct nw_http_record *r;

	/* Not even when it is sent again: what it acknowledges then is not what it did. */
	s->end = p->segment.seq + p->segment.length;
	s->used = 1;
	s->taken = 0;
	r = nw_reserve(sizeof(*r) + size + PAD, p->receivers);
	if (!r) { /* at once: on Linux 6.1 the verifier forgets that nw_reserve has asked it */
		s->pipelined |= p->begins && !p->turn;
		s->bounded = 0;
		return 0;
	}
	n = at_most(p->segment.length, size);
	if (bpf_skb_load_bytes(ctx, p->offset, r->data, n)) {
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
		return 0;
	}
	__builtin_memset(r->data + n, 0, PAD);
	fill(cookie_of(ctx, tp), tp, w, r, p, n);
	r->flags |= s->pipelined ? NW_HTTP_PIPELINED : 0;
	r->flags |= is_start(tp, &p->segment) ? NW_HTTP_START : 0;
	go_on(s, p, r->data, n, size, taken);
	nw_submit(r);
	return 0;
}

static __noinline int capture_small(struct __sk_buff *ctx, struct tcp_sock *tp, struct nw_socket *w,
				    struct stream *s, struct piece *p)
{
	return capture(ctx, tp, w, s, p, NW_HTTP_SMALL);
}

static __noinline int capture_medium(struct __sk_buff *ctx, struct tcp_sock *tp,
				     struct nw_socket *w, struct stream *s, struct piece *p)
{
	return capture(ctx, tp, w, s, p, NW_HTTP_MEDIUM);
}

static __noinline int capture_large(struct __sk_buff *ctx, struct tcp_sock *tp, struct nw_socket *w,
				    struct stream *s, struct piece *p)
{
	return capture(ctx, tp, w, s, p, NW_HTTP_LARGE);
}

/* A stream of HTTP ends. */
static __noinline int tell_end(struct __sk_buff *ctx, struct tcp_sock *tp, struct nw_socket *w,
			       struct piece *p)
{
	struct nw_http_record *r = nw_reserve(sizeof(*r), p->receivers);

	if (!r)
		return 0;
	fill(cookie_of(ctx, tp), tp, w, r, p, 0);
	nw_submit(r);
	return 0;
}

/* Does it begin a message, or go on with a head? What was told already does neither. */
static __always_inline bool is_wanted(struct __sk_buff *ctx, const struct stream *s,
				      struct piece *p)
{
	__u32 word = 0, seq = p->segment.seq, length = p->segment.length;

	p->begins = false;
	p->word = 0;
	if (s && s->used && s->end - (seq + length) <= OLD_MAX)
		return false;
	if (s && s->taken && !before(s->end, seq))
		return true;
	if (length >= sizeof(word)) {
		if (!load_word(ctx, p->offset, &word))
			return false;
		p->begins = begins_message(word);
		p->word = word;
		return p->begins;
	}
	return !bpf_skb_load_bytes(ctx, p->offset, &word, 1) && may_begin_message(word, length);
}

/*
 * Does a message begin within it, behind the body of the one before? Its length was told, but
 * perhaps there was none, as behind HEAD: the word decides.
 */
static __always_inline bool has_boundary(struct __sk_buff *ctx, struct stream *s, struct piece *p)
{
	__u32 into, word = 0, length = p->segment.length;

	if (!s || !s->bounded || s->end - (p->segment.seq + length) <= OLD_MAX)
		return false;
	into = s->boundary - p->segment.seq;
	if (into >= length || length - into < sizeof(word) ||
	    bpf_skb_load_bytes(ctx, p->offset + into, &word, sizeof(word)) || !begins_message(word))
		return false;
	p->offset += into;
	p->segment.seq += into;
	p->segment.length -= into;
	p->begins = true;
	p->word = word;
	s->taken = 0;
	return true;
}

/*
 * A request's body ends where its head says, whatever text is in it: the message behind it counts,
 * and not what the segment begins like. (A response may have no body at all.)
 */
static __always_inline bool has_message(struct __sk_buff *ctx, struct stream *s, struct piece *p)
{
	if (!is_wanted(ctx, s, p))
		return has_boundary(ctx, s, p);
	if (s && in_body(s, p) && (s->asks || p->word != WORD('H', 'T', 'T', 'P')))
		has_boundary(ctx, s, p);
	return true;
}

static __noinline int look(struct __sk_buff *ctx, struct tcp_sock *tp, struct nw_socket *w,
			   struct piece *p)
{
	bool ends = p->segment.flags & (NW_TCP_FIN | NW_TCP_RST);
	struct streams *streams = streams_of(tp, w);
	struct stream *s = NULL;

	p->turn = true;
	if (streams)
		s = &streams->direction[p->segment.direction == NW_TX];
	if (s && p->segment.length)
		p->turn = pass(s, &p->segment);
	if (!p->segment.length || !has_message(ctx, s, p))
		return streams && ends ? tell_end(ctx, tp, w, p) : 0;
	if (!streams)
		streams = new_streams(tp, w);
	if (!streams)
		return 0;
	if (!s) {
		s = &streams->direction[p->segment.direction == NW_TX];
		pass(s, &p->segment);
	}
	if (p->segment.length <= NW_HTTP_SMALL)
		return capture_small(ctx, tp, w, s, p);
	if (p->segment.length <= NW_HTTP_MEDIUM)
		return capture_medium(ctx, tp, w, s, p);
	return capture_large(ctx, tp, w, s, p);
}

static __always_inline int http(struct __sk_buff *ctx, __u32 direction)
{
	struct tcp_sock *tp = socket_of(ctx);
	struct nw_socket *w;
	struct headers h;
	struct piece p;

	if (!tp)
		return 1;
	if (nw_sk(tp)->__sk_common.skc_state == TCP_LISTEN) {
		if (direction == NW_RX)
			keep_early(ctx, tp);
		return 1;
	}
	w = nw_storage(tp, 0);
	if (!w)
		return 1;
	p.receivers = nw_receivers(tp, w, NW_WANT_HTTP, &p.uid);
	if (!p.receivers || !load_segment(ctx, &h, &p.segment, direction))
		return 1;
	p.offset = ctx->len - p.segment.length;
	if (p.segment.flags & NW_TCP_SYN)
		p.segment.seq++; /* the payload, as Fast Open has it, is behind it */
	if (direction == NW_TX && is_early())
		tell_early(tp, w, cookie_of(ctx, tp));
	look(ctx, tp, w, &p);
	return 1;
}

SEC("cgroup_skb/ingress")
int nw_http_rx(struct __sk_buff *ctx)
{
	return http(ctx, NW_RX);
}

SEC("cgroup_skb/egress")
int nw_http_tx(struct __sk_buff *ctx)
{
	return http(ctx, NW_TX);
}

/* What the collector keeps of it can go. Where the kernel skips this call, it goes later. */
static __always_inline void closed(struct sock *sk, int oldstate)
{
	struct nw_http_record *r;
	struct nw_socket *w;
	struct tcp_sock *tp;
	__u64 receivers;
	__u32 uid;

	if (!sk->sk_bpf_storage)
		return;
	tp = nw_tcp_sock(sk);
	w = tp ? nw_storage(tp, 0) : NULL;
	receivers = w && w->http ? nw_receivers(tp, w, NW_WANT_HTTP, &uid) : 0;
	if (!receivers)
		return;
	r = nw_reserve(sizeof(*r), receivers);
	if (!r)
		return;
	nw_fill(&r->head, tp, w, bpf_get_socket_cookie(sk), receivers, uid, bpf_ktime_get_ns(),
		oldstate, NW_CATEGORY_HTTP);
	r->seq = r->length = r->ack = r->captured = 0;
	r->direction = 0;
	r->flags = NW_HTTP_CLOSED;
	nw_submit(r);
}

/* A child got its segment from the listener. */
static __always_inline void established(struct sock *sk)
{
	struct tcp_sock *tp = nw_tcp_sock(sk);
	struct nw_socket *w = tp ? nw_storage(tp, 0) : NULL;

	if (w)
		tell_early(tp, w, bpf_get_socket_cookie(sk));
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(nw_http_state, struct sock *sk, int oldstate, int newstate)
{
	if (newstate == TCP_CLOSE)
		closed(sk, oldstate);
	else if (newstate == TCP_ESTABLISHED && oldstate == TCP_SYN_RECV && is_early())
		established(sk);
	return 0;
}
