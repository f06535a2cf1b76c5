// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stddef.h>

#include "category.h"
#include "cgroups.h"
#include "event.h"
#include "filter.h"
#include "history.h"
#include "kernel_side.h"
#include "recall.h"

/* What is done with an event that was packed, while it is there. */
struct unpacked {
	const struct category *category;
	const struct filter *filter;
	const struct history_entry *entry;
	struct event_frame *frame; /* NULL: it is judged */
	bool accepted;
	int err;
};

static void on_unpacked(void *arg, const struct made *made)
{
	struct unpacked *u = arg;
	bool redacted, shown;

	shown = filter_shows_content(u->filter, made->record->connection.uid, &redacted);
	if (!u->frame)
		u->accepted = shown && u->category->maker->accepts(u->filter, made);
	else
		u->err = event_from_made(u->frame, u->category, made, u->entry->unix_offset_ns,
					 u->filter->with_address, redacted);
}

static void unpack(struct unpacked *u)
{
	const struct nw_record *record = (const void *)u->entry->data;

	u->category->maker->unpack(record, u->entry->data + sizeof(*record),
				   u->entry->size - sizeof(*record), on_unpacked, u);
}

static const struct category *category_of(const struct history_entry *entry)
{
	const struct nw_record *record = (const void *)entry->data;

	return categories[record->connection.category];
}

static bool is_wanted(const struct history_entry *entry, const struct filter *filter)
{
	const struct category *category = category_of(entry);
	const struct nw_record *record = (const void *)entry->data;
	uint64_t bits =
		category->wanted_by ? category->wanted_by(record, entry->size) : category->wants;

	return filter->wants & bits;
}

/* Of a segment that no socket handled: who asks for what only sockets have does not get it. */
static bool asks_for_socket(const struct filter *filter)
{
	const struct filter_values *uid = &filter->values[NW_UID];
	const struct filter_values *cgroup = &filter->values[NW_CGROUP];

	return filter->scope == NETWATCH__SCOPE__OWN || uid->any || uid->none || cgroup->any ||
	       cgroup->none;
}

/* Whose cgroup is not known as a whole gets only who does not ask for it. */
static bool row_accepted(const struct nw_connection *connection, const struct filter *filter,
			 const struct cgroups *cgroups)
{
	const struct filter_values *cgroup = &filter->values[NW_CGROUP];
	struct nw_row row = {.connection = *connection};

	if (!connection->cookie && asks_for_socket(filter))
		return false;
	if ((cgroup->any || cgroup->none) &&
	    !cgroups_ancestors(cgroups, connection->cgroup, row.ancestors))
		return false;
	return filter_accepts(filter, &row);
}

bool recall_accepts(const struct history_entry *entry, const struct filter *filter,
		    const struct cgroups *cgroups)
{
	const struct nw_record *record = (const void *)entry->data;
	struct unpacked u = {.filter = filter, .entry = entry};

	if (entry->kind == HISTORY_LOST || !is_wanted(entry, filter) ||
	    !row_accepted(&record->connection, filter, cgroups))
		return false;
	if (entry->kind == HISTORY_RECORD)
		return true;
	u.category = category_of(entry);
	unpack(&u);
	return u.accepted;
}

int recall_frame(struct event_frame *frame, const struct history_entry *entry,
		 const struct filter *filter)
{
	const struct nw_record *record = (const void *)entry->data;
	struct unpacked u = {.filter = filter, .entry = entry, .frame = frame, .err = -EBADMSG};

	if (entry->kind == HISTORY_LOST) {
		event_lost(frame, NETWATCH__LOST__CAUSE__KERNEL_RING, 0, entry->first_ns,
			   entry->unix_ns);
		return 0;
	}
	if (entry->kind == HISTORY_RECORD)
		return event_from_record(frame, record, entry->size, entry->unix_offset_ns,
					 filter->with_address);
	u.category = category_of(entry);
	unpack(&u);
	return u.err;
}
