// SPDX-License-Identifier: GPL-2.0-only
/* Which slot a reader gets: one with the same filter, a free one, or it waits. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "filter.h"
#include "reports.h"
#include "slots.h"
#include "slots_table.h"

static struct slot *find_slot(struct slots *slots, const struct filter *filter)
{
	for (unsigned i = 0; i < NW_SLOTS; i++) {
		struct slot *slot = &slots->slot[i];

		if ((slot->state == SLOT_WAITING || slot->state == SLOT_LIVE) &&
		    !memcmp(slot->filter, filter, sizeof(*filter)))
			return slot;
	}
	return NULL;
}

/* The same, of the intervals of reports. */
static int take_interval(struct slots *slots, struct slot *slot, uint32_t ms, bool closing,
			 struct filter_error *why)
{
	slot->interval = -1;
	if (ms)
		slot->interval = reports_take(slots->reports, ms);
	if (!ms || slot->interval >= 0)
		return 0;
	if (closing)
		return -EAGAIN;
	snprintf(why->message, sizeof(why->message),
		 "interval of %u ms: %d other intervals of tcpinfo are in use", ms, NW_INTERVALS);
	return -EINVAL;
}

/* -EAGAIN: one is about to be free. -EINVAL with *why: a limit. */
static int new_slot(struct slots *slots, const struct filter *filter, uint32_t uid,
		    struct slot **out, struct filter_error *why)
{
	struct slot *slot = NULL;
	unsigned own = 0, taken = 0;
	bool closing = false;
	int err;

	for (unsigned i = 0; i < NW_SLOTS; i++) {
		struct slot *s = &slots->slot[i];

		own += (s->state == SLOT_WAITING || s->state == SLOT_LIVE) && s->uid == uid;
		taken += s->state == SLOT_WAITING || s->state == SLOT_LIVE;
		closing |= s->state == SLOT_CLOSING;
		if (s->state == SLOT_FREE && !slot)
			slot = s;
	}
	why->code = NETWATCH__ERROR__CODE__LIMIT;
	if (uid && own >= SLOTS_PER_UID) {
		snprintf(why->message, sizeof(why->message),
			 "uid %u has %d distinct filters at once already", uid, SLOTS_PER_UID);
		return -EINVAL;
	}
	if (uid && taken >= NW_SLOTS - SLOTS_ROOT)
		slot = NULL;
	else if (!slot && closing)
		return -EAGAIN;
	if (slot)
		slot->filter = malloc(sizeof(*slot->filter));
	if (!slot || !slot->filter) {
		snprintf(why->message, sizeof(why->message), "all %d filters are in use", NW_SLOTS);
		return -EINVAL;
	}
	err = take_interval(slots, slot, filter->interval_ms, closing, why);
	if (err) {
		free(slot->filter);
		slot->filter = NULL;
		return err;
	}
	memcpy(slot->filter, filter, sizeof(*filter));
	slot->state = SLOT_WAITING;
	slot->uid = uid;
	slot->active = 0;
	stream_init(&slot->stream);
	TAILQ_INIT(&slot->waiting);
	*out = slot;
	return 0;
}

int slots_place(struct slots *slots, struct reader *reader, const struct filter *filter,
		struct filter_error *why)
{
	struct slot *slot = find_slot(slots, filter);
	int err = slot ? 0 : new_slot(slots, filter, reader->uid, &slot, why);

	if (err)
		return err;
	reader->slot = slot;
	reader->state = READER_WAITING;
	slot->active++;
	TAILQ_INSERT_TAIL(&slot->waiting, reader, link);
	event_active(slots->pump, EV_TIMEOUT, 0);
	return 0;
}

int slots_queue(struct slots *slots, struct reader *reader, const struct filter *filter)
{
	reader->queued = malloc(sizeof(*filter));
	if (!reader->queued)
		return -ENOMEM;
	memcpy(reader->queued, filter, sizeof(*filter));
	reader->state = READER_QUEUED;
	TAILQ_INSERT_TAIL(&slots->queue, reader, link);
	return 0;
}

void slots_unqueue(struct slots *slots, struct reader *reader)
{
	TAILQ_REMOVE(&slots->queue, reader, link);
	free(reader->queued);
	reader->queued = NULL;
	reader->state = READER_NONE;
}

void slots_place_queued(struct slots *slots)
{
	struct reader *reader;

	while ((reader = TAILQ_FIRST(&slots->queue))) {
		struct filter *filter = reader->queued;
		struct filter_error why;
		int err;

		/* slots_place links the reader elsewhere. */
		TAILQ_REMOVE(&slots->queue, reader, link);
		err = slots_place(slots, reader, filter, &why);
		if (err == -EAGAIN) {
			TAILQ_INSERT_HEAD(&slots->queue, reader, link);
			return;
		}
		reader->queued = NULL;
		free(filter);
		if (err) {
			reader->state = READER_NONE;
			reader->ops->refused(reader, &why);
		}
	}
}
