/* SPDX-License-Identifier: GPL-2.0-only */
/* Category packet: segments sent and received (bpf/packet.bpf.c). */
#ifndef NETWATCH_CATEGORY_PACKET_H
#define NETWATCH_CATEGORY_PACKET_H

struct category;

extern const struct category category_packet;

#endif
