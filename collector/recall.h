/* SPDX-License-Identifier: GPL-2.0-only */
/* What one viewer gets of what is remembered: the same events, and the same bytes, as live. */
#ifndef NETWATCH_RECALL_H
#define NETWATCH_RECALL_H

#include <stdbool.h>

struct cgroups;
struct event_frame;
struct filter;
struct history_entry;

/* Does the filter, with its scope and the categories that it wants, accept this event? */
bool recall_accepts(const struct history_entry *entry, const struct filter *filter,
		    const struct cgroups *cgroups);

/* Encodes an event that is accepted, or a loss. 0 or -EBADMSG. */
int recall_frame(struct event_frame *frame, const struct history_entry *entry,
		 const struct filter *filter);

#endif
