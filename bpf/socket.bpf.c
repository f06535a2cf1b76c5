// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a socket: who owns it, what became of it (category conn); and walks over those that
 * exist (walk.bpf.h). Attached whenever anything is, since every category needs the owner.
 */
#include "walk.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/*
 * An update of a map of maps returns when all programs that ran at its beginning have ended
 * (maybe_wait_bpf_programs): the collector's grace period.
 */
struct grace_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct grace_inner);
} grace SEC(".maps");

struct grace_inner grace_value SEC(".maps");

/* A new life begins in this storage, which a clone or an earlier connection left behind. */
static __always_inline void begin(struct nw_socket *w, __u8 role, __u64 now)
{
	w->owner = NW_OWNER_UNKNOWN;
	w->role = role;
	w->born_ns = now;
	w->told_ns = now;
	w->parked = 0;
	w->shown = 0;
	w->handshake_us = 0;
	nw_reset_retransmits(w);
	w->known = 0;
	WRITE(w->generation, w->generation + 1);
}

/* Both return the flags of what they parked; not 0: it is to be told now. */
static __always_inline __u32 established(struct tcp_sock *tp, struct nw_socket *w, int oldstate)
{
	__u64 now = bpf_ktime_get_ns();
	__u32 flags = PARKED_AT_ONCE | PARKED_NOT_FIRST;

	if (oldstate == TCP_SYN_SENT) {
		if (!w->role) { /* it began before we looked */
			w->role = NW_ROLE_CLIENT;
			WRITE(w->generation, w->generation + 1);
		}
		w->handshake_us = w->born_ns ? (now - w->born_ns) / 1000 : 0;
	} else {
		/* Also invalidates the mask: only now are a child's addresses right on 6.1. */
		if (w->role != NW_ROLE_CLIENT && w->owner != NW_OWNER_USED_SOCKET) {
			begin(w, NW_ROLE_SERVER, now);
			w->retransmits = tp->total_retrans; /* the SYN-ACK's */
		}
		/* Its first RTT is the handshake's. */
		w->handshake_us = tp->srtt_us >> 3;
		/* Fast Open: accepted before the handshake was complete. Or a simultaneous open. */
		flags = w->owner == NW_OWNER_USED_SOCKET || !is_stored(w) ? PARKED_AT_ONCE : 0;
	}
	w->established_ns = now;
	park(w, NW_CONN_ESTABLISHED, now, flags);
	return flags;
}

static __always_inline __u32 opened(struct tcp_sock *tp, struct nw_socket *w, int newstate)
{
	__u64 now = bpf_ktime_get_ns();
	__u32 flags = nw_lport(tp) || !is_stored(w) ? PARKED_AT_ONCE : 0;

	begin(w, newstate == TCP_LISTEN ? NW_ROLE_SERVER : NW_ROLE_CLIENT, now);
	owner_from_current(tp, w);
	park(w, NW_CONN_OPEN, now, flags);
	return flags;
}

/* A process uses its socket: from here on the owner is known. */
static __always_inline int used(struct sock *sk)
{
	struct nw_socket *w;
	struct tcp_sock *tp;

	if (!sk->sk_bpf_storage) /* the most frequent case costs one load */
		return 0;
	tp = nw_tcp_sock(sk);
	if (!tp)
		return 0;
	w = nw_storage(tp, 0);
	if (!w || w->owner == NW_OWNER_USED_SOCKET)
		return 0;
	owner_from_current(tp, w);
	if (w->owner == NW_OWNER_USED_SOCKET) {
		unpark(tp, w);
		remember(tp, w);
	}
	return 0;
}

/* A child has its listener's storage, and on Linux 6.1 still its addresses. */
static __always_inline int cloned(struct sock *sk)
{
	struct nw_socket *w;
	struct tcp_sock *tp;

	if (!sk->sk_bpf_storage)
		return 0;
	tp = nw_tcp_sock(sk);
	w = tp ? nw_storage(tp, 0) : NULL;
	if (!w)
		return 0;
	begin(w, NW_ROLE_SERVER, bpf_ktime_get_ns());
	w->state = TCP_SYN_RECV;
	return 0;
}

/*
 * change: oldstate << 8 | newstate. What is parked and what is told now go the same way: the
 * verifier looks at each emit_conn anew, which is most of the time that loading takes.
 */
static __noinline int changed(struct tcp_sock *tp, int change)
{
	struct nw_socket uncached = {}, *w = nw_storage(tp, 0);
	int oldstate = change >> 8, newstate = change & 0xff;
	__u32 flags;

	if (newstate == TCP_CLOSE) {
		if (!w && !nw_possible(tp))
			return 0;
		w = w ?: &uncached;
		w->state = newstate;
		/* tcp_abort (`ss -K`) holds the lock of somebody else's socket. */
		if (w->owner != NW_OWNER_USED_SOCKET && nw_sk(tp)->sk_err != ECONNABORTED)
			owner_from_current(tp, w);
		unpark(tp, w);
		if (w->known)
			w->known = nw_forget_known(tp);
		return emit_end(tp, w, oldstate);
	}
	w = nw_storage_if_possible(tp, w, &uncached);
	if (!w)
		return 0;
	w->state = newstate;
	if (newstate == TCP_ESTABLISHED) {
		unpark(tp, w); /* a client's OPEN: its port is chosen */
		flags = established(tp, w, oldstate);
	} else {
		flags = opened(tp, w, newstate);
	}
	if (flags)
		unpark(tp, w);
	remember(tp, w);
	return 0;
}

