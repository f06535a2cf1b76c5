/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The filter tables: written by the collector, read by every program. A slot is one
 * distinct filter; a mask or word has one bit per slot. A socket's mask is the AND over
 * all dimensions of the slots that accept its value (bit-vector classification, Lakshman
 * and Stiliadis, SIGCOMM 1998).
 *
 * All tables have two sides. Programs read the side in the lowest bit of nw_shared.key;
 * the collector writes the other one and publishes it by one store of the key.
 */
#ifndef NETWATCH_CLASSIFY_H
#define NETWATCH_CLASSIFY_H

#define NW_SLOTS	 64
#define NW_LOSS_STRIPES	 16 /* counters are spread over CPUs; a collision is harmless */
#define NW_PARK_SHIFT	 28 /* parked events are counted per 2^28 ns (268 ms) */
#define NW_PARK_COUNTERS 8
#define NW_INTERVALS	 8 /* different intervals of reports at once */

/* A program and its twin: see struct nw_run. */
enum nw_pair {
	NW_PAIR_STATE,
	NW_PAIR_TCPINFO,
	NW_PAIR_RETRANSMIT,
	NW_PAIR_RETRANSMIT_SYNACK,
	NW_PAIR_CONGESTION,
	NW_PAIR_DROP,
	NW_PAIR_RESET_SENT,
	NW_PAIR_RESET_RECEIVED,
	NW_PAIR_PACKET_RESET,
	NW_PAIRS
};

/* What a slot may want: an event's receivers are `socket mask & want word`. */
enum nw_want {
	NW_WANT_CONN,
	NW_WANT_CONN_CLOSE,
	NW_WANT_PACKET,	      /* packets with times too */
	NW_WANT_PACKET_TIMES, /* only besides NW_WANT_PACKET */
	NW_WANT_RETRANSMIT,
	NW_WANT_ERROR,
	NW_WANT_TCPINFO,
	NW_WANT_CONGESTION,
	NW_WANT_HTTP,
	NW_WANTS
};

/* Dimensions whose values are looked up in the map `values`. */
enum nw_dimension { NW_UID, NW_PID, NW_COMM, NW_NETNS, NW_CGROUP, NW_DIMENSIONS };

/* Bits of nw_side.used: what no slot names is not looked up. */
#define NW_USED_PORTS	 (1ULL << NW_DIMENSIONS)
#define NW_USED_PREFIXES (1ULL << (NW_DIMENSIONS + 1))

/* For ports and prefixes: slots that accept this value on one end or on either. */
struct nw_ends {
	__u64 local;
	__u64 remote;
	__u64 either;
};

/* Map `ports`, an array of two sides of 65536. Its words are joined with nw_side.ports. */
#define NW_PORTS 65536

/* Map `prefixes`, a longest-prefix trie whose entries hold the union of shorter ones. */
struct nw_prefix {
	__u32 length; /* 32 + bits of the address */
	__u8 side;
	__u8 family; /* 4 or 6 */
	__u8 reserved[2];
	__u8 address[16];
};

/* Map `values`, a hash: slots that accept this value; of NW_CGROUP also those that refuse it. */
struct nw_value {
	__u8 side;
	__u8 dimension; /* enum nw_dimension */
	__u8 reserved[6];
	__u8 value[16]; /* little words first; a name is padded with zeros */
};

struct nw_words {
	__u64 any;
	__u64 none; /* NW_CGROUP only: slots that refuse it and its descendants */
};

struct nw_side {
	__u64 used;
	__u64 family[2];	      /* IPv4, IPv6 */
	__u64 role[3];		      /* by enum nw_role */
	struct nw_ends ports;	      /* slots that do not name a port there */
	struct nw_ends prefixes;      /* when no prefix of the table covers the address */
	__u64 other[NW_DIMENSIONS];   /* when the value is not in the table */
	__u64 unknown[NW_DIMENSIONS]; /* when the value is not known: pid and comm */
};

/* Slots that get reports (category tcpinfo) at the same interval. */
struct nw_interval {
	__u64 slots;	  /* set and cleared like a want word, and besides it */
	__u32 generation; /* of its use: what was reported to an earlier one does not count */
	__u32 tick;	  /* counts up at each time that reports are due */
};

/* A global variable in a section of its own, mapped by the collector. */
struct nw_shared {
	/* read at every event */
	__u64 key; /* random, lowest bit: side in use */
	__u64 want[NW_WANTS];
	struct nw_side side[2];
	__u32 session;		/* counts up when programs are attached anew */
	__u32 attached;		/* programs are attached: a walk keeps what it finds */
	__u32 times_session;	/* counts up when somebody wants layer times after nobody did */
	__u32 boundaries;	/* of layers, that some program was told of: enum nw_boundary */
	__u32 local_boundaries; /* further ones, but only in this network namespace: */
	__u32 local_netns;	/* inode number; 0: none */
	__u64 crowded; /* bytes in the ring beyond which it takes no records of chatty categories */
	struct nw_interval interval[NW_INTERVALS];
	__u32 due; /* bits of intervals whose reports are being made */
	/* During a walk: slots all of whose subscribers it shows what exists, and since when. */
	__u64 beginning;
	__u64 beginning_ns;

	/* written by both sides */
	__u32 armed __attribute__((aligned(64))); /* the collector sleeps: wake it */
	__u32 reserved;
	__u32 parked[NW_PARK_COUNTERS] __attribute__((aligned(64))); /* by time of parking */
	__u64 lost_any __attribute__((aligned(64)));		     /* sum of all of lost */
	__u64 no_storage; /* times that the kernel gave a socket none */
	__u64 no_place;	  /* times that the map `known` took no socket */
	__u64 twins;	  /* calls that a program's twin answered */
	__u64 lost[NW_LOSS_STRIPES][NW_SLOTS];
};

#endif
