/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one mechanism of the kernel side: which slots want an event of this socket, and a
 * record for them or an exact count of the loss. Every object includes it; its maps are
 * shared by name.
 */
#ifndef NETWATCH_BPF_H
#define NETWATCH_BPF_H

#include "kernel.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#include "record.h"
#include "classify.h"

#define READ(x)	    (*(volatile typeof(x) *)&(x))
#define WRITE(x, v) (*(volatile typeof(x) *)&(x) = (v))

/* A socket's storage. mask is valid only while check says so: see nw_mask. */
struct nw_socket {
	__u64 mask;
	__u64 check;
	__u64 born_ns;	      /* SYN or LISTEN; 0: before we looked */
	__u64 established_ns; /* a server's parked ESTABLISHED */
	__u64 told_ns;	      /* its first event was told, or began to wait */
	__u32 pid;
	__u32 generation; /* of the owner: counts up when a filter's answer may change */
	__u32 parked;	  /* see park in socket.bpf.c; 0: nothing waits */
	__u32 handshake_us;
	__u32 session;	   /* of nw_shared, in which the rest was written */
	__u32 owner;	   /* enum nw_owner */
	__u32 retransmits; /* segments sent again, of all causes; see nw_retransmits_known */
	__u32 fast_retransmits;
	__u32 timeout_retransmits;
	__u8 role;  /* enum nw_role */
	__u8 state; /* TCP state of the last change that was handled */
	__u8 known; /* it stands in the map `known`: see known.bpf.h */
	__u8 reserved[1];
	char comm[NW_COMM_SIZE];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct nw_socket);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2 * NW_PORTS);
	__type(key, __u32);
	__type(value, struct nw_ends);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct nw_prefix);
	__type(value, struct nw_ends);
} prefixes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct nw_value);
	__type(value, struct nw_words);
} values SEC(".maps");

/* Of a pair of programs, on a CPU. */
struct nw_run {
	__u64 busy; /* address of the socket that the first program is at, or 0 */
};

/*
 * While a program runs on a CPU, the kernel skips every further call of it there, without a
 * word but a counter (__bpf_trace_run): that of a softirq which interrupted it, and since
 * tracepoints can be preempted (Linux 7) that of another task. So a program that must not miss
 * an event has a twin on the same hook, which works only while the first one is busy. A softirq
 * is not interrupted by another; what a third one would have seen the collector counts.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NW_PAIRS);
	__type(key, __u32);
	__type(value, struct nw_run);
} runs SEC(".maps"); /* by enum nw_pair */

struct nw_shared shared SEC(".data.shared");

/*
 * Which connection, where the socket does not say it: of a segment that a listener handles, or
 * that no socket does.
 */
struct nw_subject {
	__u32 local[4]; /* both as in struct nw_connection */
	__u32 remote[4];
	__u16 lport; /* host order */
	__u16 rport;
	__u32 netns;
	__u32 family; /* 4 or 6 */
};

/* What is known of whose it is. */
#define NW_HAS_SOCKET 1 /* uid, cgroup */
#define NW_HAS_OWNER  2 /* pid, comm */
#define NW_ANY_OWNER  4 /* it may get any owner and role, and a port if it has none */

/* What slots ask about a connection, beyond its subject. */
struct nw_whose {
	__u64 cgroup; /* address of its struct cgroup */
	__u32 uid;
	__u32 pid;
	char comm[NW_COMM_SIZE];
	__u8 side; /* of the tables */
	__u8 role;
	__u8 has; /* NW_HAS_... */
	__u8 reserved[5];
};

/* Of this CPU. Never NULL, which the verifier does not know. */
static __always_inline struct nw_run *nw_run(__u32 pair)
{
	return bpf_map_lookup_elem(&runs, &pair);
}

/*
 * A program and its twin that are complete each by itself: the first one brackets its work with
 * nw_begin and nw_end, the twin (same name, with _twin) does the same work if nw_missed.
 */
static __always_inline struct nw_run *nw_begin(__u32 pair)
{
	struct nw_run *run = nw_run(pair);

	if (run)
		WRITE(run->busy, 1);
	return run;
}

static __always_inline void nw_end(struct nw_run *run)
{
	WRITE(run->busy, 0);
}

/* True: the first program was skipped at this event, since it is busy on this CPU. */
static __always_inline bool nw_missed(__u32 pair)
{
	struct nw_run *run = nw_run(pair);

	if (!run || !READ(run->busy))
		return false;
	__sync_fetch_and_add(&shared.twins, 1);
	return true;
}

