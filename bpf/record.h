/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel side writes and the collector reads: records in the ring, rows of a
 * walk. Fixed-width types and arrays only; every byte is written before submit.
 */
#ifndef NETWATCH_RECORD_H
#define NETWATCH_RECORD_H

#define NW_COMM_SIZE 16 /* TASK_COMM_LEN */
#define NW_ANCESTORS 16 /* levels of cgroups that are looked at; deeper ones are not matched */

enum nw_role { NW_ROLE_UNKNOWN, NW_ROLE_CLIENT, NW_ROLE_SERVER, NW_ROLES };

/* How sure the owner of a socket is; a surer one replaces another. */
enum nw_owner {
	NW_OWNER_UNKNOWN,
	NW_OWNER_HOLDS_FILE,
	NW_OWNER_USED_SOCKET,
	NW_OWNER_CHANGING, /* only in the kernel: pid and comm are being written */
};

/* Which decoder a record belongs to: rows of collector/categories.c by this number. */
enum nw_category { NW_CATEGORY_CONN, NW_CATEGORY_PACKET, NW_CATEGORY_HTTP, NW_CATEGORIES };

/* The values of one socket that a filter can name, and more that identifies it. */
struct nw_connection {
	__u64 cookie;
	__u64 sock;	/* kernel address */
	__u64 cgroup;	/* inode number of the cgroup v2 directory */
	__u32 netns;	/* inode number */
	__u32 uid;	/* sk->sk_uid, in the initial user namespace */
	__u32 pid;	/* thread group; only with owner */
	__u16 lport;	/* host order */
	__u16 rport;	/* host order */
	__u8 laddr[16]; /* network order; IPv4 in the first four bytes, the others zero */
	__u8 raddr[16];
	char comm[NW_COMM_SIZE]; /* of the thread group's leader; only with owner */
	__u8 family;		 /* 4 or 6; v4-mapped is 4 */
	__u8 role;		 /* enum nw_role */
	__u8 owner;		 /* enum nw_owner */
	__u8 state;		 /* TCP_ESTABLISHED ... of the socket, at the event */
	__u32 category;		 /* enum nw_category of the record that it heads; of a row 0 */
};

/*
 * The head of every record. With the ring's own 8 bytes a record should fill cache lines of
 * 64 bytes: they travel between CPUs, and that is most of what a record costs.
 */
struct nw_record {
	__u64 receivers; /* one bit per slot */
	__u64 time_ns;	 /* CLOCK_MONOTONIC */
	struct nw_connection connection;
};

/* Numbers of netwatch.Conn.Stage and netwatch.Conn.Closer. */
enum nw_conn_stage {
	NW_CONN_EXISTING = 1,
	NW_CONN_OPEN,
	NW_CONN_ESTABLISHED,
	NW_CONN_FAILED,
	NW_CONN_CLOSE,
};

enum nw_conn_closer {
	NW_CLOSED_UNKNOWN,
	NW_CLOSED_LOCAL,
	NW_CLOSED_REMOTE,
	NW_CLOSED_RESET_SENT,
	NW_CLOSED_RESET_RECEIVED,
	NW_CLOSED_TIMEOUT,
};

struct nw_conn_record {
	struct nw_record head;
	__u32 stage;	    /* enum nw_conn_stage */
	__u32 handshake_us; /* ESTABLISHED; 0: unknown */
};

/* Stages FAILED and CLOSE. */
struct nw_conn_end_record {
	struct nw_conn_record conn;
	__u64 duration_us; /* 0: unknown */
	__u64 bytes_received;
	__u64 bytes_acked;
	__u32 segs_in;
	__u32 segs_out;
	__u32 total_retransmits;
	__u32 closed_by; /* CLOSE: enum nw_conn_closer */
	__u32 error;	 /* FAILED: positive errno; 0: unknown */
	__u32 reserved[5];
};

/* One socket of a walk. */
struct nw_row {
	struct nw_connection connection;
	__u64 ancestors[NW_ANCESTORS]; /* cgroup and those above it; 0 beyond the root */
	__u64 told_ns; /* its first event was told, or began to wait; 0: before we looked */
	__u32 parked;  /* an event of it waits: OPEN or ESTABLISHED comes soon */
	__u32 reserved;
};

#ifndef __bpf__
_Static_assert(sizeof(struct nw_connection) == 96, "nw_connection");
_Static_assert(sizeof(struct nw_record) == 112, "nw_record");
_Static_assert(sizeof(struct nw_conn_record) == 128 - 8, "nw_conn_record");
_Static_assert(sizeof(struct nw_conn_end_record) == 192 - 8, "nw_conn_end_record");
_Static_assert(sizeof(struct nw_row) == 240, "nw_row");
#endif

#endif
