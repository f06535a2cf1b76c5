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

struct nw_http_record {
	struct nw_record head;
	__u32 seq;	/* of the first byte */
	__u32 length;	/* payload of the segment */
	__u32 captured; /* bytes of it in data; what follows them there is not written */
	__u8 direction; /* enum nw_direction; with NW_HTTP_CLOSED 0 */
	__u8 flags;
	__u8 reserved[2];
	__u8 data[]; /* NW_HTTP_SMALL, NW_HTTP_MEDIUM, NW_HTTP_LARGE or none */
};

#ifndef __bpf__
_Static_assert(sizeof(struct nw_http_record) == 128, "nw_http_record");
#endif

#endif
