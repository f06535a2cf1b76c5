// SPDX-License-Identifier: GPL-2.0-only
/* Blocks and accounts: readers that come and go get exactly their part, in order. */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "collector/stream.h"
#include "rng.h"

#define READERS	   8
#define STORY_MAX  40000 /* what happened, event by event */
#define KEPT_MAX   32	 /* blocks that one reader keeps */
#define FRAME_MAX  900
#define TIME_OF(n) ((uint64_t)(n)*1000)

/* One thing that happened: an event, told by its number, or a loss of so many. */
struct item {
	uint32_t event;
	uint32_t lost; /* 0: an event */
	bool dropped;  /* the reader's queue was full */
};

struct frame {
	uint32_t size;
	uint32_t event;
	uint8_t padding[FRAME_MAX - 8];
};

/* A subscriber, which writes down what it is told. */
struct fake {
	struct reader reader;
	bool joined;
	bool full; /* drops blocks */
	bool keeps;
	size_t begin; /* of its part of the story */
	struct item *told;
	size_t n;
	struct block *kept[KEPT_MAX];
	size_t n_kept;
};

static struct item story[STORY_MAX];
static size_t n_story;
static struct fake fakes[READERS];
static unsigned long blocks;

static struct fake *fake_of(struct reader *reader)
{
	return (struct fake *)((char *)reader - offsetof(struct fake, reader));
}

static void drop_kept(struct fake *fake)
{
	while (fake->n_kept)
		block_unref(fake->kept[--fake->n_kept]);
}

static void on_block(struct reader *reader, struct block *block)
{
	struct fake *fake = fake_of(reader);
	uint32_t events = 0, last = 0;

	assert_true(block->used && block->used <= BLOCK_SIZE);
	for (size_t at = 0; at < block->used; events++) {
		struct frame frame;

		memcpy(&frame, block->data + at, 8);
		if (!events)
			assert_int_equal(block->first_ns, TIME_OF(frame.event));
		last = frame.event;
		fake->told[fake->n++] = (struct item){.event = last, .dropped = fake->full};
		at += frame.size;
		assert_true(at <= block->used);
	}
	assert_int_equal(block->events, events);
	assert_int_equal(block->last_ns, TIME_OF(last));
	*(fake->full ? &reader->lost_queue : &reader->delivered) += events;
	if (fake->keeps && fake->n_kept < KEPT_MAX) {
		block->references++;
		fake->kept[fake->n_kept++] = block;
	}
	blocks++;
}

static void on_lost(struct reader *reader, uint64_t count, uint64_t first_ns, uint64_t last_ns)
{
	struct fake *fake = fake_of(reader);

	assert_int_equal(first_ns, TIME_OF(n_story));
	assert_int_equal(last_ns, TIME_OF(n_story) + 1);
	fake->told[fake->n++] = (struct item){.lost = (uint32_t)count};
}

static const struct reader_ops ops = {.block = on_block, .lost = on_lost};

static void happen_event(struct stream *stream, uint32_t size)
{
	struct frame frame = {.size = size, .event = (uint32_t)n_story};
	uint8_t *exact = malloc(size);

	assert_non_null(exact);
	memcpy(exact, &frame, size);
	stream_event(stream, exact, size, TIME_OF(n_story));
	free(exact);
	story[n_story] = (struct item){.event = (uint32_t)n_story};
	n_story++;
}

static void happen_loss(struct stream *stream, uint32_t count)
{
	stream_lost(stream, stream->lost + count, TIME_OF(n_story), TIME_OF(n_story) + 1);
	if (count)
		story[n_story++] = (struct item){.lost = count};
}

static void join(struct stream *stream, struct fake *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->reader.ops = &ops;
	fake->told = malloc(STORY_MAX * sizeof(*fake->told));
	assert_non_null(fake->told);
	fake->begin = n_story;
	fake->joined = true;
	stream_join(stream, &fake->reader);
}

/* What it was told is its part of the story, and its account says the same. */
static void check_account(const struct fake *fake, uint64_t matched)
{
	uint64_t delivered = 0, lost_queue = 0, lost_kernel = 0;

	assert_int_equal(fake->n, n_story - fake->begin);
	for (size_t i = 0; i < fake->n; i++) {
		const struct item *told = &fake->told[i], *was = &story[fake->begin + i];

		assert_int_equal(told->event, was->event);
		assert_int_equal(told->lost, was->lost);
		lost_kernel += told->lost;
		lost_queue += !told->lost && told->dropped;
		delivered += !told->lost && !told->dropped;
	}
	assert_int_equal(fake->reader.delivered, delivered);
	assert_int_equal(fake->reader.lost_queue, lost_queue);
	assert_int_equal(fake->reader.lost_kernel, lost_kernel);
	assert_int_equal(matched, delivered + lost_queue + lost_kernel);
}

static void leave(struct stream *stream, struct fake *fake)
{
	stream_leave(stream, &fake->reader);
	check_account(fake, fake->reader.matched_base);
	fake->joined = false;
	drop_kept(fake);
	free(fake->told);
}

