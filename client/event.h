/* SPDX-License-Identifier: GPL-2.0-only */
/* One event as the writers get it: read from its wire bytes, with the cgroup's path added. */
#ifndef NETWATCH_EVENT_H
#define NETWATCH_EVENT_H

#include "schema.h"

struct event {
	struct message top;	   /* netwatch.Event */
	struct message connection; /* without any field when the event has none */
	/* the first that is there; NULL: a kind that this client does not know */
	const struct schema_field *category;
	struct message detail; /* the category's message */
	/* what came with it: of a list, the counters besides conn; NULL: nothing */
	const struct schema_field *also;
	struct message also_detail; /* without any field when there is nothing */
	const uint8_t *data;	    /* its wire bytes */
	size_t size;
	bool cgroup_added; /* the cgroup's path, which is not in them */
};

/* Prepares the schema. 0 or -ENOMEM. */
int event_init(void);

/* From now on events are as they were recorded, perhaps elsewhere: nothing is added to them. */
void event_as_recorded(void);

/* Schema of netwatch.Event and of its connection; after event_init. */
const struct schema *event_schema(void);
const struct schema *event_connection_schema(void);

/* True for a member of netwatch.Event that says what happened; after event_init. */
bool event_is_category(const struct schema_field *field);

/* Reads an Event; it points into data. 0 or -EBADMSG. */
int event_read(struct event *event, const uint8_t *data, size_t size);

/* When it happened; false: it does not say. */
bool event_time(const struct event *event, struct value *timestamp);

/*
 * True when the category's message has its first field, and that is one name: it says what
 * kind of event this is (ESTABLISHED, RX, ...), and the formats for people put it first.
 */
bool event_leads(const struct message *detail);

/*
 * The fields to print behind the leading one, if there is one: without those that repeat it,
 * as in ESTABLISHED state=ESTABLISHED.
 */
uint64_t event_rest(const struct message *detail);

/* The fields to print of what came with it: without those that repeat the category's. */
uint64_t event_also_rest(const struct event *event);

/* The message of that member of an event, if it is one of what happened; or NULL. */
const struct message *event_detail(const struct event *event, const struct schema_field *member);

/* The cgroup's path if it was added, else nothing, of length 0. */
struct value event_added_path(const struct event *event);

/* A Netwatch__Conn__Stage, EXISTING or CLOSE or another; 0: something else happened. */
uint64_t event_stage(const struct event *event);

/* True for the category of events that tell of a gap. */
bool event_is_lost(const struct event *event);

#endif
