/* SPDX-License-Identifier: GPL-2.0-only */
/* A category of events is one row of the table in categories.c. */
#ifndef NETWATCH_CATEGORY_H
#define NETWATCH_CATEGORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netwatch.pb-c.h"

struct bpf_object;
struct btf;
struct filter;
struct nw_record;
struct wire;

/* A kernel hook that serves something. */
struct category_hook {
	const char *name; /* as in the program's section */
	/* what is missing or different on a kernel without it; NULL: all that it serves */
	const char *without;
	const char *instead; /* a hook of this category that serves better, where it is usable; or
				NULL */
	uint64_t wants;	     /* its programs are attached for these bits of enum nw_want; 0: wants
				and also of the category */
};

/* An event that records of a category made, which are none themselves. Valid during the call. */
struct made {
	const struct nw_record
		*record;  /* the last of them, whose receivers and connection it has */
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	const void *what; /* of its category */
};

typedef void maker_fn(void *arg, const struct made *made);

/* How a category makes events of records. There is one ring, so one such state for each. */
struct category_maker {
	/* Calls made(arg, event) for each event that this record completes. False: too short. */
	bool (*take)(const struct nw_record *record, size_t size, maker_fn *made, void *arg);
	/* Nobody wants the category: nothing is kept. */
	void (*forget)(void);
	/* Writes the member's fields; redacted: for who must not see all of it. */
	void (*write)(struct wire *w, const struct made *made, bool redacted);
	/* Does the filter's part for this category accept it? */
	bool (*accepts)(const struct filter *filter, const struct made *made);
	/* Copies it, but for its record, with all that it points to, if size is enough. What it
	 * takes.
	 */
	size_t (*pack)(const struct made *made, void *data, size_t size);
	/* Calls told(arg, event) for what was packed so, with its record. False: it was not. */
	bool (*unpack)(const struct nw_record *record, const void *data, size_t size,
		       maker_fn *told, void *arg);
};

struct category {
	const char *name; /* of its member in netwatch.Event */
	unsigned field;	  /* number of that member */
	uint64_t wants;	  /* bits of enum nw_want that a subscriber of it sets */
	uint64_t also;	  /* further bits for which its programs are attached */
	bool chatty;	  /* many events for each connection: the history has none of them */
	/* the bit that gets this record, at least of struct nw_record; NULL: that of wants */
	uint64_t (*wanted_by)(const struct nw_record *record, size_t size);
	/* further bits that its options set; NULL: none */
	uint64_t (*options)(const Netwatch__Subscribe *subscribe);
	/*
	 * Hooks of its programs, up to one without a name. The category is offered where one
	 * of those whose `without` is NULL is usable.
	 */
	const struct category_hook *hooks;
	/* bytes of its BPF object, from its skeleton; NULL: the object of sockets serves it */
	const void *(*elf)(size_t *size);
	/*
	 * Sets constants of its object, before loading, by what the kernel of that BTF has; NULL:
	 * nothing to do. 0 or -errno.
	 */
	int (*prepare)(const struct btf *btf, struct bpf_object *object);
	/*
	 * Writes the member's fields from a record of `size` bytes, at least struct nw_record.
	 * False: the record is too short, nothing may be sent.
	 */
	bool (*write)(struct wire *w, const struct nw_record *record, size_t size);
	const struct category_maker *maker; /* instead of write; or NULL */
};

/* By enum nw_category. */
extern const struct category *const categories[];
extern const size_t n_categories;

/* NULL: no such category. */
const struct category *category_find(const char *name);

#endif
