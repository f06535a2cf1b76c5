// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reports of category tcpinfo: at intervals, by an iteration over the sockets that are watched,
 * and at the end of each. Packets cost nothing.
 */
#include "tcpinfo.bpf.h"
#include "tcpinfo.h"

char LICENSE[] SEC("license") = "GPL";

/* What was reported last of a socket to the slots of an interval. */
struct nw_report {
	__u64 bytes_acked;
	__u64 bytes_received;
	__u32 generation; /* of the interval, when that was; 0: never */
	__u32 tick;	  /* of the interval: not twice at one */
};

struct nw_reports {
	struct nw_report of[NW_INTERVALS];
};

/* Only of sockets that were reported. An accepted one does not inherit it. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct nw_reports);
} reports SEC(".maps");

static __always_inline void fill(struct nw_tcpinfo_record *r, struct tcp_sock *tp,
				 struct nw_socket *w, __u64 receivers, __u32 uid,
				 int state_reported)
{
	__u64 now = bpf_ktime_get_ns();
	int state = state_reported >> 8;

	nw_fill(&r->head, tp, w, bpf_get_socket_cookie(nw_sk(tp)), receivers, uid, now,
		state_reported & 0xff, NW_CATEGORY_TCPINFO);
	nw_fill_counters(&r->counters, tp, w, state, now);
	r->bytes_acked_delta = 0;
	r->bytes_received_delta = 0;
	r->has_deltas = 0;
	r->reserved = 0;
}

/*
 * The last report of a socket is that of its end, and what a report says has come since the one
 * before adds up to the totals, even if the socket ends on another CPU, or in a softirq here,
 * while a report is made. So: the end stores its state (nw_state) before it looks at the last
 * report and before it takes a place in the ring. A report takes its place first; then, if the
 * state says CLOSE, it is thrown away. If not, it comes before the end's. It sets the last
 * report only where the end has not: where that has, the end's difference covers it.
 */
static __always_inline bool ending(struct nw_socket *w)
{
	return READ(w->state) == TCP_CLOSE;
}

/* The difference, and 0 if the end has taken it. */
static __always_inline __u64 advance(__u64 *last, __u64 now)
{
	__u64 before = READ(*last);

	return __sync_val_compare_and_swap(last, before, now) == before ? now - before : 0;
}

/* False: the socket ends, and its last report is made. */
static __always_inline bool count(struct nw_tcpinfo_record *r, struct nw_socket *w,
				  struct nw_report *last, __u32 generation)
{
	if (last->generation != generation) {
		WRITE(last->bytes_acked, r->counters.bytes_acked);
		WRITE(last->bytes_received, r->counters.bytes_received);
		__sync_lock_test_and_set(&last->generation, generation);
		return !ending(w);
	}
	if (ending(w))
		return false;
	r->has_deltas = 1;
	r->bytes_acked_delta = advance(&last->bytes_acked, r->counters.bytes_acked);
	r->bytes_received_delta = advance(&last->bytes_received, r->counters.bytes_received);
	return true;
}

/*
 * A report to the slots of one interval: to `receivers`, of the socket's owner uid_i >> 32, at
 * interval uid_i & 0xffffffff. No static function has room for more arguments. Returns 1: it was
 * made, or is counted as lost; 0: at this tick it was made before.
 */
