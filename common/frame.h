/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The delimited form of protobuf messages: a varint length, then the message.
 * The only code that knows the length prefix.
 */
#ifndef NETWATCH_FRAME_H
#define NETWATCH_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <protobuf-c/protobuf-c.h>

#define FRAME_PREFIX_MAX  5	      /* bytes of the varint of a 32-bit length */
#define FRAME_REQUEST_MAX 4096	      /* a longer message from a client is refused */
#define FRAME_REPLY_MAX	  (64 * 1024) /* a longer message from the collector is refused */

/*
 * Finds the frame that begins at data. Returns the size of prefix and message, with
 * the message (inside data) in *body and *length; 0 when size bytes are not enough;
 * -EMSGSIZE when the message is longer than limit, -EBADMSG when its length is zero
 * or no varint of 32 bits. The length is judged as soon as the prefix is there.
 */
ssize_t frame_get(const uint8_t *data, size_t size, size_t limit, const uint8_t **body,
		  size_t *length);

/* Writes the prefix of a message of length bytes; returns the prefix's size. */
size_t frame_prefix(uint8_t out[FRAME_PREFIX_MAX], uint32_t length);

/* Packs message with its prefix into *out, which the caller frees. 0 or -ENOMEM. */
int frame_pack(const ProtobufCMessage *message, uint8_t **out, size_t *size);

#endif
