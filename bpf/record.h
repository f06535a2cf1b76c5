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
enum nw_category {
	NW_CATEGORY_CONN,
	NW_CATEGORY_PACKET,
	NW_CATEGORY_RETRANSMIT,
	NW_CATEGORY_ERROR,
	NW_CATEGORY_TCPINFO,
	NW_CATEGORY_CONGESTION,
	NW_CATEGORY_HTTP,
	NW_CATEGORIES
};

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

/* A connection's counters as the kernel has them; of a listener only what says so. */
struct nw_counters {
	__u64 bytes_acked;
	__u64 bytes_received;
	__u64 duration_us; /* 0: unknown; of a listener too */
	__u32 segs_in;
	__u32 segs_out;
	__u32 total_retransmits;
	__u32 fast_retransmits;
	__u32 timeout_retransmits;
	__u32 snd_cwnd;
	__u32 snd_ssthresh;
	__u32 snd_wnd;
	__u32 rcv_wnd;
	__u32 sndbuf;
	__u32 wmem_queued;
	__u32 srtt; /* in 1/8 us; 0: no sample yet */
	__u32 mdev; /* in 1/4 us */
	__u32 min_rtt_us;
	__u32 rto; /* in jiffies */
	__u32 packets_out;
	__u32 bytes_inflight;
	__u32 backlog;	   /* of a listener */
	__u32 max_backlog; /* of a listener */
	__u32 drops;	   /* of a listener, sk_drops */
	__u8 ca_state;	   /* enum tcp_ca_state */
	__u8 listener;
	__u8 retransmits_known; /* fast_ and timeout_retransmits are */
	__u8 reserved[5];
};

/* Numbers of netwatch.TcpError.Kind. */
enum nw_error_kind {
	NW_ERROR_SEQUENCE = 1,
	NW_ERROR_CHECKSUM,
	NW_ERROR_RESET_SENT,
	NW_ERROR_RESET_RECEIVED,
	NW_ERROR_DROP,
};

/* What is known of the segment. */
#define NW_ERROR_ENDS	1 /* its addresses */
#define NW_ERROR_HEADER 2 /* its TCP header */
#define NW_ERROR_ACK	4 /* it has the flag */

struct nw_error_record {
	struct nw_record head; /* cookie 0: no socket */
	__u32 kind;	       /* enum nw_error_kind */
	__u32 reason; /* of a reset sent: enum sk_rst_reason of the kernel; of a drop: row of
			 the table that netwatch has of them */
	__u32 seq;
	__u32 ack;
	__u32 length; /* payload, bytes */
	__u32 parts;  /* NW_ERROR_... */
};

/*
 * What a drop of the kernel's reason with this number means. Numbers differ between kernels; the
 * collector finds them by name.
 */
#define NW_REASONS 256 /* numbers that are looked at; those beyond are of subsystems */

struct nw_reason {
	__u8 kind; /* enum nw_error_kind; 0: no error */
	__u8 row;  /* of the collector's table */
	__u8 what; /* NW_REASON_... */
};

/* Keepalives and window probes, which are no errors, end with it too. */
#define NW_REASON_PROBES 1
/* It says that there is no socket. */
#define NW_REASON_NOBODY 2
/* Other sockets than TCP's have it too: it counts only where the kernel names the socket. */
#define NW_REASON_NAMED 4

/* Its OPEN or ESTABLISHED, which is older than the walk. */
enum nw_row_parked {
	NW_ROW_TOLD = 0,
	NW_ROW_WAITS, /* comes soon */
	NW_ROW_SHOWN, /* comes soon to those only who do not begin with this walk */
};

/* What a walk finds of one socket. */
struct nw_row {
	struct nw_connection connection;
	__u64 ancestors[NW_ANCESTORS]; /* cgroup and those above it; 0 beyond the root */
	__u64 told_ns; /* its first event was told, or began to wait; 0: before we looked */
	__u32 parked;  /* enum nw_row_parked */
	__u32 reserved;
};

/* As a walk hands it out. */
struct nw_full_row {
	struct nw_row row;
	struct nw_counters counters;
};

#ifndef __bpf__
_Static_assert(sizeof(struct nw_connection) == 96, "nw_connection");
_Static_assert(sizeof(struct nw_record) == 112, "nw_record");
_Static_assert(sizeof(struct nw_conn_record) == 128 - 8, "nw_conn_record");
_Static_assert(sizeof(struct nw_conn_end_record) == 192 - 8, "nw_conn_end_record");
_Static_assert(sizeof(struct nw_counters) == 112, "nw_counters");
_Static_assert(sizeof(struct nw_error_record) == 136, "nw_error_record");
_Static_assert(sizeof(struct nw_row) == 240, "nw_row");
_Static_assert(sizeof(struct nw_full_row) == 352, "nw_full_row");
#endif

#endif
