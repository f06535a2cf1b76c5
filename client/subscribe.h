/* SPDX-License-Identifier: GPL-2.0-only */
/* What commands that subscribe have in common; for struct session_ops. */
#ifndef NETWATCH_SUBSCRIBE_H
#define NETWATCH_SUBSCRIBE_H

#include "session.h"

int subscribe_start(struct session *session, const Netwatch__Hello *hello);
void subscribe_stop(struct session *session);
void subscribe_subscribed(struct session *session);

/* --stats, after the end. */
void subscribe_print_stats(const struct session *session);

#endif
