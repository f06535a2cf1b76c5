/* SPDX-License-Identifier: GPL-2.0-only */
/* Records of category retransmit. */
#ifndef NETWATCH_RETRANSMIT_H
#define NETWATCH_RETRANSMIT_H

#include "record.h"

/* Numbers of netwatch.Retransmit.Cause. */
enum nw_cause {
	NW_CAUSE_FAST = 1,
	NW_CAUSE_TIMEOUT,
	NW_CAUSE_TAIL_LOSS_PROBE,
	NW_CAUSE_SYN,
	NW_CAUSE_SYN_ACK,
	NW_CAUSE_SLOW_START,
};

/* Which of the connection's counts are known. */
enum nw_retransmit_known {
	NW_KNOWN_TOTAL = 1,    /* there is a socket that counts */
	NW_KNOWN_BY_CAUSE = 2, /* see nw_retransmits_known */
};

struct nw_retransmit_record {
	struct nw_record head;
	__u32 cause; /* enum nw_cause */
	__u32 seq;
	__u32 length; /* payload */
	__u32 segments;
	__u32 known; /* enum nw_retransmit_known */
	__u32 total_retransmits;
	__u32 fast_retransmits;
	__u32 timeout_retransmits;
	__u32 reserved[10];
};

#ifndef __bpf__
_Static_assert(sizeof(struct nw_retransmit_record) == 192 - 8, "nw_retransmit_record");
#endif

#endif
