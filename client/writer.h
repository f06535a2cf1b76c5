/* SPDX-License-Identifier: GPL-2.0-only */
/* The formats of -o. Adding one is a file with its functions and a row in writer.c. */
#ifndef NETWATCH_WRITER_H
#define NETWATCH_WRITER_H

#include <stdbool.h>
#include <stddef.h>

#include "event.h"
#include "output.h"

/* What the lines are for. */
struct writer_layout {
	unsigned width; /* of the terminal, or 0: there is none */
	bool several;	/* more than one category */
	bool snapshot;	/* all events tell of now */
};

struct writer {
	const char *name;
	const char *help;
	bool losses; /* tells of gaps in its stream; otherwise they are told on stderr */
	/* Called once, before the first event: header lines, if any. */
	void (*start)(struct output *output, const struct writer_layout *layout);
	/* Writes the event without its newline; sets output->err when it cannot. */
	void (*event)(struct output *output, const struct event *event);
};

extern const struct writer writer_table, writer_compact, writer_json;

/* By name, or NULL; writer_names is a list for messages: "table, compact, json". */
const struct writer *writer_find(const char *name);
const char *writer_names(void);

/* Any message as ProtoJSON, as --output json of status has it. */
void writer_json_message(struct output *output, const struct message *message);

#endif
