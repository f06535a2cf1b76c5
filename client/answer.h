/* SPDX-License-Identifier: GPL-2.0-only */
/* Commands that ask the collector one question and print its one answer. */
#ifndef NETWATCH_ANSWER_H
#define NETWATCH_ANSWER_H

struct options;
struct session_ops;

/* Runs the conversation; the answer comes out as table or json. Returns the exit status. */
int answer_run(const struct options *options, const struct session_ops *ops);

#endif
