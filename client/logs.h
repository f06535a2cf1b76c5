/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of `log` share: the connections, behind connects.log, and the lines of the others.
 */
#ifndef NETWATCH_LOGS_H
#define NETWATCH_LOGS_H

#include <stdbool.h>
#include <stdint.h>

#include "netwatch.pb-c.h"
#include "logfile.h"
#include "prom.h"
#include "session.h"

/* ------------------------------------------------------------------- logs.c */

/* Ends the session, with a message about that file of DIR. */
void logs_fail(struct session *session, const char *name, int err);

/* Takes one event, as struct session_ops has it. */
void logs_take(struct session *session, const struct event *raw);

/* ---------------------------------------------------------- logs_connects.c */

/* counted: retransmissions are asked for; options are kept. */
void logs_connects_init(const struct options *options, bool counted);
void logs_connects_deinit(void);

void logs_on_lost(struct session *session, const Netwatch__Event *event);
void logs_on_conn(struct session *session, const Netwatch__Event *event);
void logs_on_tcpinfo(struct session *session, const Netwatch__Event *event);
void logs_on_retransmit(struct session *session, const Netwatch__Event *event);

/* A new subscription begins with the connections that there are; now they are all told. */
void logs_connects_begin(void);
void logs_connects_live(void);

/* After a loss, asks the collector what there is; of a session that has conn. */
void logs_connects_catch_up(const struct session *session);

/* Replaces connects.log in that directory. 0 or -errno. */
#define LOGS_CONNECTS "connects.log"
int logs_connects_write(int dir);

/* ------------------------------------------------------------- logs_lines.c */

/* A line for the event. 0 or -errno. */
int logs_put_packet(struct logfile *file, const Netwatch__Event *event);
int logs_put_http(struct logfile *file, const Netwatch__Event *event);
int logs_put_error(struct logfile *file, const Netwatch__Event *event);

/* Labels that lines of several files have; what is absent makes none. */
void logs_put_ends(struct prom *prom, const Netwatch__Connection *who);
void logs_put_optional(struct prom *prom, const char *key, bool has, uint64_t number);
void logs_put_name(struct prom *prom, const char *key, const ProtobufCEnumDescriptor *names,
		   int value);

#endif
