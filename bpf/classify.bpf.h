/* SPDX-License-Identifier: GPL-2.0-only */
/* Which slots want an event of this socket, or of a segment that no socket stands for. */
#ifndef NETWATCH_CLASSIFY_BPF_H
#define NETWATCH_CLASSIFY_BPF_H

#include "storage.bpf.h"

/* A local port of 0 is not chosen yet: it names no slot's port, or, if open, any slot's. */
static __always_inline __u64 nw_classify_ports(struct nw_side *t, __u32 side,
					       const struct nw_subject *s, bool open)
{
	__u32 l = side * NW_PORTS + s->lport, r = side * NW_PORTS + s->rport;
	struct nw_ends *le = bpf_map_lookup_elem(&ports, &l);
	struct nw_ends *re = bpf_map_lookup_elem(&ports, &r);
	__u64 any = open && !s->lport ? ~0ULL : 0;

	if (!le || !re)
		return 0; /* cannot be */
	return (le->local | t->ports.local | any) & (re->remote | t->ports.remote) &
	       (le->either | re->either | t->ports.either | any);
}

/* Of nw_classify's look-ups, one at a time: the stack is small. */
union nw_key {
	struct nw_prefix prefix;
	struct nw_value value;
};

static __always_inline __u64 nw_classify_prefixes(struct nw_side *t, __u32 side,
						  const struct nw_subject *s, union nw_key *k)
{
	struct nw_prefix *key = &k->prefix;
	struct nw_ends *le, *re;

	*key = (struct nw_prefix){.side = side, .family = s->family};
	key->length = 32 + (s->family == 4 ? 32 : 128);
	__builtin_memcpy(key->address, s->local, sizeof(key->address));
	le = bpf_map_lookup_elem(&prefixes, key) ?: &t->prefixes;
	__builtin_memcpy(key->address, s->remote, sizeof(key->address));
	re = bpf_map_lookup_elem(&prefixes, key) ?: &t->prefixes;
	return le->local & re->remote & (le->either | re->either);
}

static __always_inline __u64 nw_classify_value(struct nw_side *t, struct nw_value *key)
{
	struct nw_words *words = bpf_map_lookup_elem(&values, key);

	return words ? words->any : t->other[key->dimension];
}

static __always_inline __u64 nw_classify_number(struct nw_side *t, __u32 side, __u8 dimension,
						__u32 number, union nw_key *k)
{
	k->value = (struct nw_value){.side = side, .dimension = dimension};
	__builtin_memcpy(k->value.value, &number, sizeof(number));
	return nw_classify_value(t, &k->value);
}

static __always_inline __u64 nw_classify_owner(struct nw_side *t, __u32 side,
					       const struct nw_whose *w, union nw_key *k)
{
	__u64 mask = ~0ULL;

	if (!(w->has & NW_HAS_OWNER))
		return t->unknown[NW_PID] & t->unknown[NW_COMM];
	if (t->used & (1ULL << NW_PID))
		mask &= nw_classify_number(t, side, NW_PID, w->pid, k);
	if (t->used & (1ULL << NW_COMM)) {
		k->value = (struct nw_value){.side = side, .dimension = NW_COMM};
		__builtin_memcpy(k->value.value, w->comm, sizeof(k->value.value));
		mask &= nw_classify_value(t, &k->value);
	}
	return mask;
}

/* A filter by cgroup is also about descendants: look at each ancestor. */
static __always_inline __u64 nw_classify_cgroup(struct nw_side *t, __u32 side,
						struct cgroup *cgroup, union nw_key *k)
{
	__u64 any = t->other[NW_CGROUP], none = 0;

	k->value = (struct nw_value){.side = side, .dimension = NW_CGROUP};
	for (int i = 0; i < NW_ANCESTORS && cgroup; i++) {
		__u64 id = BPF_CORE_READ(cgroup, kn, id);
		struct nw_words *words;

		__builtin_memcpy(k->value.value, &id, sizeof(id));
		words = bpf_map_lookup_elem(&values, &k->value);
		if (words) {
			any |= words->any;
			none |= words->none;
		}
		cgroup = BPF_CORE_READ(cgroup, self.parent, cgroup);
	}
	return any & ~none;
}

/*
 * The slots that accept this; what is not known only those accept that do not ask. No static
 * function, so that the verifier looks at it once, not at every call.
 */
