/* SPDX-License-Identifier: GPL-2.0-only */
/* What the collector says, one message after the other. */
#ifndef NETWATCH_REPLY_H
#define NETWATCH_REPLY_H

#include <stddef.h>
#include <stdint.h>

struct session;

/* Prepares the schema. 0 or -ENOMEM. */
int reply_init(void);

/*
 * Acts on one Reply: prints an event, sends the request after hello, ends the session with
 * its status. 0; -EBADMSG: no message; -EMSGSIZE; or as output_flush.
 */
int reply_handle(struct session *session, const uint8_t *data, size_t size);

#endif
