/* SPDX-License-Identifier: GPL-2.0-only */
/* The record of category packet. */
#ifndef NETWATCH_PACKET_H
#define NETWATCH_PACKET_H

#include "record.h"

/* Numbers of netwatch.Packet.Direction. */
enum nw_direction { NW_RX = 1, NW_TX };

/* Bits of the TCP header's flags. */
#define NW_TCP_FIN 0x01
#define NW_TCP_SYN 0x02
#define NW_TCP_RST 0x04
#define NW_TCP_ACK 0x10

/* One segment, or a buffer of several, in host order. */
struct nw_segment {
	__u32 seq;
	__u32 ack;
	__u32 length; /* payload */
	__u16 window; /* unscaled */
	__u16 segments;
	__u8 flags;	/* as in the header: FIN is bit 0, CWR is bit 7 */
	__u8 direction; /* enum nw_direction */
	__u8 reserved[6];
};

struct nw_packet_record {
	struct nw_record head;
	struct nw_segment segment;
};

#define NW_TIME_ABSENT (~0ULL)

/* Time spent in each layer in ns, or NW_TIME_ABSENT: see netwatch.Packet. */
struct nw_times {
	__u64 mac_ns;
	__u64 ip_ns;
	__u64 tcp_ns;
	__u64 app_ns;
	__u64 qdisc_ns;
};

/* For those who want layer times, instead of the other one: told apart by their sizes. */
struct nw_packet_times_record {
	struct nw_packet_record packet;
	struct nw_times times;
};

#ifndef __bpf__
_Static_assert(sizeof(struct nw_packet_times_record) == 176, "nw_packet_times_record");
_Static_assert(sizeof(struct nw_packet_record) == 136, "nw_packet_record");
#endif

#endif
