// SPDX-License-Identifier: GPL-2.0-only
// The delimited stream of the collector, from hello to bye, as the protocol has it.
#include "frame.h"
#include "netwatch.pb-c.h"
#include "writer.h"

#define KEY_MAX 5 /* bytes: a varint of 32 bits, as in a frame's prefix */

/* A Reply with one member. */
static void pb_reply(struct output *output, uint32_t number, const uint8_t *data, size_t size)
{
	uint8_t frame[FRAME_PREFIX_MAX], key[KEY_MAX], length[FRAME_PREFIX_MAX];
	size_t frame_size, key_size, length_size;

	key_size = frame_prefix(key, number << 3 | PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED);
	length_size = frame_prefix(length, (uint32_t)size);
	frame_size = frame_prefix(frame, (uint32_t)(key_size + length_size + size));
	output_bytes(output, frame, frame_size);
	output_bytes(output, key, key_size);
	output_bytes(output, length, length_size);
	output_bytes(output, data, size);
}

static void pb_event(struct output *output, const struct event *event)
{
	pb_reply(output, NETWATCH__REPLY__REPLY_EVENT, event->data, event->size);
}

const struct writer writer_pb = {
	.name = "pb",
	.help = "the delimited protobuf stream",
	.losses = true,
	.binary = true,
	.event = pb_event,
	.reply = pb_reply,
};
