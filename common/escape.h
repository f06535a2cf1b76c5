/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Untrusted text: what a process calls itself, what a peer sends. Nothing of it reaches
 * a terminal, a log or a protobuf string raw.
 */
#ifndef NETWATCH_ESCAPE_H
#define NETWATCH_ESCAPE_H

#include <stddef.h>
#include <stdint.h>

#define ESCAPE_MAX	8 /* output bytes per input byte, at most */
#define ESCAPE_JSON_MAX 6 /* the same of escape_json_unit: \uNNNN */

/*
 * Decodes one UTF-8 sequence (RFC 3629: shortest form, no surrogates) at text. Returns
 * its length with the code point in *rune, or 0 when text does not begin with one.
 */
size_t escape_utf8(const char *text, size_t size, uint32_t *rune);

/* True for what must not reach a terminal: C0, DEL, C1, bidi overrides, U+2028, U+2029. */
int escape_dangerous(uint32_t rune);

/*
 * These write into out, always terminated; what does not fit in size is cut between two
 * units. They return the length written.
 *
 * escape_bytes makes valid UTF-8: other bytes become \xNN.
 * escape_terminal does that and escapes dangerous code points: below 0x100 as \xNN,
 * others as \u{...}; a backslash stays as it is, so that escape_bytes' output passes.
 */
size_t escape_bytes(char *out, size_t size, const char *text, size_t length);
size_t escape_terminal(char *out, size_t size, const char *text, size_t length);

/*
 * One code point of text, which is not empty, as it stands in a JSON string: quotes,
 * backslashes and dangerous code points escaped. A byte that is not UTF-8 becomes \xNN,
 * as by escape_bytes, with that backslash escaped. Writes at *out, without a terminator,
 * and moves it on. Returns the bytes taken from text.
 */
size_t escape_json_unit(char **out, const char *text, size_t size);

#endif
