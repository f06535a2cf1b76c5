/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the collector remembers: the last events, as records and not as what somebody saw of
 * them, so that each viewer's filter and redaction come when they are told. Bounded in events
 * and in bytes; at either bound the oldest go.
 */
#ifndef NETWATCH_HISTORY_H
#define NETWATCH_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct category;
struct history;
struct made;
struct nw_record;

#define HISTORY_MAX	   1000000 /* events */
#define HISTORY_EVENT_SIZE 1024	   /* bytes for each event; most take 150 to 500 */
#define HISTORY_SIZE_MIN   (64 * 1024)

enum history_kind {
	HISTORY_RECORD, /* data: the record */
	HISTORY_MADE,	/* data: the record, and what its category packed */
	HISTORY_LOST,	/* data: nothing. Here events are missing, nobody knows whose */
};

struct history_entry {
	uint64_t first_ns, unix_ns; /* Unix time of the event; of a loss its begin and its end */
	int64_t unix_offset_ns;	    /* from the record's clock to Unix time */
	uint32_t size;		    /* of data */
	uint32_t kind;		    /* enum history_kind */
	uint8_t data[];
};

/*
 * Holds at most so many events (1 to HISTORY_MAX). with_address: the kernel's addresses of sockets
 * are kept too. NULL: no memory.
 */
struct history *history_new(size_t events, bool with_address);
void history_free(struct history *history);

/*
 * Each copies what it gets. What there is no memory for becomes a loss, and two of them that
 * follow each other are one.
 */
void history_add(struct history *history, const struct nw_record *record, size_t size,
		 int64_t unix_offset_ns);
void history_add_made(struct history *history, const struct category *category,
		      const struct made *made, int64_t unix_offset_ns);
void history_add_loss(struct history *history, uint64_t first_ns, uint64_t last_ns);

/*
 * Entries are numbered in the order in which they came. Those from begin to before end are held;
 * none is held when both are the same.
 */
uint64_t history_begin(const struct history *history);
uint64_t history_end(const struct history *history);
/* Of a number that is held; valid until something is added. */
const struct history_entry *history_get(const struct history *history, uint64_t number);

size_t history_limit(const struct history *history);
/* In use by the entries. */
size_t history_bytes(const struct history *history);

#endif
