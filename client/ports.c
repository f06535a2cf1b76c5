// SPDX-License-Identifier: GPL-2.0-only
// Ports, strictly: digits, and one dash between two of them.
#include <string.h>

#include "number.h"
#include "ports.h"

const char *ports_parse(const char *text, uint16_t *first, uint16_t *last)
{
	const char *dash = strchr(text, '-');
	size_t length = dash ? (size_t)(dash - text) : strlen(text);
	uint64_t low, high;

	if (number_parse(text, length, 1, UINT16_MAX, &low))
		return "1 to 65535";
	high = low;
	if (dash && number_parse(dash + 1, strlen(dash + 1), 1, UINT16_MAX, &high))
		return "1 to 65535";
	if (high < low)
		return "the range ends before it begins";
	*first = (uint16_t)low;
	*last = (uint16_t)high;
	return NULL;
}
