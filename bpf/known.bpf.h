/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whose segment is it, where the kernel does not say? It drops one with a bad checksum before it
 * looks for the socket, and before Linux 6.12 it does not name the socket of any drop. So, while
 * category error is wanted, watched sockets are found by their ends in a hash. What a filter may
 * name of a socket and what can change is either here, kept by those who change it, or read from
 * the socket itself.
 */
#ifndef NETWATCH_KNOWN_BPF_H
#define NETWATCH_KNOWN_BPF_H

#include "netwatch.bpf.h"

#define KNOWN_MAX   65536 /* sockets; those beyond are found where the kernel names them */
#define KNOWN_TRIES 2	  /* an owner changes at most once from holding to using */

struct nw_known {
	__u64 sock; /* its address; it is still this socket if it has this cookie */
	__u64 cookie;
	/* copies, as in struct nw_socket */
	__u32 pid;
	__u8 owner;
	__u8 role;
	__u8 reserved[2];
	char comm[NW_COMM_SIZE];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, KNOWN_MAX);
	__type(key, struct nw_subject);
	__type(value, struct nw_known);
} known SEC(".maps");

static __always_inline void nw_copy_owner(struct nw_known *k, const struct nw_socket *w)
{
	k->owner = w->owner;
	k->pid = w->pid;
	k->role = w->role;
	k->reserved[0] = k->reserved[1] = 0;
	__builtin_memcpy(k->comm, w->comm, sizeof(k->comm));
}

/* A listener's remote end is zero. */
static __always_inline void nw_ends_of(struct tcp_sock *tp, struct nw_subject *s)
{
	struct sock *sk = nw_sk(tp);

	s->family = nw_family(sk);
	nw_addresses(sk, s->family, s->local, s->remote);
	s->lport = nw_lport(tp);
	s->rport = bpf_ntohs(sk->__sk_common.skc_dport);
	s->netns = sk->__sk_common.skc_net.net->ns.inum;
	if (sk->__sk_common.skc_state == TCP_LISTEN) {
		__builtin_memset(s->remote, 0, sizeof(s->remote));
		s->rport = 0;
	}
}

/*
 * Called when the ends of a socket are chosen and when its owner was found. Two may do so at the
 * same time: the copy that is put here last has the generation that the socket has. 0, or
 * negative: there are too many, or no memory.
 */
static __noinline __attribute__((unused)) int nw_remember(struct tcp_sock *tp, struct nw_socket *w)
{
	struct nw_subject key;
	struct nw_known value;
	__u32 generation;
	int err = 0;

	nw_ends_of(tp, &key);
	if (!key.lport)
		return 0;
	w->known = 1;
	value.sock = (__u64)nw_sk(tp);
	value.cookie = bpf_get_socket_cookie(nw_sk(tp));
	for (int i = 0; i < KNOWN_TRIES; i++) {
		generation = READ(w->generation);
		nw_copy_owner(&value, w);
		err = bpf_map_update_elem(&known, &key, &value, 0);
		if (err || READ(w->generation) == generation)
			break;
	}
	return err;
}

/*
 * Its end: another socket may have the same ends from now on. Whether it is still known. (A
 * function of its own, since up to Linux 6.1 the stack of all that are called must be 512 bytes.)
 */
static __noinline __attribute__((unused)) bool nw_forget_known(struct tcp_sock *tp)
{
	struct nw_subject key;
	const struct nw_known *k;

	nw_ends_of(tp, &key);
	k = bpf_map_lookup_elem(&known, &key);
	if (!k || k->cookie != bpf_get_socket_cookie(nw_sk(tp)))
		return false;
	return bpf_map_delete_elem(&known, &key) != 0;
}

#endif