static __always_inline struct sock *nw_sk(struct tcp_sock *tp)
{
	return &tp->inet_conn.icsk_inet.sk;
}

/*
 * The full TCP socket behind sk, or NULL. bpf_skc_to_tcp_sock alone looks only at the
 * protocol, and raw sockets with IPPROTO_TCP would pass (before Linux 7).
 */
static __always_inline struct tcp_sock *nw_tcp_sock(struct sock *sk)
{
	if (sk->sk_type != SOCK_STREAM || sk->sk_protocol != IPPROTO_TCP)
		return NULL;
	return bpf_skc_to_tcp_sock(sk);
}

/* Of a new life. */
static __always_inline void nw_reset_retransmits(struct nw_socket *w)
{
	w->retransmits = 0;
	w->fast_retransmits = 0;
	w->timeout_retransmits = 0;
}

/*
 * Programs of category retransmit count; they are not always attached, and a socket may be older
 * than its storage. What they count by cause is known exactly if no retransmission is missing,
 * by the kernel's own count.
 */
static __always_inline bool nw_retransmits_known(const struct nw_socket *w, struct tcp_sock *tp)
{
	return w->retransmits == tp->total_retrans;
}

/*
 * The socket's storage. While no program was attached its owner may have changed, or it was
 * cloned from a listener unnoticed: what an older session stored is forgotten.
 */
static __always_inline struct nw_socket *nw_storage(struct tcp_sock *tp, __u64 flags)
{
	struct nw_socket *w;

	if (!flags && !nw_sk(tp)->sk_bpf_storage) /* most sockets; spares the call */
		return NULL;
	w = bpf_sk_storage_get(&sockets, tp, 0, flags);
	if (!w && flags)
		__sync_fetch_and_add(&shared.no_storage, 1);
	if (w && w->session != shared.session) {
		w->owner = NW_OWNER_UNKNOWN;
		w->role = NW_ROLE_UNKNOWN;
		w->born_ns = 0;
		w->parked = 0;
		w->state = 0;
		nw_reset_retransmits(w);
		w->known = 0;
		w->session = shared.session;
		WRITE(w->generation, w->generation + 1);
	}
	return w;
}

/*
 * Going to CLOSE the kernel has put back the port of a socket that did not bind it, and only
 * inet_sport still has it. In CLOSE that is the port of an earlier connection: one that
 * connects again has none yet.
 */
static __always_inline __u16 nw_lport(struct tcp_sock *tp)
{
	struct sock *sk = nw_sk(tp);
	__u16 port = sk->__sk_common.skc_num;

	if (port || sk->__sk_common.skc_state == TCP_CLOSE)
		return port;
	return bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
}

static __always_inline bool nw_is_mapped(const struct in6_addr *a)
{
	return !a->in6_u.u6_addr32[0] && !a->in6_u.u6_addr32[1] &&
	       a->in6_u.u6_addr32[2] == bpf_htonl(0xffff);
}

/* 4 or 6; v4-mapped is 4. A listener's addresses may be any: it is what its socket is. */
static __always_inline __u8 nw_family(struct sock *sk)
{
	return sk->__sk_common.skc_family != AF_INET6 ||
			       nw_is_mapped(&sk->__sk_common.skc_v6_rcv_saddr) ||
			       nw_is_mapped(&sk->__sk_common.skc_v6_daddr)
		       ? 4
		       : 6;
}

/* Both addresses as in nw_connection. */
static __always_inline void nw_addresses(struct sock *sk, __u8 family, __u32 local[4],
					 __u32 remote[4])
{
	if (family == 4) {
		local[0] = sk->__sk_common.skc_rcv_saddr;
		remote[0] = sk->__sk_common.skc_daddr;
		local[1] = local[2] = local[3] = 0;
		remote[1] = remote[2] = remote[3] = 0;
		return;
	}
	for (int i = 0; i < 4; i++) {
		local[i] = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[i];
		remote[i] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[i];
	}
}

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

static __always_inline __u64 nw_cgroup_id(struct cgroup *cgroup)
{
	return cgroup && cgroup->kn ? cgroup->kn->id : 0;
}

