/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps and variables that all objects share by name, what is kept with a socket, and what
 * its own fields say.
 */
#ifndef NETWATCH_STORAGE_BPF_H
#define NETWATCH_STORAGE_BPF_H

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
	__u64 shown; /* slots that were shown it by a walk: what is parked is not for them */
	__u32 pid;
	__u32 generation; /* of the owner: counts up when a filter's answer may change */
	__u32 parked;	  /* see park in conn.bpf.h; 0: nothing waits */
	__u32 handshake_us;
	__u32 session;	   /* of nw_shared, in which the rest was written */
	__u32 owner;	   /* enum nw_owner */
	__u32 retransmits; /* segments sent again, of all causes; see nw_retransmits_known */
	__u32 fast_retransmits;
	__u32 timeout_retransmits;
	__u8 role;  /* enum nw_role */
	__u8 state; /* TCP state of the last change that was handled */
	__u8 known; /* it stands in the map `known`: see known.bpf.h */
	__u8 http;  /* its streams are kept: see http.bpf.c */
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
	__u64 last; /* of the one that it began with last; of state changes only */
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
 * False: a minisocket, of which no more than sock_common may be read. That an argument may be
 * NULL some verifiers do not know, and remove a comparison; what is read is 0 then, no state.
 */
static __always_inline bool nw_is_full(struct sock *sk)
{
	__u8 state = sk->__sk_common.skc_state;

	return state && state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV;
}

/*
 * The full TCP socket behind sk, or NULL. bpf_skc_to_tcp_sock alone looks only at the
 * protocol, and raw sockets with IPPROTO_TCP would pass (before Linux 7).
 */
static __always_inline struct tcp_sock *nw_tcp_sock(struct sock *sk)
{
	if (!nw_is_full(sk) || sk->sk_type != SOCK_STREAM || sk->sk_protocol != IPPROTO_TCP)
		return NULL;
	return bpf_skc_to_tcp_sock(sk);
}

/*
 * Of a socket that goes from oldstate to CLOSE: was it a child that the kernel gave up, while
 * nothing failed? Two CPUs had a segment that completes the handshake, and the other one's child
 * became the connection (inet_ehash_nolisten).
 */
static __always_inline bool nw_never_was(struct tcp_sock *tp, int oldstate)
{
	return oldstate == TCP_SYN_RECV && !nw_sk(tp)->sk_socket && !nw_sk(tp)->sk_err &&
	       !tp->fastopen_rsk;
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
		w->shown = 0;
		w->state = 0;
		nw_reset_retransmits(w);
		w->known = 0;
		w->http = 0;
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

static __always_inline __u64 nw_cgroup_id(struct cgroup *cgroup)
{
	return cgroup && cgroup->kn ? cgroup->kn->id : 0;
}

static __always_inline bool nw_owner_known(const struct nw_socket *w)
{
	return w->owner != NW_OWNER_UNKNOWN && w->owner != NW_OWNER_CHANGING;
}

#endif