__noinline __u64 nw_classify(struct nw_subject *s, struct nw_whose *w)
{
	__u64 mask = ~0ULL, used;
	struct nw_side *t;
	union nw_key k;
	__u32 side;

	if (!s || !w)
		return 0; /* cannot be */
	side = w->side & 1;
	t = &shared.side[side];
	used = t->used;
	/* What refuses most comes first. */
	if (used & NW_USED_PORTS)
		mask = nw_classify_ports(t, side, s, w->has & NW_ANY_OWNER);
	mask &= t->family[s->family == 6];
	if (!mask)
		return 0;
	if (!(w->has & NW_HAS_SOCKET))
		mask &= t->unknown[NW_UID] & t->unknown[NW_CGROUP];
	else if (used & (1ULL << NW_UID))
		mask &= nw_classify_number(t, side, NW_UID, w->uid, &k);
	if (mask && used & (1ULL << NW_NETNS))
		mask &= nw_classify_number(t, side, NW_NETNS, s->netns, &k);
	if (mask && used & NW_USED_PREFIXES)
		mask &= nw_classify_prefixes(t, side, s, &k);
	if (mask && used & (1ULL << NW_CGROUP) && w->has & NW_HAS_SOCKET)
		mask &= nw_classify_cgroup(t, side, (void *)w->cgroup, &k);
	if (!mask || w->has & NW_ANY_OWNER)
		return mask;
	return mask & t->role[w->role < NW_ROLES ? w->role : 0] & nw_classify_owner(t, side, w, &k);
}

static __always_inline void nw_ends_of_socket(struct nw_subject *s, struct tcp_sock *tp,
					      __u16 lport)
{
	struct sock *sk = nw_sk(tp);

	s->family = nw_family(sk);
	nw_addresses(sk, s->family, s->local, s->remote);
	s->lport = lport;
	s->rport = bpf_ntohs(sk->__sk_common.skc_dport);
	s->netns = sk->__sk_common.skc_net.net->ns.inum;
}

/* Of a socket with w about its owner; w NULL: it may get any. */
static __always_inline void nw_fill_whose(struct nw_whose *o, struct cgroup *cgroup,
					  const struct nw_socket *w, __u32 uid, __u32 side)
{
	o->cgroup = (__u64)cgroup;
	o->uid = uid;
	o->side = side;
	o->has = NW_HAS_SOCKET;
	__builtin_memset(o->reserved, 0, sizeof(o->reserved));
	if (!w) {
		o->has |= NW_ANY_OWNER;
		o->role = NW_ROLE_UNKNOWN;
		o->pid = 0;
		__builtin_memset(o->comm, 0, sizeof(o->comm));
		return;
	}
	o->has |= nw_owner_known(w) ? NW_HAS_OWNER : 0;
	o->role = w->role;
	o->pid = w->pid;
	__builtin_memcpy(o->comm, w->comm, sizeof(o->comm));
}

/* NW_LPORT_SIDE: a local port and the side of the tables, in one argument. */
#define NW_LPORT_SIDE(lport, side) ((__u32)(lport) << 1 | (side))

static __noinline __u64 nw_classify_socket(struct tcp_sock *tp, struct nw_socket *w, __u32 uid,
					   __u32 lport_side)
{
	struct nw_subject s;
	struct nw_whose o;

	nw_ends_of_socket(&s, tp, lport_side >> 1);
	nw_fill_whose(&o, nw_sk(tp)->sk_cgrp_data.cgroup, w, uid, lport_side & 1);
	return nw_classify(&s, &o);
}

/*
 * A listener handles segments of peers whom it does not know: what its owner's slots want of
 * them, they get only if that owner is kept. Slots that do not ask for it do without.
 */
static __always_inline __u64 nw_classify_listener(struct tcp_sock *tp, __u32 side)
{
	struct nw_side *t = &shared.side[side];
	__u64 mask =
		READ(shared.want[NW_WANT_PACKET]) & ~(t->unknown[NW_PID] & t->unknown[NW_COMM]);
	struct sock *sk = nw_sk(tp);
	__u32 port = side * NW_PORTS + sk->__sk_common.skc_num;
	struct nw_ends *ends;
	union nw_key k;

	if (!mask || sk->__sk_common.skc_state != TCP_LISTEN)
		return 0;
	ends = bpf_map_lookup_elem(&ports, &port);
	if (ends && sk->__sk_common.skc_num)
		mask &= ends->local | t->ports.local;
	if (t->used & (1ULL << NW_NETNS))
		mask &= nw_classify_number(t, side, NW_NETNS, sk->__sk_common.skc_net.net->ns.inum,
					   &k);
	if (t->used & (1ULL << NW_UID))
		mask &= nw_classify_number(t, side, NW_UID, sk->sk_uid.val, &k);
	return mask & t->role[NW_ROLE_SERVER];
}

/*
 * Could a slot want this socket, whoever owns it and whatever local port it gets? If not,
 * nothing need be kept about it: most sockets of a host never get storage.
 */
