/* SPDX-License-Identifier: GPL-2.0-only */
/* Prometheus' text exposition format 0.0.4, for the files of `log` and the pages of `export`. */
#ifndef NETWATCH_PROM_H
#define NETWATCH_PROM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct output;

#define PROM_TYPE     "text/plain; version=0.0.4; charset=utf-8" /* Content-Type */
#define PROM_TEXT_MAX 128 /* bytes of an ordinary label's value, before quoting */

/* The lines # HELP and # TYPE. */
void prom_head(struct output *output, const char *name, const char *type, const char *help);

/* A line in the making: name, suffix, then labels, then prom_end or one of the values. */
struct prom {
	struct output *output;
	bool labels; /* at least one was written */
};

void prom_begin(struct prom *prom, struct output *output, const char *name, const char *suffix);

/*
 * A label with untrusted text: what must not reach a terminal and what is no UTF-8 is escaped as
 * by escape_terminal, then quotes and backslashes as the format wants. Cut behind max bytes (at
 * most PROM_CUT_MAX) of what was escaped, between two units; quoting makes that twice as long at
 * most.
 */
#define PROM_CUT_MAX 2048
void prom_text(struct prom *prom, const char *key, const void *text, size_t length, size_t max);

/* The same of a constant or a name, up to PROM_TEXT_MAX bytes; NULL: no label. */
void prom_word(struct prom *prom, const char *key, const char *word);

void prom_number(struct prom *prom, const char *key, uint64_t number);

/* Begins the value of a label, whose writer puts only what needs no escape, and ends it. */
void prom_open(struct prom *prom, const char *key);
void prom_close(struct prom *prom);

/* The end of the line, with its value; nanoseconds are written as seconds. */
void prom_value(struct prom *prom, uint64_t value);
void prom_seconds(struct prom *prom, uint64_t nanoseconds);

/* nanoseconds as seconds, without zeros at the end. */
void prom_put_seconds(struct output *output, uint64_t nanoseconds);

#endif
