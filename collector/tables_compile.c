// SPDX-License-Identifier: GPL-2.0-only
/* From filters to words of slots: what each table of a side holds. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"
#include "tables.h"

static void set_range(struct nw_ends *ports, size_t word, unsigned slot, uint32_t first,
		      uint32_t last, int on)
{
	uint64_t bit = 1ULL << slot;

	for (uint32_t port = first; port <= last; port++) {
		__u64 *w = (__u64 *)(void *)((char *)&ports[port] + word);

		*w = on ? *w | bit : *w & ~bit;
	}
}

static void set_ranges(struct nw_ends *ports, size_t word, unsigned slot,
		       const struct filter_range *item, uint32_t n, int on)
{
	for (uint32_t i = 0; i < n; i++)
		set_range(ports, word, slot, item[i].first, item[i].last, on);
}

/* Slots that do not name this end are in nw_side.ports and have no bits here. */
static bool names_end(const struct filter *f, int end)
{
	return f->ports[end].any || f->ports[end].none || f->ports[FILTER_EITHER].none;
}

static void set_end(struct nw_ends *ports, const struct filter *f, int end, size_t word,
		    unsigned slot, int on)
{
	const struct filter_ports *own = &f->ports[end], *either = &f->ports[FILTER_EITHER];

	if (!names_end(f, end))
		return;
	if (own->any)
		set_ranges(ports, word, slot, own->item, own->any, on);
	else
		set_range(ports, word, slot, 0, NW_PORTS - 1, on);
	set_ranges(ports, word, slot, own->item + own->any, own->none, 0);
	set_ranges(ports, word, slot, either->item + either->any, either->none, 0);
}

void tables_ports(struct nw_ends *ports, const struct filter *filter, unsigned slot, int on)
{
	const struct filter_ports *either = &filter->ports[FILTER_EITHER];

	set_end(ports, filter, FILTER_LOCAL, offsetof(struct nw_ends, local), slot, on);
	set_end(ports, filter, FILTER_REMOTE, offsetof(struct nw_ends, remote), slot, on);
	set_ranges(ports, offsetof(struct nw_ends, either), slot, either->item, either->any, on);
}

static int compare_entries(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(((struct tables_entry *)NULL)->key));
}

/* Sorts and removes what stands twice. */
static void make_set(struct tables_list *list)
{
	size_t n = 0;

	qsort(list->entry, list->n, sizeof(list->entry[0]), compare_entries);
	for (size_t i = 0; i < list->n; i++) {
		if (!n || compare_entries(&list->entry[n - 1], &list->entry[i]))
			list->entry[n++] = list->entry[i];
	}
	list->n = n;
}

static void prefix_words(struct tables_entry *e, const struct filter *f, uint64_t bit)
{
	uint8_t length = (uint8_t)(e->prefix.length - 32), family = e->prefix.family;
	const uint8_t *address = e->prefix.address;
	const struct filter_prefixes *p = f->prefixes, *either = &p[FILTER_EITHER];
	bool refused = filter_prefixes_cover(either, true, family, length, address);
	bool local = !p[FILTER_LOCAL].any ||
		     filter_prefixes_cover(&p[FILTER_LOCAL], false, family, length, address);
	bool remote = !p[FILTER_REMOTE].any ||
		      filter_prefixes_cover(&p[FILTER_REMOTE], false, family, length, address);

	if (local && !refused &&
	    !filter_prefixes_cover(&p[FILTER_LOCAL], true, family, length, address))
		e->ends.local |= bit;
	if (remote && !refused &&
	    !filter_prefixes_cover(&p[FILTER_REMOTE], true, family, length, address))
		e->ends.remote |= bit;
	if (!either->any || filter_prefixes_cover(either, false, family, length, address))
		e->ends.either |= bit;
}

int tables_prefixes(struct tables_list *list, const struct filter *const filters[NW_SLOTS],
		    uint8_t side)
{
	struct tables_list all = {
		.entry = calloc(NW_SLOTS * FILTER_PREFIXES_MAX, sizeof(*all.entry))};

	if (!all.entry)
		return -ENOMEM;
	for (unsigned slot = 0; slot < NW_SLOTS; slot++) {
		const struct filter_prefixes *p = filters[slot] ? filters[slot]->prefixes : NULL;

		for (int end = 0; p && end < FILTER_ENDS; end++) {
			for (uint32_t i = 0; i < p[end].any + p[end].none; i++) {
				struct nw_prefix *key = &all.entry[all.n++].prefix;

				key->length = 32U + p[end].item[i].length;
				key->side = side;
				key->family = p[end].item[i].family;
				memcpy(key->address, p[end].item[i].address, sizeof(key->address));
			}
		}
	}
	make_set(&all);
	for (size_t i = 0; i < all.n; i++) {
		for (unsigned slot = 0; slot < NW_SLOTS; slot++) {
			if (filters[slot])
				prefix_words(&all.entry[i], filters[slot], 1ULL << slot);
		}
	}
	*list = all;
	return 0;
}

