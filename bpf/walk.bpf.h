/* SPDX-License-Identifier: GPL-2.0-only */
/* Walks: iterators over the sockets that exist, and over what is kept of them. */
#ifndef NETWATCH_WALK_BPF_H
#define NETWATCH_WALK_BPF_H

#include "owner.bpf.h"
#include "tcpinfo.bpf.h"

/*
 * What waits to be told, those get as an event for whom it is told. Those who begin with this walk
 * do not: they are shown it as what exists, unless it began to wait since they began. Whoever tells
 * it at the same time takes `shown` first: then it was for them, or they are found to be taken.
 * An enum nw_row_parked.
 */
static __noinline __u32 waits(struct tcp_sock *tp, struct nw_socket *w)
{
	__u32 parked = READ(w->parked), uid;
	__u64 bits = READ(shared.beginning);

	if (!parked)
		return NW_ROW_TOLD;
	if (parked & PARKED_AT_ONCE || !bits || READ(w->told_ns) >= shared.beginning_ns)
		return NW_ROW_WAITS;
	bits &= nw_receivers(tp, w, NW_WANT_CONN, &uid);
	if (!bits)
		return NW_ROW_WAITS;
	__sync_fetch_and_or(&w->shown, bits);
	if (READ(w->parked) || !(__sync_fetch_and_and(&w->shown, ~bits) & bits))
		return NW_ROW_SHOWN;
	return NW_ROW_TOLD;
}

static __noinline int emit_socket(struct bpf_iter_meta *meta, struct tcp_sock *tp,
				  struct nw_socket *w, __u32 parked)
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
	row.parked = parked;
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
	emit_socket(meta, tp, w, waits(tp, w));
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

#endif
