/* SPDX-License-Identifier: GPL-2.0-only */
/* How a conversation ends; for reply.c. */
#ifndef NETWATCH_REPLY_END_H
#define NETWATCH_REPLY_END_H

#include <stddef.h>
#include <stdint.h>

struct session;

/* Nothing more is read, and this is the exit status. */
void reply_end(struct session *session, int status);

/* Acts on an Error or a Bye; as reply_handle. */
int reply_on_error(struct session *session, const uint8_t *data, size_t size);
int reply_on_bye(struct session *session, const uint8_t *data, size_t size);

#endif
