/* SPDX-License-Identifier: GPL-2.0-only */
/* Samples changed at random: bytes that matter to a parser, cut, repeated and joined. */
#ifndef NETWATCH_TESTS_HTTP_MUTATE_H
#define NETWATCH_TESTS_HTTP_MUTATE_H

#include <string.h>

#include "http_samples.h"
#include "rng.h"

struct http_mutant {
	char text[12288];
	size_t length;
};

static inline void mutant_insert(struct http_mutant *m, size_t at, const char *text, size_t n)
{
	if (m->length + n > sizeof(m->text))
		return;
	memmove(m->text + at + n, m->text + at, m->length - at);
	memcpy(m->text + at, text, n);
	m->length += n;
}

static inline void mutant_remove(struct http_mutant *m, size_t at, size_t n)
{
	n = n < m->length - at ? n : m->length - at;
	memmove(m->text + at, m->text + at + n, m->length - at - n);
	m->length -= n;
}

static inline void mutant_change(struct rng *r, struct http_mutant *m)
{
	static const char bytes[] = "\r\n\0\t :;,/?&=@#*+-.0159AaHT\x01\x7f\x80\xff\"";
	static const char *const words[] = {
		"Content-Length: 5\r\n",
		"Transfer-Encoding: chunked\r\n",
		"Host: a\r\n",
		"User-Agent: b c\r\n",
		"Content-Type: d/e\r\n",
		"Cookie: f=g\r\n",
		"\r\n",
		"\r\n\r\n",
		"chunked",
		"://u:p@",
		" HTTP/1.1",
		"HTTP/1.0 200 OK\r\n",
		"GET / HTTP/1.1\r\n",
		"18446744073709551615",
		"HEAD",
		"0\r\n\r\n",
		"Connection: close\r\n",
	};
	size_t at = rng_below(r, (uint32_t)m->length + 1);
	const char *word = words[rng_below(r, sizeof(words) / sizeof(words[0]))];

	switch (rng_below(r, 5)) {
	case 0:
		if (at < m->length)
			m->text[at] = bytes[rng_below(r, sizeof(bytes) - 1)];
		break;
	case 1:
		mutant_insert(m, at, bytes + rng_below(r, sizeof(bytes) - 1), 1);
		break;
	case 2:
		mutant_remove(m, at, 1 + rng_below(r, 4));
		break;
	case 3: /* at the beginning of a line, mostly */
		while (at && !rng_one_in(r, 8) && m->text[at - 1] != '\n')
			at--;
		mutant_insert(m, at, word, strlen(word));
		break;
	case 4:
		if (at < m->length && rng_one_in(r, 2))
			m->text[at] ^= 0x20;
		else if (at < m->length)
			m->text[at] = (char)rng_next(r);
		break;
	}
}

/* A sample with some changes; some of them with another one behind it. */
static inline void mutant_new(struct rng *r, struct http_mutant *m)
{
	m->length = 0;
	do {
		const struct http_sample *s = &http_samples[rng_below(r, N_HTTP_SAMPLES)];

		mutant_insert(m, m->length, s->text, s->length);
	} while (rng_one_in(r, 4));
	for (uint32_t n = rng_below(r, 6); n > 0; n--)
		mutant_change(r, m);
}

#endif
