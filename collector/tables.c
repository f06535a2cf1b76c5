// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <bpf/bpf.h>

#include "filter.h"
#include "tables.h"

/* What one side holds now. */
struct side {
	struct filter *filters[NW_SLOTS]; /* NULL: empty */
	struct tables_list prefixes;
	struct tables_list values;
};

struct tables {
	struct nw_shared *shared;
	struct nw_ends *ports;
	int prefixes_fd;
	int values_fd;
	struct side side[2];
};

struct tables *tables_new(struct nw_shared *shared, struct nw_ends *ports, int prefixes_fd,
			  int values_fd)
{
	struct tables *tables = calloc(1, sizeof(*tables));

	if (!tables)
		return NULL;
	tables->shared = shared;
	tables->ports = ports;
	tables->prefixes_fd = prefixes_fd;
	tables->values_fd = values_fd;
	return tables;
}

void tables_free(struct tables *tables)
{
	if (!tables)
		return;
	for (int i = 0; i < 2; i++) {
		for (unsigned slot = 0; slot < NW_SLOTS; slot++)
			free(tables->side[i].filters[slot]);
		free(tables->side[i].prefixes.entry);
		free(tables->side[i].values.entry);
	}
	free(tables);
}

static int compare_keys(const struct tables_entry *a, const struct tables_entry *b)
{
	return memcmp(a->key, b->key, sizeof(a->key));
}

/*
 * Brings a map from old to new. Whatever fails, the map then holds no keys but those of old
 * and new; the caller keeps both in mind.
 */
static int write_list(int fd, const struct tables_list *old, const struct tables_list *new)
{
	size_t i = 0, j = 0;

	while (i < old->n || j < new->n) {
		const struct tables_entry *o = &old->entry[i], *n = &new->entry[j];
		int order = i == old->n ? 1 : j == new->n ? -1 : compare_keys(o, n);

		if (order < 0) {
			if (bpf_map_delete_elem(fd, o->key) && errno != ENOENT)
				return -errno;
			i++;
			continue;
		}
		if (order || memcmp(o->data, n->data, sizeof(n->data))) {
			if (bpf_map_update_elem(fd, n->key, n->data, BPF_ANY))
				return -errno;
		}
		i += !order;
		j++;
	}
	return 0;
}

/* All keys of a and b, with data that no entry has, so that each will be written again. */
static int join(struct tables_list *a, const struct tables_list *b)
{
	size_t i = 0, j = 0, n = 0;
	struct tables_entry *entry = calloc(a->n + b->n + 1, sizeof(*entry));

	if (!entry)
		return -ENOMEM;
	while (i < a->n || j < b->n) {
		int order = i == a->n	? 1
			    : j == b->n ? -1
					: compare_keys(&a->entry[i], &b->entry[j]);

		entry[n] = order <= 0 ? a->entry[i] : b->entry[j];
		memset(entry[n++].data, 0xff, sizeof(entry->data));
		i += order <= 0;
		j += order >= 0;
	}
	free(a->entry);
	a->entry = entry;
	a->n = n;
	return 0;
}

/* Takes over *new. */
static int write_map(int fd, struct tables_list *current, struct tables_list *new)
{
	int err = write_list(fd, current, new);

	if (err) {
		if (join(current, new))
			abort(); /* we no longer know what is in the map */
		free(new->entry);
		return err;
	}
	free(current->entry);
	*current = *new;
	return 0;
}

static int write_ports(struct tables *tables, int side, const struct filter *const filters[])
{
	struct nw_ends *ports = tables->ports + side * NW_PORTS;
	struct filter **have = tables->side[side].filters;

	for (unsigned slot = 0; slot < NW_SLOTS; slot++) {
		const struct filter *want = filters[slot];

		if (have[slot] && want && !memcmp(have[slot], want, sizeof(*want)))
			continue;
		if (have[slot]) {
			tables_ports(ports, have[slot], slot, 0);
			free(have[slot]);
			have[slot] = NULL;
		}
		if (want) {
			have[slot] = malloc(sizeof(*want));
			if (!have[slot])
				return -ENOMEM;
			memcpy(have[slot], want, sizeof(*want));
			tables_ports(ports, want, slot, 1);
		}
	}
	return 0;
}

static uint64_t random_key(int side)
{
	uint64_t key = 0;

	if (getrandom(&key, sizeof(key), 0) != sizeof(key))
		abort(); /* cannot be for 8 bytes */
	return (key & ~1ULL) | (uint64_t)side;
}

int tables_publish(struct tables *tables, const struct filter *const filters[NW_SLOTS])
{
	int side = !(tables->shared->key & 1);
	struct side *current = &tables->side[side];
	struct tables_list list;
	int err;

	err = tables_prefixes(&list, filters, (uint8_t)side);
	if (!err)
		err = write_map(tables->prefixes_fd, &current->prefixes, &list);
	if (!err)
		err = tables_values(&list, filters, (uint8_t)side);
	if (!err)
		err = write_map(tables->values_fd, &current->values, &list);
	if (!err)
		err = write_ports(tables, side, filters);
	if (err)
		return err;
	tables_words(&tables->shared->side[side], filters);
	__atomic_store_n(&tables->shared->key, random_key(side), __ATOMIC_RELEASE);
	return 0;
}
