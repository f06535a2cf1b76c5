// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a socket: who owns it, what became of it (category conn), and walks over
 * those that exist. Attached whenever anything is, since every category needs the owner.
 */
#include "conn.bpf.h"
#include "known.bpf.h"
#include "tcpinfo.bpf.h"

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

/* A walk and a hook may come at the same time: who comes second finds it CHANGING and leaves. */
static __always_inline void set_owner(struct nw_socket *w, struct task_struct *task, __u32 owner)
{
	struct task_struct *leader = task->group_leader;
	__u32 old = READ(w->owner);

	if (old >= owner || __sync_val_compare_and_swap(&w->owner, old, NW_OWNER_CHANGING) != old)
		return;
	w->pid = task->tgid;
	__builtin_memset(w->comm, 0, sizeof(w->comm));
	bpf_core_read_str(w->comm, sizeof(w->comm), &leader->comm);
	WRITE(w->owner, owner);
	WRITE(w->generation, w->generation + 1);
}

/*
 * The caller of this hook is the socket's user exactly if it holds the socket's lock:
 * softirqs do not take it (sk_lock.owned), whoever they interrupted. Kernel threads that
 * do are nobody's process.
 */
static __always_inline void owner_from_current(struct tcp_sock *tp, struct nw_socket *w)
{
	struct task_struct *task;

	if (!nw_sk(tp)->sk_lock.owned)
		return;
	task = bpf_get_current_task_btf();
	if (!(task->flags & PF_KTHREAD))
		set_owner(w, task, NW_OWNER_USED_SOCKET);
}

/* A new life begins in this storage, which a clone or an earlier connection left behind. */
static __always_inline void begin(struct nw_socket *w, __u8 role, __u64 now)
{
	w->owner = NW_OWNER_UNKNOWN;
	w->role = role;
	w->born_ns = now;
	w->told_ns = now;
	w->parked = 0;
	w->handshake_us = 0;
	nw_reset_retransmits(w);
	w->known = 0;
	WRITE(w->generation, w->generation + 1);
}

/* False: it lives no longer than this event, and nothing can wait in it. */
static __always_inline bool is_stored(const struct nw_socket *w)
{
	return w->session != 0;
}

/* For those who learn of a segment and not of its socket. */
static __always_inline void remember(struct tcp_sock *tp, struct nw_socket *w)
{
	if (READ(shared.want[NW_WANT_ERROR]) && is_stored(w) && nw_remember(tp, w))
		__sync_fetch_and_add(&shared.no_place, 1);
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
	WRITE(run->busy, (__u64)sk);
	bpf_tail_call(ctx, &bodies, NW_PAIR_STATE);
	WRITE(run->busy, 0); /* cannot be */
	return 0;
}

/*
 * Did the first program handle this change? Its socket knows; without storage it is enough that
 * the first one is not busy here, unless this task was moved to another CPU in between.
 */
