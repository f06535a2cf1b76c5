// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "escape.h"

size_t escape_utf8(const char *text, size_t size, uint32_t *rune)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const uint8_t *p = (const uint8_t *)text;
	uint32_t value;
	size_t n;

	if (!size)
		return 0;
	if (p[0] < 0x80) {
		*rune = p[0];
		return 1;
	}
	n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || size < n)
		return 0;
	value = p[0] & (0x7f >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (p[i] & 0x3f);
	}
	if (value < least[n] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*rune = value;
	return n;
}

int escape_dangerous(uint32_t rune)
{
	return rune < 0x20 || (rune >= 0x7f && rune <= 0x9f) || rune == 0x61c ||
	       (rune >= 0x200e && rune <= 0x200f) || (rune >= 0x2028 && rune <= 0x202e) ||
	       (rune >= 0x2066 && rune <= 0x2069);
}

static size_t escape(char *out, size_t size, const char *text, size_t length, int terminal)
{
	size_t used = 0;

	for (size_t i = 0, n; i < length; i += n) {
		char unit[ESCAPE_MAX + 1];
		uint32_t rune;
		size_t width;

		if (text[i] >= ' ' && text[i] < 0x7f) { /* nearly always */
			if (used + 1 >= size)
				break;
			out[used++] = text[i];
			n = 1;
			continue;
		}
		n = escape_utf8(text + i, length - i, &rune);
		if (n && !(terminal && escape_dangerous(rune))) {
			memcpy(unit, text + i, n);
			width = n;
		} else if (!n || rune < 0x100) {
			width = (size_t)snprintf(unit, sizeof(unit), "\\x%02x",
						 n ? rune : (uint8_t)text[i]);
			n = n ? n : 1;
		} else {
			width = (size_t)snprintf(unit, sizeof(unit), "\\u{%x}", rune);
		}
		if (used + width >= size)
			break;
		memcpy(out + used, unit, width);
		used += width;
	}
	if (size)
		out[used] = '\0';
	return used;
}

size_t escape_bytes(char *out, size_t size, const char *text, size_t length)
{
	return escape(out, size, text, length, 0);
}

size_t escape_terminal(char *out, size_t size, const char *text, size_t length)
{
	return escape(out, size, text, length, 1);
}

static size_t put_json_rune(char *to, const char *text, size_t size, uint32_t rune)
{
	static const char hex[] = "0123456789abcdef";

	if (rune == '"' || rune == '\\') {
		to[0] = '\\';
		to[1] = (char)rune;
		return 2;
	}
	if (!escape_dangerous(rune)) {
		memcpy(to, text, size);
		return size;
	}
	/* all dangerous code points are below 0x10000 */
	memcpy(to, "\\u", 2);
	for (unsigned i = 0; i < 4; i++)
		to[2 + i] = hex[rune >> (12 - 4 * i) & 15];
	return ESCAPE_JSON_MAX;
}

size_t escape_json_unit(char **out, const char *text, size_t size)
{
	uint32_t rune;
	size_t n = escape_utf8(text, size, &rune);

	if (n) {
		*out += put_json_rune(*out, text, n, rune);
		return n;
	}
	*(*out)++ = '\\'; /* that of escape_bytes' \xNN, itself escaped */
	*out += escape_bytes(*out, ESCAPE_JSON_MAX, text, 1);
	return 1;
}
