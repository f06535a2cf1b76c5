/* SPDX-License-Identifier: GPL-2.0-only */
/* Values as people read them; whatever was sent by others is escaped for a terminal. */
#ifndef NETWATCH_TEXT_H
#define NETWATCH_TEXT_H

#include "output.h"
#include "schema.h"

#define TEXT_TIME_MAX 64

/* Untrusted text, escaped for a terminal. */
void text_escaped(struct output *output, const void *text, size_t length);

/* Any value: numbers, names of enums, text, lists with commas, messages as {key=value ...}. */
void text_value(struct output *output, const struct schema_field *field, struct value value);

/* key=value for each field of message whose bit is in which. Text with spaces is quoted. */
void text_fields(struct output *output, const struct message *message, uint64_t which);

/* Local time of day, HH:MM:SS.uuuuuu, or with milliseconds only. */
void text_time(struct output *output, struct value timestamp);
void text_time_ms(struct output *output, struct value timestamp);

/*
 * UTC as in RFC 3339, with nine digits, into room of TEXT_TIME_MAX bytes. Returns the end, or
 * NULL: no such time.
 */
char *text_put_rfc3339(char *to, struct value timestamp);

/* address:port, with brackets around IPv6; "-" for an absent address, "*" for an absent port. */
void text_endpoint(struct output *output, const struct message *message, int address, int port);

/* comm[pid], by the indexes of both in message; "-" for an absent comm. */
void text_process(struct output *output, const struct message *message, int comm, int pid);

/* Columns that text takes: code points. */
size_t text_width(const char *text, size_t size);

#endif