static __always_inline bool nw_owner_known(const struct nw_socket *w)
{
	return w->owner != NW_OWNER_UNKNOWN && w->owner != NW_OWNER_CHANGING;
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

/*
 * An event for these receivers found the ring full. No static function, so that the verifier
 * looks at it once, not at every call.
 */
__noinline int nw_count_loss(__u64 receivers)
{
	__u32 stripe = bpf_get_smp_processor_id() % NW_LOSS_STRIPES;

	for (int bit = 0; bit < NW_SLOTS; bit++) {
		if (receivers & (1ULL << bit))
			__sync_fetch_and_add(&shared.lost[stripe][bit], 1);
	}
	__sync_fetch_and_add(&shared.lost_any, 1);
	return 0;
}

/* Space for a record of constant size, or NULL with the loss counted. */
#define nw_reserve(size, receivers)                                     \
	({                                                              \
		void *__record = bpf_ringbuf_reserve(&ring, (size), 0); \
		if (!__record)                                          \
			nw_count_loss(receivers);                       \
		__record;                                               \
	})

/*
 * The same for chatty categories, which leave the last quarter of the ring to the others: a
 * flood of packets never pushes out a connection or an error.
 */
#define nw_reserve_chatty(size, receivers)                                         \
	({                                                                         \
		void *__record = NULL;                                             \
		if (bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) <= shared.crowded) \
			__record = bpf_ringbuf_reserve(&ring, (size), 0);          \
		if (!__record)                                                     \
			nw_count_loss(receivers);                                  \
		__record;                                                          \
	})

/* A wake-up is dear: force one only if the collector sleeps, else it comes by itself. */
static __always_inline void nw_submit(void *record)
{
	__u64 flags = BPF_RB_NO_WAKEUP;

	if (READ(shared.armed)) {
		WRITE(shared.armed, 0);
		flags = BPF_RB_FORCE_WAKEUP;
	}
	bpf_ringbuf_submit(record, flags);
}

/* All but the ends. cookie: of tracing programs bpf_get_socket_cookie(sk), of cgroup_skb ones ctx.
 */
static __always_inline void nw_fill_socket(struct nw_connection *c, struct sock *sk,
					   struct nw_socket *w, __u64 cookie, __u32 uid, __u8 state)
{
	c->cookie = cookie;
	c->sock = (__u64)sk;
	c->cgroup = nw_cgroup_id(sk->sk_cgrp_data.cgroup);
	c->netns = sk->__sk_common.skc_net.net->ns.inum;
	c->uid = uid;
	c->owner = nw_owner_known(w) ? w->owner : NW_OWNER_UNKNOWN;
	c->pid = w->pid;
	__builtin_memcpy(c->comm, w->comm, sizeof(c->comm));
	c->role = w->role;
	c->state = state;
	c->category = 0;
}

/* See nw_fill_socket. */
static __always_inline void nw_fill_connection(struct nw_connection *c, struct tcp_sock *tp,
					       struct nw_socket *w, __u64 cookie, __u32 uid,
					       __u8 state)
{
	struct sock *sk = nw_sk(tp);
	__u32 local[4], remote[4];

	nw_fill_socket(c, sk, w, cookie, uid, state);
	c->family = nw_family(sk);
	nw_addresses(sk, c->family, local, remote);
	__builtin_memcpy(c->laddr, local, sizeof(c->laddr));
	__builtin_memcpy(c->raddr, remote, sizeof(c->raddr));
	c->lport = nw_lport(tp);
	c->rport = bpf_ntohs(sk->__sk_common.skc_dport);
}

/* The ends that a segment names, instead of the socket's. */
static __always_inline void nw_fill_ends(struct nw_connection *c, const struct nw_subject *s)
{
	__builtin_memcpy(c->laddr, s->local, sizeof(c->laddr));
	__builtin_memcpy(c->raddr, s->remote, sizeof(c->raddr));
	c->lport = s->lport;
	c->rport = s->rport;
	c->family = s->family;
}

static __always_inline void nw_fill(struct nw_record *r, struct tcp_sock *tp, struct nw_socket *w,
				    __u64 cookie, __u64 receivers, __u32 uid, __u64 time_ns,
				    __u8 state, __u32 category)
{
	r->receivers = receivers;
	r->time_ns = time_ns;
	nw_fill_connection(&r->connection, tp, w, cookie, uid, state);
	r->connection.category = category;
}

/* Of a segment that no socket handles. */
static __always_inline void nw_fill_subject(struct nw_record *r, const struct nw_subject *s,
					    __u64 receivers, __u64 time_ns, __u32 category)
{
	__builtin_memset(r, 0, sizeof(*r));
	r->receivers = receivers;
	r->time_ns = time_ns;
	nw_fill_ends(&r->connection, s);
	r->connection.netns = s->netns;
	r->connection.category = category;
}

#endif
