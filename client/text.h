/* SPDX-License-Identifier: GPL-2.0-only */
/* Values as people read them; whatever was sent by others is escaped for a terminal. */
#ifndef NETWATCH_TEXT_H
#define NETWATCH_TEXT_H

#include "output.h"
#include "schema.h"
#include "timestamp.h"

/* Untrusted text, escaped for a terminal. */
void text_escaped(struct output *output, const void *text, size_t length);

/* Any value: numbers, names of enums, text, lists with commas, messages as {key=value ...}. */
void text_value(struct output *output, const struct schema_field *field, struct value value);

/* key=value for each field of message whose bit is in which. Text with spaces is quoted. */
void text_fields(struct output *output, const struct message *message, uint64_t which);

/* The timestamp by format. */
void text_time(struct output *output, const struct time_format *format, struct value timestamp);

/* address:port, with brackets around IPv6; "-" for an absent address, "*" for an absent port. */
void text_endpoint(struct output *output, const struct message *message, int address, int port);

/* comm[pid], by the indexes of both in message; "-" for an absent comm. */
void text_process(struct output *output, const struct message *message, int comm, int pid);

/* Columns that text takes: code points, without colours. */
size_t text_width(const char *text, size_t size);

#endif
