// SPDX-License-Identifier: GPL-2.0-only
// The delimited stream of the collector, from hello to bye: as it comes, or as record keeps it,
// with what nobody could find out later.
#include <limits.h>
#include <stdlib.h>

#include "escape.h"
#include "frame.h"
#include "netwatch.pb-c.h"
#include "writer.h"

#define KEY_MAX	   5  /* bytes: a varint of 32 bits, as in a frame's prefix */
#define CONNECTION 2  /* number of netwatch.Event.connection */
#define CGROUP	   12 /* and in it */

#define PATH_SIZE (ESCAPE_MAX * PATH_MAX)

/* What stands before a field of that many bytes. */
struct head {
	uint8_t bytes[KEY_MAX + FRAME_PREFIX_MAX];
	size_t size;
};

static struct head head_of(uint32_t number, size_t length)
{
	struct head head;

	head.size = frame_prefix(head.bytes, number << 3 | PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED);
	head.size += frame_prefix(head.bytes + head.size, (uint32_t)length);
	return head;
}

static void put_head(struct output *output, const struct head *head)
{
	output_bytes(output, head->bytes, head->size);
}

/* Begins a Reply whose one member has that many bytes. */
static void begin_reply(struct output *output, uint32_t number, size_t size)
{
	const struct head head = head_of(number, size);
	uint8_t frame[FRAME_PREFIX_MAX];

	output_bytes(output, frame, frame_prefix(frame, (uint32_t)(head.size + size)));
	put_head(output, &head);
}

static void pb_reply(struct output *output, uint32_t number, const uint8_t *data, size_t size)
{
	begin_reply(output, number, size);
	output_bytes(output, data, size);
}

static void pb_event(struct output *output, const struct event *event)
{
	pb_reply(output, NETWATCH__REPLY__REPLY_EVENT, event->data, event->size);
}

/* The path that was added, as UTF-8. */
static size_t cgroup_of(const struct event *event, char *text, size_t size)
{
	struct value path = event_added_path(event);

	return escape_bytes(text, size, (const char *)path.data, path.length);
}

/* The event with the cgroup's path at the end of its connection. */
static void pb_event_with_cgroup(struct output *output, const struct event *event, char *path)
{
	size_t path_length = cgroup_of(event, path, PATH_SIZE);
	struct value old = {.length = 0};
	const uint8_t *tag = message_locate(event->data, event->size, CONNECTION, &old);
	const struct head cgroup = head_of(CGROUP, path_length);
	size_t length = old.length + cgroup.size + path_length;
	const struct head connection = head_of(CONNECTION, length);
	size_t before = (size_t)(tag - event->data);
	size_t behind = event->size - (size_t)(old.data + old.length - event->data);

	begin_reply(output, NETWATCH__REPLY__REPLY_EVENT,
		    before + connection.size + length + behind);
	output_bytes(output, event->data, before);
	put_head(output, &connection);
	output_bytes(output, old.data, old.length);
	put_head(output, &cgroup);
	output_bytes(output, path, path_length);
	output_bytes(output, old.data + old.length, behind);
}

static void recording_event(struct output *output, const struct event *event)
{
	static char *path; /* kept: only a recording needs so much */

	if (event->cgroup_added && !path)
		path = malloc(PATH_SIZE);
	if (event->cgroup_added && path && event->size < FRAME_REPLY_MAX - PATH_SIZE)
		pb_event_with_cgroup(output, event, path);
	else
		pb_event(output, event);
}

const struct writer writer_pb = {
	.name = "pb",
	.help = "the delimited protobuf stream",
	.losses = true,
	.binary = true,
	.event = pb_event,
	.reply = pb_reply,
};

const struct writer writer_recording = {
	.name = "pb",
	.help = "the same for replay",
	.losses = true,
	.binary = true,
	.recording = true,
	.event = recording_event,
	.reply = pb_reply,
};
