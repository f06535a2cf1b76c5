/* SPDX-License-Identifier: GPL-2.0-only */
/* What is kept of a socket that speaks HTTP, and what a piece of its streams changes in it. */
#ifndef NETWATCH_HTTP_STREAM_BPF_H
#define NETWATCH_HTTP_STREAM_BPF_H

#include "segment.bpf.h"
#include "http_text.bpf.h"

/* A segment that ends this little before what left the kernel was sent again. */
#define OLD_MAX (1U << 28)
/* Behind a body this long the end of what left the kernel moves up, before positions wrap. */
#define END_MAX (1 << 30)

/* How a piece ends, as far as an empty line may begin there. */
enum ending { ENDS_OTHERWISE, ENDS_WITH_LF, ENDS_WITH_LF_CR };

/* One of a socket's two byte streams. */
struct stream {
	__u32 end;	/* of what left the kernel, or would have, had there been room */
	__u32 taken;	/* bytes of a head that is not complete; 0: there is none */
	__u32 acked;	/* by the last segment with payload */
	__u32 length;	/* of the body behind that head, as far as it is known */
	__u32 boundary; /* where that body ends */
	__u8 used;	/* end is valid */
	__u8 spoke;	/* acked is valid */
	__u8 ending;	/* enum ending, of a head that is not complete */
	__u8 pipelined; /* of what was lost a message began before anything was answered */
	__u8 bounded;	/* boundary is valid */
	__u8 asks;	/* its messages are requests */
	__u8 reserved[2];
};

/* A socket that has spoken HTTP. */
struct streams {
	struct stream direction[2]; /* RX, TX */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct streams);
} http_streams SEC(".maps");

/* What is known of a segment, and what becomes of it. */
struct piece {
	struct nw_segment segment;
	__u64 receivers;
	__u32 uid;
	__u32 offset; /* of the payload in the buffer */
	bool turn;    /* as NW_HTTP_TURN */
	bool begins;  /* a message, for all that its first word tells */
	__u32 word;   /* that one */
};

/* Of a socket that has spoken HTTP since somebody asked; NULL: it has not. */
static __always_inline struct streams *streams_of(struct tcp_sock *tp, const struct nw_socket *w)
{
	return w->http ? bpf_sk_storage_get(&http_streams, tp, 0, 0) : NULL;
}

/* Its first message; NULL: no memory. What an earlier subscription left is forgotten. */
static __always_inline struct streams *new_streams(struct tcp_sock *tp, struct nw_socket *w)
{
	struct streams *streams =
		bpf_sk_storage_get(&http_streams, tp, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!streams)
		return NULL;
	__builtin_memset(streams, 0, sizeof(*streams));
	w->http = 1;
	return streams;
}

/*
 * The payload's length, or size if that is less, in the way in which the verifier of Linux 6.1 sees
 * that it is above zero and not above size, a power of two.
 */
static __always_inline __u32 at_most(__u32 length, const __u32 size)
{
	__u32 n = length < size ? length : size;

	asm volatile("%[n] += -1\n"
		     "%[n] &= %[mask]\n"
		     "%[n] += 1\n"
		     : [n] "+r"(n)
		     : [mask] "i"(size - 1));
	return n;
}

static __always_inline bool before(__u32 a, __u32 b)
{
	return (__s32)(a - b) < 0;
}

static __always_inline void fill(__u64 cookie, struct tcp_sock *tp, struct nw_socket *w,
				 struct nw_http_record *r, const struct piece *p, __u32 captured)
{
	nw_fill(&r->head, tp, w, cookie, p->receivers, p->uid, bpf_ktime_get_ns(),
		nw_sk(tp)->__sk_common.skc_state, NW_CATEGORY_HTTP);
	r->seq = p->segment.seq;
	r->length = p->segment.length;
	r->ack = p->segment.ack;
	r->captured = captured;
	r->direction = p->segment.direction;
	r->flags = (p->segment.flags & NW_TCP_FIN ? NW_HTTP_FIN : 0) |
		   (p->segment.flags & NW_TCP_RST ? NW_HTTP_RST : 0) | (p->turn ? NW_HTTP_TURN : 0);
}

