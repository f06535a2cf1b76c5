// SPDX-License-Identifier: GPL-2.0-only
#include "../category.h"
#include "kernel_side.h"
#include "../wire.h"
#include "retransmit.h"
#include "retransmit.skel.h"

#include "../../bpf/retransmit.h"

/* Numbers of the fields of netwatch.Retransmit. */
enum {
	CAUSE = 1,
	SEQ,
	LENGTH,
	SEGMENTS,
	STATE,
	FAST_RETRANSMITS,
	TIMEOUT_RETRANSMITS,
	TOTAL_RETRANSMITS,
};

static bool write_retransmit(struct wire *w, const struct nw_record *record, size_t size)
{
	const struct nw_retransmit_record *r = (const void *)record;

	if (size < sizeof(*r))
		return false;
	wire_uint(w, CAUSE, r->cause);
	wire_uint(w, SEQ, r->seq);
	wire_uint(w, LENGTH, r->length);
	if (r->segments > 1)
		wire_uint(w, SEGMENTS, r->segments);
	wire_uint(w, STATE, record->connection.state);
	if (r->known & NW_KNOWN_BY_CAUSE) {
		wire_uint(w, FAST_RETRANSMITS, r->fast_retransmits);
		wire_uint(w, TIMEOUT_RETRANSMITS, r->timeout_retransmits);
	}
	if (r->known & NW_KNOWN_TOTAL)
		wire_uint(w, TOTAL_RETRANSMITS, r->total_retransmits);
	return true;
}

static const struct category_hook hooks[] = {
	{.name = "tp_btf/tcp_retransmit_skb"},
	{.name = "tp_btf/tcp_retransmit_synack",
	 .without = "that a server sent its SYN-ACK again is not told"},
	{.name = NULL},
};

const struct category category_retransmit = {
	.name = "retransmit",
	.field = 6,
	.wants = 1ULL << NW_WANT_RETRANSMIT,
	.also = 1ULL << NW_WANT_TCPINFO, /* which tells what is counted here */
	.hooks = hooks,
	.elf = retransmit_bpf__elf_bytes,
	.write = write_retransmit,
};
