// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include "frame.h"

ssize_t frame_get(const uint8_t *data, size_t size, size_t limit, const uint8_t **body,
		  size_t *length)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < size && i < FRAME_PREFIX_MAX; i++) {
		value |= (uint64_t)(data[i] & 0x7f) << (7 * i);
		if (!(data[i] & 0x80))
			break;
	}
	if (i == FRAME_PREFIX_MAX)
		return -EBADMSG;
	if (value > limit) /* true already of the bytes so far */
		return -EMSGSIZE;
	if (i == size)
		return 0;
	if (!value)
		return -EBADMSG;
	i++;
	if (size - i < value)
		return 0;
	*body = data + i;
	*length = value;
	return (ssize_t)(i + value);
}

size_t frame_prefix(uint8_t out[FRAME_PREFIX_MAX], uint32_t length)
{
	size_t n = 0;

	for (; length >= 0x80; length >>= 7)
		out[n++] = (uint8_t)(length | 0x80);
	out[n++] = (uint8_t)length;
	return n;
}

int frame_pack(const ProtobufCMessage *message, uint8_t **out, size_t *size)
{
	size_t length = protobuf_c_message_get_packed_size(message);
	uint8_t prefix[FRAME_PREFIX_MAX];
	size_t n = frame_prefix(prefix, (uint32_t)length);
	uint8_t *data = malloc(n + length);

	if (!data)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		data[i] = prefix[i];
	protobuf_c_message_pack(message, data + n);
	*out = data;
	*size = n + length;
	return 0;
}
