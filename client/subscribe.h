/* SPDX-License-Identifier: GPL-2.0-only */
/* A subscription, for the commands that have one: what they do of a session's steps. */
#ifndef NETWATCH_SUBSCRIBE_H
#define NETWATCH_SUBSCRIBE_H

#include "netwatch.pb-c.h"

struct account;
struct options;
struct session;

/* Before the session: 0, or the exit status for options that make no sense, told. */
int subscribe_prepare(const struct options *options);

/* Of struct session_ops. */
int subscribe_start(struct session *session, const Netwatch__Hello *hello);
void subscribe_stop(struct session *session);
void subscribe_live(struct session *session);

/* What --stats prints: a JSON object on stderr, if any account was given. */
void subscribe_stats(const struct account *account);

#endif
