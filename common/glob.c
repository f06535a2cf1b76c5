// SPDX-License-Identifier: GPL-2.0-only
#include "glob.h"

/* Reads one byte of a bracket expression, perhaps behind a backslash. */
static unsigned char bracket_byte(const char **pattern)
{
	if (**pattern == '\\' && (*pattern)[1])
		++*pattern;
	return (unsigned char)*(*pattern)++;
}

/* Behind '[': moves *pattern behind ']'. -1: it has no end, so '[' is a byte like any other. */
static int bracket(const char **pattern, unsigned char byte)
{
	const char *p = *pattern;
	bool invert = *p == '!' || *p == '^', in = false;

	p += invert;
	for (bool first = true; *p && (*p != ']' || first); first = false) {
		unsigned char low = bracket_byte(&p), high = low;

		if (*p == '-' && p[1] && p[1] != ']') {
			p++;
			high = bracket_byte(&p);
		}
		in |= low <= byte && byte <= high;
	}
	if (!*p)
		return -1;
	*pattern = p + 1;
	return in != invert;
}

/* One element of the pattern that is no star; moves *pattern behind it when it matches. */
static bool element(const char **pattern, char byte)
{
	const char *p = *pattern;
	int in;

	if (!*p)
		return false;
	if (*p == '[') {
		p++;
		in = bracket(&p, (unsigned char)byte);
		if (in >= 0) {
			*pattern = p;
			return in;
		}
		p--;
	} else if (*p == '?') {
		*pattern = p + 1;
		return true;
	} else if (*p == '\\' && p[1]) {
		p++;
	}
	*pattern = p + 1;
	return *p == byte;
}

/* When something fails, only the last star has to take a byte more. */
bool glob_matches(const char *pattern, const char *text, size_t length, size_t *steps)
{
	const char *star = NULL;
	size_t taken = 0, i = 0;

	while (i < length) {
		if (!*steps)
			return false;
		--*steps;
		if (*pattern == '*') {
			star = ++pattern;
			taken = i;
		} else if (element(&pattern, text[i])) {
			i++;
		} else if (star) {
			pattern = star;
			i = ++taken;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}
