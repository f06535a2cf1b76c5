/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records of category conn, and those that wait: two events lack something when they happen.
 * OPEN of a socket that is not bound lacks the local port, which the kernel chooses after
 * SYN_SENT or LISTEN, and a server's ESTABLISHED the process, which is known when one uses the
 * accepted socket. They are parked in the socket and told as soon as that is known, or by a
 * walk when it took 268 ms or more: it finds who holds the socket.
 */
#ifndef NETWATCH_CONN_BPF_H
#define NETWATCH_CONN_BPF_H

#include "netwatch.bpf.h"

#define PARKED_AT_ONCE	  0x80000000 /* not counted as waiting */
#define PARKED_NOT_FIRST  0x40000000 /* an event of this connection was told before */
#define PARKED_STAGE(p)	  ((p)&0xff)
#define PARKED_COUNTER(p) ((p) >> 8 & (NW_PARK_COUNTERS - 1))

/* stage_state: enum nw_conn_stage << 8 | TCP state to report. Not for the slots of `shown`. */
static __noinline int emit_conn(struct tcp_sock *tp, struct nw_socket *w, __u64 time_ns,
				__u32 stage_state, __u64 shown)
{
	__u32 uid;
	__u64 receivers = nw_receivers(tp, w, NW_WANT_CONN, &uid) & ~shown;
	struct nw_conn_record *r;

	if (!receivers)
		return 0;
	r = nw_reserve(sizeof(*r), receivers);
	if (!r)
		return 0;
	nw_fill(&r->head, tp, w, bpf_get_socket_cookie(nw_sk(tp)), receivers, uid, time_ns,
		stage_state & 0xff, NW_CATEGORY_CONN);
	r->stage = stage_state >> 8;
	r->handshake_us = r->stage == NW_CONN_ESTABLISHED ? w->handshake_us : 0;
	nw_submit(r);
	return 0;
}

/*
 * Who ended it, from the state it left and the error it left with. A reset or a time-out
 * sets sk_err before the state (tcp_reset, tcp_write_err); an abort of ours (unread data,
 * SO_LINGER 0: __tcp_close, tcp_disconnect) leaves a state without a FIN and no error.
 */
static __always_inline __u32 closed_by(int error, int oldstate)
{
	if (error == ECONNRESET || error == EPIPE)
		return NW_CLOSED_RESET_RECEIVED;
	if (error == ECONNABORTED)
		return NW_CLOSED_RESET_SENT;
	if (error)
		return NW_CLOSED_TIMEOUT;
	if (oldstate == TCP_ESTABLISHED || oldstate == TCP_CLOSE_WAIT)
		return NW_CLOSED_RESET_SENT;
	return oldstate == TCP_LAST_ACK ? NW_CLOSED_REMOTE : NW_CLOSED_LOCAL;
}

static __noinline int emit_end(struct tcp_sock *tp, struct nw_socket *w, int oldstate)
{
	bool failed = oldstate == TCP_SYN_SENT || oldstate == TCP_SYN_RECV;
	__u32 uid;
	__u64 receivers = nw_receivers(tp, w, failed ? NW_WANT_CONN : NW_WANT_CONN_CLOSE, &uid);
	struct nw_conn_end_record *r;
	__u64 now;

	if (!receivers)
		return 0;
	r = nw_reserve(sizeof(*r), receivers);
	if (!r)
		return 0;
	now = bpf_ktime_get_ns();
	nw_fill(&r->conn.head, tp, w, bpf_get_socket_cookie(nw_sk(tp)), receivers, uid, now,
		TCP_CLOSE, NW_CATEGORY_CONN);
	r->conn.stage = failed ? NW_CONN_FAILED : NW_CONN_CLOSE;
	r->conn.handshake_us = 0;
	r->duration_us = w->born_ns ? (now - w->born_ns) / 1000 : 0;
	r->bytes_received = tp->bytes_received;
	r->bytes_acked = tp->bytes_acked;
	r->segs_in = tp->segs_in;
	r->segs_out = tp->segs_out;
	r->total_retransmits = tp->total_retrans;
	r->closed_by = closed_by(nw_sk(tp)->sk_err, oldstate);
	r->error = nw_sk(tp)->sk_err;
	__builtin_memset(r->reserved, 0, sizeof(r->reserved));
	nw_submit(r);
	return 0;
}

/* flags: 0, or those of parked for what is told now. */
static __always_inline void park(struct nw_socket *w, __u8 stage, __u64 now, __u32 flags)
{
	__u32 counter = now >> NW_PARK_SHIFT & (NW_PARK_COUNTERS - 1);

	/* A report waits for nothing, but is to have the process that a walk finds then. */
	if (!READ(shared.want[NW_WANT_CONN]) && !READ(shared.want[NW_WANT_TCPINFO]))
		return;
	if (!flags)
		__sync_fetch_and_add(&shared.parked[counter], 1);
	WRITE(w->parked, flags | counter << 8 | stage);
}

/* Tells what is parked, once, whoever comes first. */
static __always_inline void unpark(struct tcp_sock *tp, struct nw_socket *w)
{
	__u32 parked = READ(w->parked), stage_state;
	__u64 time, shown = 0;

	if (!parked)
		return;
	/* Before it is seen as told: a walk asks when. */
	if (!(parked & PARKED_NOT_FIRST))
		WRITE(w->told_ns, bpf_ktime_get_ns());
	/* Before that too: see waits in walk.bpf.h. */
	if (!(parked & PARKED_AT_ONCE))
		shown = __sync_lock_test_and_set(&w->shown, 0);
	if (__sync_val_compare_and_swap(&w->parked, parked, 0) != parked)
		return;
	if (!(parked & PARKED_AT_ONCE))
		__sync_fetch_and_add(&shared.parked[PARKED_COUNTER(parked)], -1);
	time = w->established_ns;
	stage_state = NW_CONN_ESTABLISHED << 8 | TCP_ESTABLISHED;
	if (PARKED_STAGE(parked) == NW_CONN_OPEN) {
		time = w->born_ns;
		stage_state =
			NW_CONN_OPEN << 8 | (w->role == NW_ROLE_SERVER ? TCP_LISTEN : TCP_SYN_SENT);
	}
	emit_conn(tp, w, time, stage_state, shown);
}

#endif
