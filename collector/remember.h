/* SPDX-License-Identifier: GPL-2.0-only */
/* The reader whose filter accepts everything: what its slot gets is the collector's history. */
#ifndef NETWATCH_REMEMBER_H
#define NETWATCH_REMEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct category;
struct cgroups;
struct history;
struct made;
struct nw_record;
struct probe;
struct remember;
struct slots;

/*
 * Begins to remember the last `events` events of the categories that are offered and not chatty.
 * with_address: of sockets too. NULL with *reason: a constant. Free it before slots.
 */
struct remember *remember_new(struct slots *slots, struct probe *probe, size_t events,
			      bool with_address, const char **reason);
void remember_free(struct remember *remember);

/* False: the kernel refused, which was logged; nothing will be remembered. */
bool remember_works(const struct remember *remember);
const struct history *remember_history(const struct remember *remember);
const struct cgroups *remember_cgroups(const struct remember *remember);

/* For dispatch.c: what its slot gets. */
void remember_record(struct remember *remember, const struct nw_record *record, size_t size,
		     int64_t unix_offset_ns);
void remember_made(struct remember *remember, const struct category *category,
		   const struct made *made, int64_t unix_offset_ns);

#endif
