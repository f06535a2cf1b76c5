// SPDX-License-Identifier: GPL-2.0-only
/*
 * Category http: segments that begin like a message, and those that continue a head that is
 * not complete, leave the kernel; the collector parses them. Of any other segment a socket's
 * storage is looked at, and the payload's first bytes. Cgroup programs read payload wherever it
 * lies, so that sendfile and splice are seen as well.
 */
#include "segment.bpf.h"
#include "http_text.bpf.h"

char LICENSE[] SEC("license") = "GPL";

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
	__u8 reserved[3];
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

static __always_inline bool before(__u32 a, __u32 b)
{
	return (__s32)(a - b) < 0;
}

static __always_inline void fill(struct __sk_buff *ctx, struct tcp_sock *tp, struct nw_socket *w,
				 struct nw_http_record *r, const struct piece *p, __u32 captured)
{
	nw_fill(&r->head, tp, w, cookie_of(ctx, tp), p->receivers, p->uid, bpf_ktime_get_ns(),
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
	return find(data, n, size);
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

/* length: as this piece of a head tells it, or 0. In a body text may look like a request. */
static __always_inline void keep_boundary(struct stream *s, const struct piece *p, __u32 taken,
					  __u32 end, __u32 length)
{
	bool response = p->begins && p->word == WORD('H', 'T', 'T', 'P');

	if (s->bounded && before(p->segment.seq, s->boundary) && !response)
		return;
	s->length = length ? length : taken ? s->length : 0;
	s->bounded = end && s->length;
	if (s->bounded)
		s->boundary = p->segment.seq + end + s->length;
}

/*
 * size: what the record takes at most, a constant. It is made so that what is not yet proved to the
 * verifier of Linux 6.1, a length above zero and not above size, is seen by it.
 */
static __always_inline int capture(struct __sk_buff *ctx, struct tcp_sock *tp, struct nw_socket *w,
				   struct stream *s, const struct piece *p, const __u32 size)
{
	__u32 n = p->segment.length < size ? p->segment.length : size, end, taken = s->taken;
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
	asm volatile("%[n] += -1\n"
		     "%[n] &= %[mask]\n"
		     "%[n] += 1\n"
		     : [n] "+r"(n)
		     : [mask] "i"(size - 1));
	if (bpf_skb_load_bytes(ctx, p->offset, r->data, n)) {
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
		return 0;
	}
	__builtin_memset(r->data + n, 0, PAD);
	end = head_end(s, taken, r->data, n, size);
	keep_boundary(s, p, taken, end, content_length(r->data, n, size));
	fill(ctx, tp, w, r, p, n);
	r->flags |= s->pipelined ? NW_HTTP_PIPELINED : 0;
	r->flags |= is_start(tp, &p->segment) ? NW_HTTP_START : 0;
	if (goes_on(r->data, end, n, size) && n == p->segment.length &&
	    taken + n < NW_HTTP_HEAD_MAX) {
		s->ending = ending_of(s, taken, n > 1 ? r->data[(n - 2) & (size - 1)] : 0,
				      r->data[(n - 1) & (size - 1)], n);
		s->taken = taken + n;
	}
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

/* A stream of HTTP ends. */
static __noinline int tell_end(struct __sk_buff *ctx, struct tcp_sock *tp, struct nw_socket *w,
			       struct piece *p)
{
	struct nw_http_record *r = nw_reserve(sizeof(*r), p->receivers);

	if (!r)
		return 0;
	fill(ctx, tp, w, r, p, 0);
	nw_submit(r);
	return 0;
}

/* The first letters, behind the empty line that may come before a request (RFC 9112, 2.2). */
static __always_inline bool load_word(struct __sk_buff *ctx, const struct piece *p, __u32 *word)
{
	if (!load(ctx, p->offset, word))
		return false;
	return (*word & 0xffff) != ('\r' | '\n' << 8) ||
	       !bpf_skb_load_bytes(ctx, p->offset + 2, word, sizeof(*word));
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
		if (!load_word(ctx, p, &word))
			return false;
		p->begins = begins_message(word);
		p->word = word;
		return p->begins;
	}
	return !bpf_skb_load_bytes(ctx, p->offset, &word, 1) && may_begin_message(word, length);
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
	if (!p->segment.length || (!is_wanted(ctx, s, p) && !has_boundary(ctx, s, p)))
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

	if (!tp || nw_sk(tp)->__sk_common.skc_state == TCP_LISTEN)
		return 1;
	w = nw_storage(tp, 0);
	if (!w)
		return 1;
	p.receivers = nw_receivers(tp, w, NW_WANT_HTTP, &p.uid);
	if (!p.receivers || !load_segment(ctx, &h, &p.segment, direction))
		return 1;
	p.offset = ctx->len - p.segment.length;
	if (p.segment.flags & NW_TCP_SYN)
		p.segment.seq++; /* the payload, as Fast Open has it, is behind it */
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
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(nw_http_closed, struct sock *sk, int oldstate, int newstate)
{
	struct nw_http_record *r;
	struct nw_socket *w;
	struct tcp_sock *tp;
	__u64 receivers;
	__u32 uid;

	if (newstate != TCP_CLOSE || !sk->sk_bpf_storage)
		return 0;
	tp = nw_tcp_sock(sk);
	w = tp ? nw_storage(tp, 0) : NULL;
	receivers = w && w->http ? nw_receivers(tp, w, NW_WANT_HTTP, &uid) : 0;
	if (!receivers)
		return 0;
	r = nw_reserve(sizeof(*r), receivers);
	if (!r)
		return 0;
	nw_fill(&r->head, tp, w, bpf_get_socket_cookie(sk), receivers, uid, bpf_ktime_get_ns(),
		oldstate, NW_CATEGORY_HTTP);
	r->seq = r->length = r->ack = r->captured = 0;
	r->direction = 0;
	r->flags = NW_HTTP_CLOSED;
	nw_submit(r);
	return 0;
}
