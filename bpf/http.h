/* SPDX-License-Identifier: GPL-2.0-only */
/* Records of category http: pieces of a socket's byte streams, which the collector parses. */
#ifndef NETWATCH_HTTP_H
#define NETWATCH_HTTP_H

#include "packet.h"

#define NW_HTTP_HEAD_MAX 8192 /* bytes of one head that leave the kernel */

/* Sizes of nw_http_record.data. */
#define NW_HTTP_SMALL  1024
#define NW_HTTP_MEDIUM 2048
#define NW_HTTP_LARGE  NW_HTTP_HEAD_MAX

/* What a piece tells beyond its bytes. */
#define NW_HTTP_FIN    0x01 /* the stream ends behind it */
#define NW_HTTP_RST    0x02 /* both streams end */
#define NW_HTTP_CLOSED 0x04 /* the socket is gone; nothing else comes of it */
#define NW_HTTP_START  0x08 /* nothing was sent before it in this direction */
/* The other side had sent something since this side's last payload before it. */
#define NW_HTTP_TURN 0x10
/* A piece that was lost began a message without that, in this direction. */
#define NW_HTTP_PIPELINED 0x20

struct nw_http_record {
	struct nw_record head;
	__u32 seq;	/* of the first byte */
	__u32 length;	/* payload of the segment */
	__u32 ack;	/* what its sender had received of the other direction */
	__u16 captured; /* bytes of it in data; what follows them there is not written */
	__u8 direction; /* enum nw_direction; with NW_HTTP_CLOSED 0 */
	__u8 flags;
	__u8 data[]; /* NW_HTTP_SMALL, NW_HTTP_MEDIUM, NW_HTTP_LARGE or none */
};

#ifndef __bpf__
_Static_assert(sizeof(struct nw_http_record) == 128, "nw_http_record");
#endif

#endif