/* What is sent has been counted, what came not yet. */
static __always_inline bool is_start(const struct tcp_sock *tp, const struct nw_segment *segment)
{
	if (segment->direction == NW_TX)
		return tp->bytes_sent == segment->length;
	return !tp->bytes_received && tp->rcv_nxt == segment->seq;
}

/* Where the head ends in this piece, from how the one before ended and from the bytes; 0: not. */
static __always_inline __u32 head_end(const struct stream *s, __u32 taken, __u8 *data, __u32 n,
				      const __u32 size)
{
	if (taken && s->ending == ENDS_WITH_LF) {
		if (data[0] == '\n')
			return 1;
		if (n > 1 && data[0] == '\r' && data[1] == '\n')
			return 2;
	}
	if (taken && s->ending == ENDS_WITH_LF_CR && data[0] == '\n')
		return 1;
	return find(data, n, size, false);
}

/* last: the last two bytes, or of a piece of one byte that one above zero. */
static __always_inline __u8 ending_of(const struct stream *s, __u32 taken, __u8 last_but_one,
				      __u8 last, __u32 n)
{
	if (last == '\n')
		return ENDS_WITH_LF;
	if (last != '\r')
		return ENDS_OTHERWISE;
	if (n > 1)
		return last_but_one == '\n' ? ENDS_WITH_LF_CR : ENDS_OTHERWISE;
	return taken && s->ending == ENDS_WITH_LF ? ENDS_WITH_LF_CR : ENDS_OTHERWISE;
}

/* Another message may follow at once, and its head need not be complete either. */
static __always_inline bool goes_on(const __u8 *data, __u32 end, __u32 n, const __u32 size)
{
	if (!end)
		return true;
	if (end >= n || end >= size)
		return false;
	return may_begin_message(*(const __u32 *)(data + end), n - end);
}

/* In the body of a message whose head told its length. */
static __always_inline bool in_body(const struct stream *s, const struct piece *p)
{
	return s->bounded && before(p->segment.seq, s->boundary);
}

/*
 * length: as this piece of a head tells it, or 0. In a body text may look like a message; but a
 * response may have no body in spite of its length.
 */
static __always_inline void keep_boundary(struct stream *s, const struct piece *p, __u32 taken,
					  __u32 end, __u32 length)
{
	bool response = p->begins && p->word == WORD('H', 'T', 'T', 'P');

	if (in_body(s, p) && (s->asks || !response))
		return;
	if (p->begins)
		s->asks = !response;
	s->length = length ? length : taken ? s->length : 0;
	s->bounded = end && s->length;
	if (s->bounded)
		s->boundary = p->segment.seq + end + s->length;
}

/* The head ends in this piece, or goes on behind it. taken: of it, before this piece. */
static __always_inline void go_on(struct stream *s, const struct piece *p, __u8 *data, __u32 n,
				  const __u32 size, __u32 taken)
{
	__u32 end = head_end(s, taken, data, n, size);

	keep_boundary(s, p, taken, end, content_length(data, end ? end : n, size));
	if (goes_on(data, end, n, size) && n == p->segment.length && taken + n < NW_HTTP_HEAD_MAX) {
		s->ending = ending_of(s, taken, n > 1 ? data[(n - 2) & (size - 1)] : 0,
				      data[(n - 1) & (size - 1)], n);
		s->taken = taken + n;
	}
}

/* A segment with payload passes, wanted or not. */
static __always_inline bool pass(struct stream *s, const struct nw_segment *segment)
{
	bool turn = !s->spoke || s->acked != segment->ack;

	s->acked = segment->ack;
	s->spoke = 1;
	if (s->used && (__s32)(segment->seq - s->end) > END_MAX)
		s->end = segment->seq - OLD_MAX;
	return turn;
}

/* The first letters, behind the empty line that may come before a request (RFC 9112, 2.2). */
static __always_inline bool load_word(struct __sk_buff *ctx, __u32 offset, __u32 *word)
{
	if (!load(ctx, offset, word))
		return false;
	return (*word & 0xffff) != ('\r' | '\n' << 8) ||
	       !bpf_skb_load_bytes(ctx, offset + 2, word, sizeof(*word));
}

#endif
