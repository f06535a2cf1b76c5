// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "wire.h"

enum { FIXED64 = 1, LENGTH = 2 };

#define NS_PER_S 1000000000ULL

static void put_varint(struct wire *w, uint64_t value)
{
	if (w->size - w->used < WIRE_VARINT_MAX)
		w->overflow = 1;
	else
		w->used = (size_t)(wire_put_varint(w->data + w->used, value) - w->data);
}

void wire_raw(struct wire *w, const void *data, size_t length)
{
	if (w->size - w->used < length) {
		w->overflow = 1;
		return;
	}
	memcpy(w->data + w->used, data, length);
	w->used += length;
}

static void put_tag(struct wire *w, unsigned field, unsigned type)
{
	put_varint(w, (uint64_t)field << 3 | type);
}

void wire_int(struct wire *w, unsigned field, int64_t value)
{
	wire_uint(w, field, (uint64_t)value);
}

void wire_fixed64(struct wire *w, unsigned field, uint64_t value)
{
	uint8_t little[8];

	for (int i = 0; i < 8; i++)
		little[i] = (uint8_t)(value >> (8 * i));
	put_tag(w, field, FIXED64);
	wire_raw(w, little, sizeof(little));
}

void wire_bytes(struct wire *w, unsigned field, const void *data, size_t length)
{
	put_tag(w, field, LENGTH);
	put_varint(w, length);
	wire_raw(w, data, length);
}

void wire_string(struct wire *w, unsigned field, const char *text)
{
	wire_bytes(w, field, text, strlen(text));
}

size_t wire_begin(struct wire *w, unsigned field)
{
	put_tag(w, field, LENGTH);
	wire_raw(w, "", 1); /* most lengths need one byte */
	return w->used;
}

void wire_end(struct wire *w, size_t begin)
{
	size_t length = w->used - begin, extra = 0;

	if (w->overflow)
		return;
	for (size_t rest = length >> 7; rest; rest >>= 7)
		extra++;
	if (w->size - w->used < extra) {
		w->overflow = 1;
		return;
	}
	if (extra)
		memmove(w->data + begin + extra, w->data + begin, length);
	w->used += extra;
	for (size_t i = 0; i <= extra; i++)
		w->data[begin - 1 + i] = (uint8_t)(length >> (7 * i) | (i < extra ? 0x80 : 0));
}

void wire_timestamp(struct wire *w, unsigned field, uint64_t unix_ns)
{
	size_t begin = wire_begin(w, field);

	if (unix_ns / NS_PER_S)
		wire_int(w, 1, (int64_t)(unix_ns / NS_PER_S));
	if (unix_ns % NS_PER_S)
		wire_int(w, 2, (int64_t)(unix_ns % NS_PER_S));
	wire_end(w, begin);
}