static __noinline int nw_possible(struct tcp_sock *tp)
{
	__u32 side = READ(shared.key) & 1;

	return nw_classify_socket(tp, NULL, nw_sk(tp)->sk_uid.val,
				  NW_LPORT_SIDE(nw_lport(tp), side)) ||
	       nw_classify_listener(tp, side);
}

/*
 * Storage for a socket (w: what it has) that some slot could want; NULL: none could. Where the
 * kernel refuses storage, an event is made without, and nothing is remembered.
 */
static __always_inline struct nw_socket *
nw_storage_if_possible(struct tcp_sock *tp, struct nw_socket *w, struct nw_socket *uncached)
{
	if (w)
		return w;
	if (!nw_possible(tp))
		return NULL;
	return nw_storage(tp, BPF_SK_STORAGE_GET_F_CREATE) ?: uncached;
}

/*
 * The slots that accept this subject. Its socket, owned by uid, is tp, with w about its owner;
 * NULL: there is none, and only slots accept it that do not ask whose it is.
 */
static __noinline __u64 nw_classify_subject(struct nw_subject *s, struct tcp_sock *tp,
					    struct nw_socket *w, __u32 uid)
{
	__u32 side = READ(shared.key) & 1;
	struct nw_whose o = {.side = side};

	if (tp && w)
		nw_fill_whose(&o, nw_sk(tp)->sk_cgrp_data.cgroup, w, uid, side);
	return nw_classify(s, &o);
}

/* Of the mask of a socket and what it was made of: mask ^ check. */
static __always_inline __u64 nw_expected(__u32 uid, __u32 generation, __u64 key, __u16 lport)
{
	return key ^ 0x9e3779b97f4a7c15ULL * ((__u64)uid << 32 | generation) ^
	       0xc2b2ae3d27d4eb4fULL * lport;
}

/*
 * The socket's mask, from its storage if nothing changed that it depends on: the tables
 * (key), sk_uid, the owner (generation), the local port. A mask torn by another CPU fails
 * the comparison; uid, generation and key are read once, before what they stand for. *owner
 * is the uid that the mask is for: no other may stand in the record.
 */
static __always_inline __u64 nw_mask(struct tcp_sock *tp, struct nw_socket *w, __u32 *owner)
{
	__u32 uid = nw_sk(tp)->sk_uid.val;
	__u32 generation = READ(w->generation);
	__u64 key = READ(shared.key);
	__u16 lport = nw_lport(tp);
	__u64 expected = nw_expected(uid, generation, key, lport);
	__u64 mask = READ(w->mask);

	*owner = uid;
	if ((mask ^ READ(w->check)) == expected)
		return mask;
	mask = nw_classify_socket(tp, w, uid, NW_LPORT_SIDE(lport, key & 1));
	WRITE(w->mask, mask);
	WRITE(w->check, mask ^ expected);
	return mask;
}

/*
 * Who gets an event that slots ask for by this word (enum nw_want); 0: nobody, and nothing
 * need be done. The word is read before the key: see "Life of a slot" in doc/implement.md.
 */
static __always_inline __u64 nw_receivers(struct tcp_sock *tp, struct nw_socket *w, __u32 want,
					  __u32 *owner)
{
	__u64 receivers = READ(shared.want[want]);

	return receivers ? receivers & nw_mask(tp, w, owner) : 0;
}

/*
 * The same of a subject that is what its socket says, or said: the mask of the socket serves, if
 * it is still right. Asks only for what struct sock has, of a pointer that may be no tcp_sock to
 * the verifier.
 */
static __always_inline __u64 nw_ends_receivers(struct nw_subject *s, struct sock *sk,
					       struct nw_socket *w, __u32 want, __u32 *owner)
{
	__u64 mask, key, receivers = READ(shared.want[want]);
	__u32 generation;

	*owner = sk->sk_uid.val;
	if (!receivers)
		return 0;
	generation = READ(w->generation);
	key = READ(shared.key);
	mask = READ(w->mask);
	if ((mask ^ READ(w->check)) != nw_expected(*owner, generation, key, s->lport))
		mask = nw_classify_subject(s, (struct tcp_sock *)sk, w, *owner);
	return receivers & mask;
}

/* The same of a subject: see nw_classify_subject. */
static __always_inline __u64 nw_subject_receivers(struct nw_subject *s, struct tcp_sock *tp,
						  struct nw_socket *w, __u32 want, __u32 *owner)
{
	__u64 receivers = READ(shared.want[want]);

	*owner = tp ? nw_sk(tp)->sk_uid.val : 0;
	return receivers ? receivers & nw_classify_subject(s, tp, w, *owner) : 0;
}

#endif
