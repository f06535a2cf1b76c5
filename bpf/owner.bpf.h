/* SPDX-License-Identifier: GPL-2.0-only */
/* Who owns a socket: from the process that uses it, else from one that holds it open. */
#ifndef NETWATCH_OWNER_BPF_H
#define NETWATCH_OWNER_BPF_H

#include "conn.bpf.h"
#include "known.bpf.h"

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

#endif