static __always_inline int state(struct sock *sk, int oldstate, int newstate)
{
	struct tcp_sock *tp;

	switch (newstate) {
	case TCP_SYN_RECV:
		return oldstate == TCP_LISTEN ? cloned(sk) : 0;
	case TCP_FIN_WAIT1:
	case TCP_LAST_ACK:
		return used(sk);
	case TCP_LISTEN:
	case TCP_SYN_SENT:
	case TCP_ESTABLISHED:
	case TCP_CLOSE:
		tp = nw_tcp_sock(sk);
		if (!tp || (newstate == TCP_CLOSE && nw_never_was(tp, oldstate)))
			return 0;
		return changed(tp, oldstate << 8 | newstate);
	}
	/* FIN_WAIT2, CLOSE_WAIT, CLOSING: only softirqs lead there, and nothing is told. */
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, NW_PAIRS);
	__type(key, __u32);
	__type(value, __u32);
} bodies SEC(".maps"); /* by enum nw_pair; filled when all is loaded */

/*
 * What both programs of the pair do: called by them, so that it is verified once. The twin's
 * call runs it inside of a run by the first program. Since Linux 6.13 a program has one stack
 * per CPU (PRIV_STACK_ADAPTIVE in the verifier), which the inner run would overwrite, unless
 * there is a tail call in the program. So here is one, to nowhere.
 */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(nw_state_body, struct sock *sk, int oldstate, int newstate)
{
	struct nw_run *run = nw_run(NW_PAIR_STATE);

	if (!run) {
		bpf_tail_call(ctx, &bodies, NW_PAIRS);
		return 0;
	}
	state(sk, oldstate, newstate);
	if (READ(run->busy) == (__u64)sk)
		WRITE(run->busy, 0);
	return 0;
}

/* Of the others nothing is told; a process that was missed there is found later. */
static __always_inline bool must_be_seen(int newstate)
{
	return newstate == TCP_SYN_RECV || newstate == TCP_LISTEN || newstate == TCP_SYN_SENT ||
	       newstate == TCP_ESTABLISHED || newstate == TCP_CLOSE;
}

/* Most changes of most sockets end here, before the body is called. */
static __always_inline bool matters(struct sock *sk, int newstate)
{
	switch (newstate) {
	case TCP_SYN_RECV:
	case TCP_FIN_WAIT1:
	case TCP_LAST_ACK:
		return sk->sk_bpf_storage;
	}
	return must_be_seen(newstate);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(nw_state, struct sock *sk, int oldstate, int newstate)
{
	struct nw_run *run = matters(sk, newstate) ? nw_run(NW_PAIR_STATE) : NULL;

	if (!run)
		return 0;
	WRITE(run->last, (__u64)sk);
	WRITE(run->busy, (__u64)sk);
	bpf_tail_call(ctx, &bodies, NW_PAIR_STATE);
	WRITE(run->busy, 0); /* cannot be */
	return 0;
}

/*
 * Did the first program handle this change of a socket without storage? It did if it began with
 * this one last. If not, it was skipped, or another change came in between; then nobody could
 * want this socket, or it had storage now. Only CLOSE leaves none, and may not be told twice.
 * (Not busy is not enough of the others: the kernel skips a call also while the first program is
 * about to begin or has ended its work, where another task may come in between since Linux 7.)
 */
static __always_inline bool handled(struct sock *sk, int newstate, const struct nw_run *run)
{
	return READ(run->last) == (__u64)sk || (newstate == TCP_CLOSE && !READ(run->busy));
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(nw_state_twin, struct sock *sk, int oldstate, int newstate)
{
	struct nw_run *run = must_be_seen(newstate) ? nw_run(NW_PAIR_STATE) : NULL;
	struct nw_socket *w = NULL;
	struct tcp_sock *tp;

	if (!run)
		return 0;
	tp = sk->sk_bpf_storage ? nw_tcp_sock(sk) : NULL;
	if (tp)
		w = nw_storage(tp, 0);
	if (w ? w->state == newstate : handled(sk, newstate, run))
		return 0;
	if (w || READ(run->busy)) /* else it may not have been skipped */
		__sync_fetch_and_add(&shared.twins, 1);
	bpf_tail_call(ctx, &bodies, NW_PAIR_STATE);
	return 0;
}

SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(nw_receive, struct sock *sk)
{
	return used(sk);
}