static __always_inline bool handled(struct sock *sk, int newstate, const struct nw_run *run)
{
	struct tcp_sock *tp = sk->sk_bpf_storage ? nw_tcp_sock(sk) : NULL;
	struct nw_socket *w = tp ? nw_storage(tp, 0) : NULL;

	return w ? w->state == newstate : !READ(run->busy);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(nw_state_twin, struct sock *sk, int oldstate, int newstate)
{
	struct nw_run *run = must_be_seen(newstate) ? nw_run(NW_PAIR_STATE) : NULL;

	if (!run || handled(sk, newstate, run))
		return 0;
	__sync_fetch_and_add(&shared.twins, 1);
	bpf_tail_call(ctx, &bodies, NW_PAIR_STATE);
	return 0;
}

SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(nw_receive, struct sock *sk)
{
	return used(sk);
}

static __noinline int emit_socket(struct bpf_iter_meta *meta, struct tcp_sock *tp,
				  struct nw_socket *w)
{
	struct nw_row row = {};
	struct sock *sk = nw_sk(tp);
	struct cgroup *cgroup = sk->sk_cgrp_data.cgroup;
	struct cgroup_subsys_state *parent;

	nw_fill_connection(&row.connection, tp, w, bpf_get_socket_cookie(sk), sk->sk_uid.val,
			   sk->__sk_common.skc_state);
	for (int i = 0; i < NW_ANCESTORS && cgroup; i++) {
		row.ancestors[i] = nw_cgroup_id(cgroup);
		parent = cgroup->self.parent;
		cgroup = parent ? parent->cgroup : NULL;
	}
	row.told_ns = w->told_ns;
	row.parked = w->parked != 0;
	bpf_seq_write(meta->seq, &row, sizeof(row));
	return 0;
}

static __noinline int emit_counters(struct bpf_iter_meta *meta, struct tcp_sock *tp,
				    struct nw_socket *w)
{
	struct nw_counters counters;

	nw_fill_counters(&counters, tp, w, nw_sk(tp)->__sk_common.skc_state, bpf_ktime_get_ns());
	bpf_seq_write(meta->seq, &counters, sizeof(counters));
	return 0;
}

/*
 * A struct nw_full_row goes to the iterator's reader; one socket may have several. In two parts,
 * since a stack has no room for both.
 */
static __always_inline int emit_row(struct bpf_iter_meta *meta, struct tcp_sock *tp,
				    struct nw_socket *w)
{
	emit_socket(meta, tp, w);
	return emit_counters(meta, tp, w);
}

/* Sockets that a process holds open, of all network namespaces. */
SEC("iter/task_file")
int nw_walk_files(struct bpf_iter__task_file *ctx)
{
	struct nw_socket uncached = {}, *w = NULL;
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct tcp_sock *tp;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket || !socket->sk)
		return 0;
	tp = nw_tcp_sock(socket->sk);
	/* Looked at first: what connects or listens from now on tells so itself. */
	if (!tp || nw_sk(tp)->__sk_common.skc_state == TCP_CLOSE)
		return 0;
	if (shared.attached)
		w = nw_storage_if_possible(tp, nw_storage(tp, 0), &uncached);
	if (!w)
		w = &uncached;
	set_owner(w, task, NW_OWNER_HOLDS_FILE);
	if (!w->role && nw_sk(tp)->__sk_common.skc_state == TCP_LISTEN) {
		w->role = NW_ROLE_SERVER;
		WRITE(w->generation, w->generation + 1);
	}
	remember(tp, w);
	return emit_row(ctx->meta, tp, w);
}

/* Sockets that are being watched; tells what is parked for too long. */
SEC("iter/bpf_sk_storage_map")
int nw_walk_storage(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;
	struct nw_socket *w;
	struct tcp_sock *tp;
	__u64 since;

	if (!sk || !ctx->value)
		return 0;
	tp = nw_tcp_sock(sk);
	if (!tp || sk->__sk_common.skc_state == TCP_CLOSE)
		return 0;
	w = nw_storage(tp, 0);
	if (!w)
		return 0;
	since = PARKED_STAGE(w->parked) == NW_CONN_OPEN ? w->born_ns : w->established_ns;
	if (w->parked && (bpf_ktime_get_ns() - since) >> NW_PARK_SHIFT)
		unpark(tp, w);
	remember(tp, w);
	return emit_row(ctx->meta, tp, w);
}

/* A cgroup and those above it: their ids go to the iterator's reader. */
SEC("iter/cgroup")
int nw_walk_cgroups(struct bpf_iter__cgroup *ctx)
{
	struct cgroup *cgroup = ctx->cgroup;
	__u64 id;

	if (!cgroup)
		return 0;
	id = nw_cgroup_id(cgroup);
	bpf_seq_write(ctx->meta->seq, &id, sizeof(id));
	return 0;
}

/* Nobody is subscribed any more: a listener's storage would cost each accept a copy. */
SEC("iter/bpf_sk_storage_map")
int nw_forget(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;

	if (sk && ctx->value)
		bpf_sk_storage_delete(&sockets, sk);
	return 0;
}
