/* SPDX-License-Identifier: GPL-2.0-only */
/* Commands that ask the collector one question and print its one answer. */
#ifndef NETWATCH_ANSWER_H
#define NETWATCH_ANSWER_H

#include "netwatch.pb-c.h"

struct options;
struct session;
struct session_ops;

/* Runs the conversation; the answer comes out as table or json. Returns the exit status. */
int answer_run(const struct options *options, const struct session_ops *ops);

/* Asks for the collector's Status: the start of a session (session_ops). 0 or an exit status. */
int answer_ask_status(struct session *session, const Netwatch__Hello *hello);

#endif
