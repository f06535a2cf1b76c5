/* SPDX-License-Identifier: GPL-2.0-only */
/* The commands: each runs to its end and returns the exit status. */
#ifndef NETWATCH_COMMANDS_H
#define NETWATCH_COMMANDS_H

struct options;

int subscribe_run(struct options *options);
int list_run(struct options *options);
int status_run(struct options *options);
int check_run(struct options *options);
int top_run(struct options *options);
int fields_run(struct options *options);
int log_run(struct options *options);
int export_run(struct options *options);
int completion_run(struct options *options);
int record_run(struct options *options);
int replay_run(struct options *options);

#endif