static void change_reader(struct rng *rng, struct stream *stream, struct fake *fake)
{
	if (!fake->joined) {
		join(stream, fake);
		return;
	}
	switch (rng_below(rng, 4)) {
	case 0:
		leave(stream, fake);
		break;
	case 1:
		stream_flush(stream); /* else what is gathered meets the new state */
		fake->full = !fake->full;
		break;
	case 2:
		fake->keeps = !fake->keeps;
		break;
	case 3:
		drop_kept(fake);
		break;
	}
}

static void test_readers_come_and_go(void **state)
{
	struct rng rng = rng_new();
	struct stream stream;

	(void)state;
	n_story = 0;
	stream_init(&stream);
	while (n_story < STORY_MAX - 1) {
		uint32_t what = rng_below(&rng, 1000);

		if (what < 970)
			happen_event(&stream, 8 + rng_below(&rng, FRAME_MAX - 8));
		else if (what < 975)
			happen_loss(&stream, rng_below(&rng, 3) * 1000);
		else if (what < 985)
			stream_flush(&stream);
		else
			change_reader(&rng, &stream, &fakes[rng_below(&rng, READERS)]);
	}
	assert_true(blocks > 1000);
	for (int i = 0; i < READERS; i++) {
		if (!fakes[i].joined)
			continue;
		stream_flush(&stream);
		check_account(&fakes[i], stream_matched(&stream, &fakes[i].reader));
		leave(&stream, &fakes[i]);
	}
	assert_true(TAILQ_EMPTY(&stream.readers));
	stream_deinit(&stream);
}

/* A frame is never cut: a block is handed on when the next frame does not fit. */
static void test_full_block(void **state)
{
	struct stream stream;
	struct fake *fake = &fakes[0];

	(void)state;
	n_story = 0;
	stream_init(&stream);
	join(&stream, fake);
	for (int i = 0; i < BLOCK_SIZE / 512; i++)
		happen_event(&stream, 512);
	assert_int_equal(fake->n, 0); /* just full */
	happen_event(&stream, 8);
	assert_int_equal(fake->n, BLOCK_SIZE / 512);
	stream_flush(&stream);
	assert_int_equal(fake->n, BLOCK_SIZE / 512 + 1);
	stream_flush(&stream);
	assert_int_equal(fake->n, BLOCK_SIZE / 512 + 1);
	leave(&stream, fake);
	stream_deinit(&stream);
}

static void test_loss_in_its_place(void **state)
{
	struct stream stream;
	struct fake *fake = &fakes[0], *late = &fakes[1];

	(void)state;
	n_story = 0;
	stream_init(&stream);
	join(&stream, fake);
	happen_event(&stream, 100);
	happen_loss(&stream, 3);
	happen_loss(&stream, 0);
	happen_event(&stream, 100);
	join(&stream, late);
	assert_int_equal(fake->n, 3); /* an event, the loss, and what stood before the joiner */
	assert_int_equal(fake->told[1].lost, 3);
	happen_event(&stream, 100);
	happen_loss(&stream, 1);
	assert_int_equal(late->n, 2);
	assert_int_equal(late->told[1].lost, 1);
	assert_int_equal(late->reader.lost_kernel, 1);
	assert_int_equal(fake->reader.lost_kernel, 4);
	leave(&stream, fake);
	leave(&stream, late);
	assert_int_equal(stream.lost, 4);
	stream_deinit(&stream);
}

/* Between the last reader's leaving and the end of the slot records still come. */
static void test_nobody_reads(void **state)
{
	struct stream stream;
	struct fake *fake = &fakes[0];

	(void)state;
	n_story = 0;
	stream_init(&stream);
	happen_event(&stream, 100);
	assert_null(stream.block); /* not even copied */
	happen_loss(&stream, 2);
	join(&stream, fake);
	stream_flush(&stream);
	assert_int_equal(stream_matched(&stream, &fake->reader), 0);
	happen_event(&stream, 100);
	leave(&stream, fake);
	happen_event(&stream, 100);
	happen_loss(&stream, 5);
	assert_int_equal(fake->reader.matched_base, 1);
	assert_int_equal(stream.matched, 3);
	stream_deinit(&stream);
}

/* Blocks live as long as somebody has them, and what was never handed on is freed. */
static void test_references(void **state)
{
	struct stream stream;
	struct block *kept;

	(void)state;
	n_story = 0;
	block_unref(NULL);
	stream_init(&stream);
	for (int i = 0; i < 2; i++) {
		join(&stream, &fakes[i]);
		fakes[i].keeps = true;
	}
	happen_event(&stream, 100);
	stream_flush(&stream);
	kept = fakes[0].kept[0];
	assert_ptr_equal(fakes[1].kept[0], kept);
	assert_int_equal(kept->references, 2);
	leave(&stream, &fakes[0]);
	assert_int_equal(kept->references, 1);
	assert_int_equal(kept->used, 100);
	happen_event(&stream, 100);
	stream_deinit(&stream);
	assert_null(stream.block);
	drop_kept(&fakes[1]);
	free(fakes[1].told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readers_come_and_go), cmocka_unit_test(test_full_block),
		cmocka_unit_test(test_loss_in_its_place),   cmocka_unit_test(test_nobody_reads),
		cmocka_unit_test(test_references),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