static __noinline int report(struct tcp_sock *tp, struct nw_socket *w, __u64 receivers, __u64 uid_i)
{
	struct nw_interval *interval = &shared.interval[uid_i & (NW_INTERVALS - 1)];
	int state = nw_sk(tp)->__sk_common.skc_state;
	struct nw_tcpinfo_record *r;
	struct nw_reports *all;
	struct nw_report *last = NULL;

	all = bpf_sk_storage_get(&reports, tp, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (all) {
		last = &all->of[uid_i & (NW_INTERVALS - 1)];
		if (last->tick == interval->tick)
			return 0;
		last->tick = interval->tick;
	}
	r = nw_reserve_chatty(sizeof(*r), receivers);
	if (!r)
		return 1;
	fill(r, tp, w, receivers, uid_i >> 32, state << 8 | state);
	if (last ? count(r, w, last, interval->generation) : !ending(w))
		nw_submit(r);
	else
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
	return 1;
}

/* The words are read before the key, as in nw_receivers. */
static __always_inline __u64 read_words(__u64 slots[NW_INTERVALS], __u32 due)
{
	__u64 any = 0;

	for (int i = 0; i < NW_INTERVALS; i++) {
		slots[i] = due & 1U << i ? READ(shared.interval[i].slots) : 0;
		any |= slots[i];
	}
	return any;
}

/* Returns how many reports. */
static __noinline int report_due(struct tcp_sock *tp, struct nw_socket *w)
{
	__u64 slots[NW_INTERVALS], mask;
	int n = 0;
	__u32 uid;

	if (!read_words(slots, shared.due))
		return 0;
	mask = nw_mask(tp, w, &uid);
#pragma clang loop unroll(full)
	for (__u64 i = 0; i < NW_INTERVALS; i++) {
		if (slots[i] & mask)
			n += report(tp, w, slots[i] & mask, (__u64)uid << 32 | i);
	}
	return n;
}

/* Writes a byte per record, so that its reader can empty the ring in between. */
SEC("iter/bpf_sk_storage_map")
int nw_report(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	char bytes[NW_INTERVALS] = {};
	struct sock *sk = ctx->sk;
	struct nw_socket *w;
	struct tcp_sock *tp;
	int state, n;

	if (!sk || !ctx->value)
		return 0;
	tp = nw_tcp_sock(sk);
	state = sk->__sk_common.skc_state;
	/*
	 * A child has its listener's storage before it is complete, and up to Linux 6.12 no id of
	 * its own before it is established.
	 */
	if (!tp || state == TCP_CLOSE || state == TCP_SYN_RECV ||
	    !sk->__sk_common.skc_refcnt.refs.counter)
		return 0;
	w = nw_storage(tp, 0);
	if (!w)
		return 0;
	n = report_due(tp, w);
	if (n > 0 && n <= NW_INTERVALS)
		bpf_seq_write(ctx->meta->seq, bytes, n);
	return 0;
}

/* Takes the differences from the last report, and makes it void: the socket may be used again. */
static __always_inline void finish(struct nw_tcpinfo_record *r, struct nw_report *last,
				   __u32 generation)
{
	if (__sync_lock_test_and_set(&last->generation, 0) != generation)
		return;
	r->has_deltas = 1;
	r->bytes_acked_delta =
		r->counters.bytes_acked -
		__sync_lock_test_and_set(&last->bytes_acked, r->counters.bytes_acked);
	r->bytes_received_delta =
		r->counters.bytes_received -
		__sync_lock_test_and_set(&last->bytes_received, r->counters.bytes_received);
}

/* As report. */
static __noinline int report_end(struct tcp_sock *tp, struct nw_socket *w, __u64 receivers,
				 __u64 uid_i, int oldstate)
{
	struct nw_tcpinfo_record *r;
	struct nw_reports *all;

	if (__sync_fetch_and_add(&w->parked, 0) == ~0U) /* a barrier behind nw_state's store */
		return 0;
	all = bpf_sk_storage_get(&reports, tp, 0, 0);
	r = nw_reserve_chatty(sizeof(*r), receivers);
	if (!r)
		return 0;
	fill(r, tp, w, receivers, uid_i >> 32, oldstate << 8 | TCP_CLOSE);
	if (all)
		finish(r, &all->of[uid_i & (NW_INTERVALS - 1)],
		       shared.interval[uid_i & (NW_INTERVALS - 1)].generation);
	nw_submit(r);
	return 0;
}

static __noinline int report_ends(struct tcp_sock *tp, int oldstate)
{
	struct nw_socket uncached = {}, *w = nw_storage(tp, 0) ?: &uncached;
	__u64 slots[NW_INTERVALS], mask;
	__u32 uid;

	if (nw_never_was(tp, oldstate) || !read_words(slots, ~0U))
		return 0;
	mask = nw_mask(tp, w, &uid);
#pragma clang loop unroll(full)
	for (__u64 i = 0; i < NW_INTERVALS; i++) {
		if (slots[i] & mask)
			report_end(tp, w, slots[i] & mask, (__u64)uid << 32 | i, oldstate);
	}
	return 0;
}

/* Behind nw_state on the same hook, which is attached first: the end of category conn comes first.
 */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(nw_report_end, struct sock *sk, int oldstate, int newstate)
{
	struct tcp_sock *tp;
	struct nw_run *run;

	if (newstate != TCP_CLOSE)
		return 0;
	run = nw_begin(NW_PAIR_TCPINFO);
	if (!run)
		return 0;
	tp = nw_tcp_sock(sk);
	if (tp)
		report_ends(tp, oldstate);
	nw_end(run);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(nw_report_end_twin, struct sock *sk, int oldstate, int newstate)
{
	struct tcp_sock *tp;

	if (newstate != TCP_CLOSE || !nw_missed(NW_PAIR_TCPINFO))
		return 0;
	tp = nw_tcp_sock(sk);
	return tp ? report_ends(tp, oldstate) : 0;
}

/* Nobody wants reports any more. */
SEC("iter/bpf_sk_storage_map")
int nw_forget_reports(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;

	if (sk && ctx->value)
		bpf_sk_storage_delete(&reports, sk);
	return 0;
}

/* The timeout of a socket of the collector, which asks TCP_INFO for the same in microseconds. */
SEC("iter/bpf_sk_storage_map")
int nw_read_rto(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;
	struct tcp_sock *tp;
	__u32 rto;

	if (!sk || !ctx->value)
		return 0;
	tp = nw_tcp_sock(sk);
	if (!tp)
		return 0;
	rto = tp->inet_conn.icsk_rto;
	bpf_seq_write(ctx->meta->seq, &rto, sizeof(rto));
	return 0;
}
