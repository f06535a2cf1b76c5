/* SPDX-License-Identifier: GPL-2.0-only */
/* Records of category tcpinfo; their counters, which rows of a walk have too, are in record.h. */
#ifndef NETWATCH_TCPINFO_H
#define NETWATCH_TCPINFO_H

#include "record.h"

struct nw_tcpinfo_record {
	struct nw_record head;
	struct nw_counters counters;
	__u64 bytes_acked_delta;
	__u64 bytes_received_delta;
	__u32 has_deltas;
	__u32 reserved;
};

#ifndef __bpf__
_Static_assert(sizeof(struct nw_tcpinfo_record) == 256 - 8, "nw_tcpinfo_record");
#endif

#endif
