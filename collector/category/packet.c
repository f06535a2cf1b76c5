// SPDX-License-Identifier: GPL-2.0-only
#include "../category.h"
#include "kernel_side.h"
#include "../wire.h"
#include "packet.h"

#include "packet.skel.h"

#define TIMES (1ULL << NW_WANT_PACKET_TIMES)

/* Numbers of the fields of netwatch.Packet. */
enum {
	DIRECTION = 1,
	SEQ,
	ACK,
	FLAGS,
	LENGTH,
	WINDOW,
	SEGMENTS,
	MAC_NS,
	IP_NS,
	TCP_NS,
	APP_NS,
	QDISC_NS,
};

static void write_time(struct wire *w, unsigned field, uint64_t ns)
{
	if (ns != NW_TIME_ABSENT)
		wire_uint(w, field, ns);
}

static void write_times(struct wire *w, const struct nw_times *times)
{
	write_time(w, MAC_NS, times->mac_ns);
	write_time(w, IP_NS, times->ip_ns);
	write_time(w, TCP_NS, times->tcp_ns);
	write_time(w, APP_NS, times->app_ns);
	write_time(w, QDISC_NS, times->qdisc_ns);
}

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
	if (size >= sizeof(struct nw_packet_times_record))
		write_times(w,
			    &((const struct nw_packet_times_record *)(const void *)record)->times);
	return true;
}

static uint64_t options(const Netwatch__Subscribe *subscribe)
{
	return subscribe->has_times && subscribe->times ? TIMES : 0;
}

static const struct category_hook hooks[] = {
	{.name = "cgroup_skb/ingress"},
	{.name = "cgroup_skb/egress"},
	{.name = "tp_btf/tcp_send_reset",
	 .without = "no reset that answers a segment which a socket cannot take"},
	{.name = "fexit/tcp_make_synack",
	 .without = "before Linux 6.6 no SYN-ACK of a server by IPv6"},
	/* layer times, from the link to the application */
	{.name = "tp_btf/netif_receive_skb",
	 .without = "no mac_ns and no ip_ns of what is received",
	 .wants = TIMES},
	{.name = "fentry/ip_rcv_core",
	 .without =
		 "IPv4 received: ip_ns is from the link to TCP, mac_ns is absent, in other network "
		 "namespaces than the collector's",
	 .wants = TIMES},
	{.name = "netfilter/ip4/pre_routing",
	 .without = "IPv4 received: the same in the collector's namespace",
	 .instead = "fentry/ip_rcv_core",
	 .wants = TIMES},
	{.name = "fentry/ip6_rcv_core",
	 .without =
		 "IPv6 received: ip_ns is from the link to TCP, mac_ns is absent, in other network "
		 "namespaces than the collector's",
	 .wants = TIMES},
	{.name = "netfilter/ip6/pre_routing",
	 .without = "IPv6 received: the same in the collector's namespace",
	 .instead = "fentry/ip6_rcv_core",
	 .wants = TIMES},
	{.name = "fentry/tcp_v4_rcv",
	 .without = "IPv4 received: TCP begins when it has found the socket, in other network "
		    "namespaces than the collector's",
	 .wants = TIMES},
	{.name = "netfilter/ip4/local_in",
	 .without = "IPv4 received: the same in the collector's namespace",
	 .instead = "fentry/tcp_v4_rcv",
	 .wants = TIMES},
	{.name = "fentry/tcp_v6_rcv",
	 .without = "IPv6 received: TCP begins when it has found the socket, in other network "
		    "namespaces than the collector's",
	 .wants = TIMES},
	{.name = "netfilter/ip6/local_in",
	 .without = "IPv6 received: the same in the collector's namespace",
	 .instead = "fentry/tcp_v6_rcv",
	 .wants = TIMES},
	{.name = "tp_btf/sk_data_ready",
	 .without = "received: fentry/sock_def_readable tells what is in the queue",
	 .wants = TIMES},
	{.name = "fentry/sock_def_readable",
	 .without = "received: app_ns is from TCP to the application, tcp_ns is absent",
	 .instead = "tp_btf/sk_data_ready",
	 .wants = TIMES},
	{.name = "tp_btf/tcp_rcv_space_adjust",
	 .without = "received: told without app_ns, after a second or at close",
	 .wants = TIMES},
	/* and from the application to the driver */
	{.name = "tp_btf/tcp_sendmsg_locked",
	 .without = "sent: fentry/tcp_sendmsg_locked tells when the application did",
	 .wants = TIMES},
	{.name = "fentry/tcp_sendmsg_locked",
	 .without = "sent: no tcp_ns",
	 .instead = "tp_btf/tcp_sendmsg_locked",
	 .wants = TIMES},
	{.name = "fentry/ip_queue_xmit",
	 .without = "IPv4 sent: ip_ns is from the application to the device's queue, tcp_ns is "
		    "absent, in other network namespaces than the collector's",
	 .wants = TIMES},
	{.name = "netfilter/ip4/local_out",
	 .without = "IPv4 sent: the same in the collector's namespace",
	 .instead = "fentry/ip_queue_xmit",
	 .wants = TIMES},
	{.name = "fentry/inet6_csk_xmit",
	 .without = "IPv6 sent: ip_ns is from the application to the device's queue, tcp_ns is "
		    "absent, in other network namespaces than the collector's",
	 .wants = TIMES},
	{.name = "netfilter/ip6/local_out",
	 .without = "IPv6 sent: the same in the collector's namespace",
	 .instead = "fentry/inet6_csk_xmit",
	 .wants = TIMES},
	{.name = "tp_btf/net_dev_queue",
	 .without = "sent: no ip_ns and no qdisc_ns",
	 .wants = TIMES},
	{.name = "tp_btf/net_dev_start_xmit",
	 .without = "sent: told late, without qdisc_ns and mac_ns",
	 .wants = TIMES},
	{.name = "tp_btf/net_dev_xmit",
	 .without = "sent: told late, without mac_ns",
	 .wants = TIMES},
	/* what does not get there */
	{.name = "tp_btf/inet_sock_set_state",
	 .without = "times: what was not read is told when the socket is destroyed",
	 .wants = TIMES},
	{.name = "tp_btf/tcp_destroy_sock",
	 .without = "times: what was not read at close is not told",
	 .wants = TIMES},
	{.name = "iter/bpf_sk_storage_map",
	 .without = "times: what nobody reads is told at close",
	 .wants = TIMES},
	{.name = NULL},
};

const struct category category_packet = {
	.name = "packet",
	.field = 5,
	.wants = 1ULL << NW_WANT_PACKET,
	.chatty = true,
	.options = options,
	.hooks = hooks,
	.elf = packet_bpf__elf_bytes,
	.write = write_packet,
};
