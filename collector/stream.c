// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "stream.h"

/* For all streams, one at a time: what cannot be kept can still be sent. */
static struct block reserve = {.reserve = true};
static struct stream *reserve_user;

void block_unref(struct block *block)
{
	if (block && !--block->references && !block->reserve)
		free(block);
}

void stream_init(struct stream *stream)
{
	memset(stream, 0, sizeof(*stream));
	TAILQ_INIT(&stream->readers);
}

void stream_deinit(struct stream *stream)
{
	block_unref(stream->block);
	stream->block = NULL;
}

static struct block *take_reserve(struct stream *stream)
{
	if (reserve.references)
		stream_flush(reserve_user);
	reserve_user = stream;
	return &reserve;
}

static void begin_block(struct stream *stream, uint64_t unix_ns)
{
	struct block *block = malloc(sizeof(*block));

	if (block)
		block->reserve = false;
	else
		block = take_reserve(stream);
	block->references = 1;
	block->events = 0;
	block->used = 0;
	block->first_ns = unix_ns;
	stream->block = block;
}

static size_t size_of(const struct block *block)
{
	return block->reserve ? BLOCK_WHOLE : BLOCK_SIZE;
}

void stream_event(struct stream *stream, const uint8_t *frame, size_t size, uint64_t unix_ns)
{
	struct block *block;

	stream->matched++;
	if (TAILQ_EMPTY(&stream->readers))
		return;
	if (stream->block && stream->block->used + size > size_of(stream->block))
		stream_flush(stream);
	if (!stream->block)
		begin_block(stream, unix_ns);
	block = stream->block;
	memcpy(block->data + block->used, frame, size);
	block->used += size;
	block->events++;
	block->last_ns = unix_ns;
}

void stream_filtered(struct stream *stream)
{
	stream->matched++;
	stream->filtered++;
}

void stream_remembered(struct stream *stream)
{
	stream->matched++;
}

void stream_flush(struct stream *stream)
{
	struct block *block = stream->block;
	struct reader *reader;

	if (!block)
		return;
	stream->block = NULL;
	TAILQ_FOREACH (reader, &stream->readers, link)
		reader->ops->block(reader, block);
	block_unref(block);
}

void stream_lost(struct stream *stream, uint64_t total, uint64_t first_ns, uint64_t last_ns)
{
	uint64_t count = total - stream->lost;
	struct reader *reader;

	if (!count)
		return;
	stream_flush(stream);
	stream->lost = total;
	TAILQ_FOREACH (reader, &stream->readers, link) {
		reader->lost_kernel += count;
		reader->ops->lost(reader, count, first_ns, last_ns);
	}
}

void stream_join(struct stream *stream, struct reader *reader)
{
	stream_flush(stream);
	reader->matched_base = stream->matched;
	reader->filtered_base = stream->filtered;
	TAILQ_INSERT_TAIL(&stream->readers, reader, link);
}

void stream_leave(struct stream *stream, struct reader *reader)
{
	stream_flush(stream);
	reader->matched_base = stream_matched(stream, reader); /* from here on the total itself */
	reader->filtered_base = stream_filtered_of(stream, reader);
	TAILQ_REMOVE(&stream->readers, reader, link);
}

uint64_t stream_matched(const struct stream *stream, const struct reader *reader)
{
	return stream->matched - reader->matched_base + reader->lost_kernel;
}

uint64_t stream_filtered_of(const struct stream *stream, const struct reader *reader)
{
	return stream->filtered - reader->filtered_base;
}
