/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The filter tables that programs classify sockets with, both sides: see bpf/classify.h.
 * tables_write costs what differs from the side's last content, not what tables hold.
 */
#ifndef NETWATCH_TABLES_H
#define NETWATCH_TABLES_H

#include <stddef.h>
#include <stdint.h>

#include "kernel_side.h"

struct filter;
struct tables;

/* ports: the mapped array; the others: file descriptors of the maps. NULL: no memory. */
struct tables *tables_new(struct nw_shared *shared, struct nw_ends *ports, int prefixes_fd,
			  int values_fd);
void tables_free(struct tables *tables);

/*
 * Makes the side that is not in use describe the filters (one per slot, NULL: none; copied)
 * and puts it to use. No program may still read that side: a grace period must have passed
 * since the last call. 0, or -errno with nothing published: the old tables stay in use.
 */
int tables_publish(struct tables *tables, const struct filter *const filters[NW_SLOTS]);

/* The parts of one side, for tests: what tables_publish writes for these filters. */
struct tables_entry {
	union {
		struct nw_prefix prefix;
		struct nw_value value;
		uint8_t key[24];
	};
	union {
		struct nw_ends ends;
		struct nw_words words;
		uint8_t data[24];
	};
};

struct tables_list {
	struct tables_entry *entry; /* sorted by key */
	size_t n;
};

/* Each fills *list, which the caller frees; or -ENOMEM. */
int tables_prefixes(struct tables_list *list, const struct filter *const filters[NW_SLOTS],
		    uint8_t side);
int tables_values(struct tables_list *list, const struct filter *const filters[NW_SLOTS],
		  uint8_t side);
void tables_words(struct nw_side *words, const struct filter *const filters[NW_SLOTS]);
void tables_ports(struct nw_ends *ports, const struct filter *filter, unsigned slot, int on);

#endif
