/* SPDX-License-Identifier: GPL-2.0-only */
/* The formats of -o. Adding one is a file with its functions and a row in writer.c. */
#ifndef NETWATCH_WRITER_H
#define NETWATCH_WRITER_H

#include <stdbool.h>
#include <stddef.h>

#include "event.h"
#include "output.h"

struct categories;
struct columns;
struct time_format;

/* What the lines are for. */
struct writer_layout {
	unsigned width;			     /* of the terminal, or 0: there is none */
	bool snapshot;			     /* all events tell of now */
	bool header;			     /* is wanted */
	const struct categories *categories; /* that were asked for; none: the collector knows */
	const struct columns *columns;	     /* that were chosen; none: the writer's own */
	const struct time_format *time;	     /* NULL: the writer's own */
};

struct writer {
	const char *name;
	const char *help;
	bool losses;	/* tells of gaps in its stream; otherwise they are told on stderr */
	bool columns;	/* takes --fields; it tells of gaps only when these do */
	bool colors;	/* shows names with color_of */
	bool binary;	/* no lines */
	bool recording; /* for replay: its hello names the categories that were asked for */
	/* Called once, before the first event: header lines, if any. NULL: none. */
	void (*start)(struct output *output, const struct writer_layout *layout);
	/* Writes the event without its newline; sets output->err when it cannot. */
	void (*event)(struct output *output, const struct event *event);
	/* Writes another message of the collector, by its number in Reply. NULL: does not. */
	void (*reply)(struct output *output, uint32_t number, const uint8_t *data, size_t size);
};

extern const struct writer writer_table, writer_compact, writer_json, writer_csv, writer_pb;
extern const struct writer writer_recording; /* no word of --output */

/* Words of --output, ended by NULL, and what they mean. */
extern const char *const writer_words[];
const struct writer *writer_of(unsigned index);

/* Any message as ProtoJSON, as --output json of status has it; and text as a string of it. */
void writer_json_message(struct output *output, const struct message *message);
void writer_json_text(struct output *output, const char *text);

#endif
