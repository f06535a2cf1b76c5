/* SPDX-License-Identifier: GPL-2.0-only */
/* How the answer of `check` looks, whoever prints it: the client, or the collector itself. */
#ifndef NETWATCH_CHECK_H
#define NETWATCH_CHECK_H

#include "netwatch.pb-c.h"

/*
 * Whole lines, terminated, for a terminal of 80 columns, or as one line of ProtoJSON with the
 * field names of the .proto file. Text of the message may be any bytes. The caller frees it;
 * NULL: no memory.
 */
char *check_table(const Netwatch__Check *check);
char *check_json(const Netwatch__Check *check);

#endif