/* A filter's scope is one more set of uids: the owner's. */
static bool scope_is_all(const struct filter *f)
{
	return f->scope == NETWATCH__SCOPE__ALL || f->scope == NETWATCH__SCOPE__ALL_WITH_HTTP;
}

static bool scope_has(const struct filter *f, const uint8_t *value)
{
	uint8_t owner[FILTER_VALUE_SIZE] = {0};

	memcpy(owner, &f->owner, sizeof(f->owner));
	return scope_is_all(f) ||
	       (f->scope == NETWATCH__SCOPE__OWN && !memcmp(owner, value, sizeof(owner)));
}

static void value_words(struct tables_entry *e, const struct filter *f, uint64_t bit)
{
	const struct filter_values *set = &f->values[e->value.dimension];
	struct filter_values any = {.any = set->any}, none = {.any = set->none};

	if (e->value.dimension != NW_CGROUP) {
		if (filter_values_accept(set, e->value.value) &&
		    (e->value.dimension != NW_UID || scope_has(f, e->value.value)))
			e->words.any |= bit;
		return;
	}
	/* `any` and `none` of ancestors are joined first, then judged: see nw_classify_cgroup. */
	memcpy(any.item, set->item, set->any * sizeof(set->item[0]));
	memcpy(none.item, set->item + set->any, set->none * sizeof(set->item[0]));
	if (any.any && filter_values_accept(&any, e->value.value))
		e->words.any |= bit;
	if (none.any && filter_values_accept(&none, e->value.value))
		e->words.none |= bit;
}

static void add_value(struct tables_list *list, uint8_t side, uint8_t dimension, const void *value,
		      size_t size)
{
	struct nw_value *key = &list->entry[list->n++].value;

	key->side = side;
	key->dimension = dimension;
	memcpy(key->value, value, size);
}

int tables_values(struct tables_list *list, const struct filter *const filters[NW_SLOTS],
		  uint8_t side)
{
	struct tables_list all = {.entry = NULL};
	size_t n = 0;

	for (unsigned slot = 0; slot < NW_SLOTS; slot++) {
		for (int d = 0; filters[slot] && d < NW_DIMENSIONS; d++)
			n += filters[slot]->values[d].any + filters[slot]->values[d].none + 1;
	}
	all.entry = calloc(n + 1, sizeof(*all.entry));
	if (!all.entry)
		return -ENOMEM;
	for (unsigned slot = 0; slot < NW_SLOTS; slot++) {
		const struct filter *f = filters[slot];

		for (uint8_t d = 0; f && d < NW_DIMENSIONS; d++) {
			for (uint32_t i = 0; i < f->values[d].any + f->values[d].none; i++)
				add_value(&all, side, d, f->values[d].item[i], FILTER_VALUE_SIZE);
		}
		if (f && f->scope == NETWATCH__SCOPE__OWN)
			add_value(&all, side, NW_UID, &f->owner, sizeof(f->owner));
	}
	make_set(&all);
	for (size_t i = 0; i < all.n; i++) {
		for (unsigned slot = 0; slot < NW_SLOTS; slot++) {
			if (filters[slot])
				value_words(&all.entry[i], filters[slot], 1ULL << slot);
		}
	}
	*list = all;
	return 0;
}

static void words_of(struct nw_side *w, const struct filter *f, uint64_t bit)
{
	for (int i = 0; i < 2; i++)
		w->family[i] |= f->families & 1U << i ? bit : 0;
	for (int i = 0; i < NW_ROLES; i++)
		w->role[i] |= f->roles & 1U << i ? bit : 0;
	w->ports.local |= names_end(f, FILTER_LOCAL) ? 0 : bit;
	w->ports.remote |= names_end(f, FILTER_REMOTE) ? 0 : bit;
	w->ports.either |= f->ports[FILTER_EITHER].any ? 0 : bit;
	w->prefixes.local |= f->prefixes[FILTER_LOCAL].any ? 0 : bit;
	w->prefixes.remote |= f->prefixes[FILTER_REMOTE].any ? 0 : bit;
	w->prefixes.either |= f->prefixes[FILTER_EITHER].any ? 0 : bit;
	for (int end = 0; end < FILTER_ENDS; end++) {
		if (f->ports[end].any || f->ports[end].none)
			w->used |= NW_USED_PORTS;
		if (f->prefixes[end].any || f->prefixes[end].none)
			w->used |= NW_USED_PREFIXES;
	}
	for (int d = 0; d < NW_DIMENSIONS; d++) {
		const struct filter_values *v = &f->values[d];
		bool named = v->any || v->none || (d == NW_UID && !scope_is_all(f));

		w->used |= named ? 1ULL << d : 0;
		w->other[d] |= v->any || (d == NW_UID && !scope_is_all(f)) ? 0 : bit;
		w->unknown[d] |= named ? 0 : bit;
	}
}

void tables_words(struct nw_side *words, const struct filter *const filters[NW_SLOTS])
{
	memset(words, 0, sizeof(*words));
	for (unsigned slot = 0; slot < NW_SLOTS; slot++) {
		if (filters[slot])
			words_of(words, filters[slot], 1ULL << slot);
	}
}
