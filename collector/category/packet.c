// SPDX-License-Identifier: GPL-2.0-only
#include "../category.h"
#include "../kernel_side.h"
#include "../wire.h"
#include "packet.h"

#include "packet.skel.h"

/* Numbers of the fields of netwatch.Packet. */
enum {
	DIRECTION = 1,
	SEQ,
	ACK,
	FLAGS,
	LENGTH,
	WINDOW,
	SEGMENTS,
};

static bool write_packet(struct wire *w, const struct nw_record *record, size_t size)
{
	const struct nw_packet_record *r = (const void *)record;
	const struct nw_segment *s = &r->segment;

	if (size < sizeof(*r))
		return false;
	wire_uint(w, DIRECTION, s->direction);
	wire_uint(w, SEQ, s->seq);
	if (s->flags & NW_TCP_ACK)
		wire_uint(w, ACK, s->ack);
	for (unsigned bit = 0; bit < 8; bit++) {
		if (s->flags & (1U << bit))
			wire_uint(w, FLAGS, bit + 1);
	}
	wire_uint(w, LENGTH, s->length);
	wire_uint(w, WINDOW, s->window);
	if (s->segments > 1)
		wire_uint(w, SEGMENTS, s->segments);
	return true;
}

static const struct category_hook hooks[] = {
	{.name = "cgroup_skb/ingress"},
	{.name = "cgroup_skb/egress"},
	{.name = "tp_btf/tcp_send_reset",
	 .without = "no reset that answers a segment which a socket cannot take"},
	{.name = "fexit/tcp_make_synack",
	 .without = "before Linux 6.6 no SYN-ACK of a server by IPv6"},
	{.name = NULL},
};

const struct category category_packet = {
	.name = "packet",
	.field = 5,
	.wants = 1ULL << NW_WANT_PACKET,
	.hooks = hooks,
	.elf = packet_bpf__elf_bytes,
	.write = write_packet,
};
