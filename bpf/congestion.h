/* SPDX-License-Identifier: GPL-2.0-only */
/* Records of category congestion. */
#ifndef NETWATCH_CONGESTION_H
#define NETWATCH_CONGESTION_H

#include "record.h"

struct nw_congestion_record {
	struct nw_record head;
	__u32 from; /* enum tcp_ca_state */
	__u32 to;
	__u32 snd_cwnd;
	__u32 snd_ssthresh; /* the kernel's infinity included */
	__u32 srtt_us;	    /* 0: no sample */
	__u32 mdev_us;
	__u32 reserved[12];
};

#ifndef __bpf__
_Static_assert(sizeof(struct nw_congestion_record) == 192 - 8, "nw_congestion_record");
#endif

#endif
