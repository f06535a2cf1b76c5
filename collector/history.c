// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "category.h"
#include "history.h"
#include "kernel_side.h"

struct history {
	size_t max;   /* entries */
	size_t size;  /* bytes that they may take */
	size_t bytes; /* that they take */
	uint64_t begin, end;
	bool with_address;
	struct history_entry *entries[]; /* by number modulo max */
};

static size_t size_of(const struct history_entry *entry)
{
	return sizeof(*entry) + entry->size;
}

static struct history_entry **place(struct history *h, uint64_t number)
{
	return &h->entries[number % h->max];
}

static void drop_oldest(struct history *h)
{
	struct history_entry **oldest = place(h, h->begin++);

	h->bytes -= size_of(*oldest);
	free(*oldest);
	*oldest = NULL;
}

/* NULL: no memory. */
static struct history_entry *append(struct history *h, enum history_kind kind, size_t size)
{
	struct history_entry *entry = malloc(sizeof(*entry) + size);

	if (!entry)
		return NULL;
	entry->kind = kind;
	entry->size = (uint32_t)size;
	while (h->begin != h->end &&
	       (h->end - h->begin == h->max || h->bytes + size_of(entry) > h->size))
		drop_oldest(h);
	*place(h, h->end++) = entry;
	h->bytes += size_of(entry);
	return entry;
}

/* The address must not be where nobody may see it. */
static void copy_record(const struct history *h, void *to, const struct nw_record *record,
			size_t size)
{
	struct nw_record *copy = to;

	memcpy(to, record, size);
	if (!h->with_address)
		copy->connection.sock = 0;
}

void history_add(struct history *h, const struct nw_record *record, size_t size,
		 int64_t unix_offset_ns)
{
	uint64_t unix_ns = record->time_ns + (uint64_t)unix_offset_ns;
	struct history_entry *entry = append(h, HISTORY_RECORD, size);

	if (!entry) {
		history_add_loss(h, unix_ns, unix_ns);
		return;
	}
	entry->first_ns = entry->unix_ns = unix_ns;
	entry->unix_offset_ns = unix_offset_ns;
	copy_record(h, entry->data, record, size);
}

void history_add_made(struct history *h, const struct category *category, const struct made *made,
		      int64_t unix_offset_ns)
{
	uint64_t unix_ns = made->time_ns + (uint64_t)unix_offset_ns;
	size_t head = sizeof(*made->record), size = category->maker->pack(made, NULL, 0);
	struct history_entry *entry = append(h, HISTORY_MADE, head + size);

	if (!entry) {
		history_add_loss(h, unix_ns, unix_ns);
		return;
	}
	entry->first_ns = entry->unix_ns = unix_ns;
	entry->unix_offset_ns = unix_offset_ns;
	copy_record(h, entry->data, made->record, head);
	category->maker->pack(made, entry->data + head, size);
}

void history_add_loss(struct history *h, uint64_t first_ns, uint64_t last_ns)
{
	struct history_entry *entry = h->begin == h->end ? NULL : *place(h, h->end - 1);

	if (!entry || entry->kind != HISTORY_LOST) {
		entry = append(h, HISTORY_LOST, 0);
		if (!entry && h->begin != h->end) { /* an event for the news that one is lost */
			entry = *place(h, h->end - 1);
			h->bytes -= entry->size;
			entry->kind = HISTORY_LOST;
			entry->size = 0;
			first_ns = entry->first_ns < first_ns ? entry->first_ns : first_ns;
		}
		if (!entry)
			return;
		entry->first_ns = first_ns;
		entry->unix_ns = last_ns;
	}
	if (first_ns < entry->first_ns)
		entry->first_ns = first_ns;
	if (last_ns > entry->unix_ns)
		entry->unix_ns = last_ns;
}

uint64_t history_begin(const struct history *h)
{
	return h->begin;
}

uint64_t history_end(const struct history *h)
{
	return h->end;
}

const struct history_entry *history_get(const struct history *h, uint64_t number)
{
	return h->entries[number % h->max];
}

size_t history_limit(const struct history *h)
{
	return h->max;
}

size_t history_bytes(const struct history *h)
{
	return h->bytes;
}

struct history *history_new(size_t events, bool with_address)
{
	struct history *h = calloc(1, sizeof(*h) + events * sizeof(struct history_entry *));

	if (!h)
		return NULL;
	h->max = events;
	h->size = events * HISTORY_EVENT_SIZE;
	if (h->size < HISTORY_SIZE_MIN)
		h->size = HISTORY_SIZE_MIN;
	h->with_address = with_address;
	return h;
}

void history_free(struct history *h)
{
	if (!h)
		return;
	while (h->begin != h->end)
		drop_oldest(h);
	free(h);
}
