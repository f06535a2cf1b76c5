/* SPDX-License-Identifier: GPL-2.0-only */
/* What the collector says, one message after the other. */
#ifndef NETWATCH_REPLY_H
#define NETWATCH_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netwatch.pb-c.h"

struct session;

/* Prepares the schema. 0 or -ENOMEM. */
int reply_init(void);

/*
 * Acts on one Reply: prints an event, sends the request after hello, ends the session with
 * its status. 0; -EBADMSG: no message; -EMSGSIZE; or as output_flush.
 */
int reply_handle(struct session *session, const uint8_t *data, size_t size);

/* A loss that was held back, since its history might have brought what is lost. 0, or as above. */
int reply_tell_held(struct session *session);

/*
 * Its parts, for those who have the messages from elsewhere. They return as reply_handle does.
 *
 * reply_event prints an Event, if it is to be printed. reply_start makes the writer begin, once:
 * the header waits until the request was not refused. reply_forward is for what is no event, in
 * formats that have it. reply_keep_hello keeps what those begin with; as_asked: the categories in
 * it are those that were asked for, which a reader of the stream cannot know otherwise. 0 or
 * -ENOMEM.
 */
int reply_event(struct session *session, const uint8_t *data, size_t size);
int reply_start(struct session *session);
void reply_forward(struct session *session, uint32_t number, const uint8_t *data, size_t size);
int reply_keep_hello(struct session *session, const Netwatch__Hello *hello, bool as_asked);

#endif
