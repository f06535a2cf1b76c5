// SPDX-License-Identifier: GPL-2.0-only
/* Heads, against another parser; and in pieces: it must be the same however it comes. */
#include <stdint.h>
#include <stdlib.h>

#include "tests/unit/http_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void __attribute__((noreturn)) fail(const char *what, const char *text, size_t length)
{
	oracle_print(what, text, length);
	abort();
}

/* What both say of it; of a head that is not complete nothing need be the same. */
static bool is_same_head(const struct http_head *a, const struct http_head *b)
{
	return !memcmp(a, b, offsetof(struct http_head, state)) && a->used == b->used &&
	       !memcmp(a->text, b->text, a->used);
}

/* Feeds what is whole already once more, in two pieces. */
static void check_pieces(const char *text, size_t length, size_t cut)
{
	static struct http_head whole, pieces;
	enum http_progress at_once, at_last;
	size_t used, more = 0;

	http_head_begin(&whole);
	at_once = http_head_feed(&whole, text, length, &used);
	http_head_begin(&pieces);
	at_last = http_head_feed(&pieces, text, cut, &more);
	if (at_last == HTTP_MORE) {
		if (more != cut)
			fail("not all was taken", text, length);
		at_last = http_head_feed(&pieces, text + cut, length - cut, &more);
		more += cut;
	}
	if (at_once != at_last || used != more)
		fail("in pieces it ends otherwise", text, length);
	if (at_once == HTTP_COMPLETE && !is_same_head(&whole, &pieces))
		fail("in pieces it is another head", text, length);
}

/* The first byte says where it is cut. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1, *problem;
	bool both;

	if (size < 2)
		return 0;
	problem = oracle_judge(text, size - 1, &both);
	if (problem)
		fail(problem, text, size - 1);
	check_pieces(text, size - 1, data[0] % (size - 1));
	return 0;
}
