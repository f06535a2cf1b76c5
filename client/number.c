// SPDX-License-Identifier: GPL-2.0-only
// Strict parsing of numbers: strtoul takes too much ("-1", " 8", "0x50").
#include <errno.h>
#include <string.h>

#include "number.h"

#define DURATION_MAX (10ull * 365 * 24 * 3600 * 1000) /* ten years, in ms */

int number_parse(const char *text, size_t length, uint64_t least, uint64_t most, uint64_t *number)
{
	uint64_t value = 0;

	if (!length)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
	}
	for (size_t i = 0; i < length; i++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
			return -ERANGE;
	}
	if (value < least || value > most)
		return -ERANGE;
	*number = value;
	return 0;
}

int number_duration(const char *text, uint64_t *milliseconds)
{
	static const struct unit {
		const char *name;
		uint64_t milliseconds;
	} units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}};
	size_t digits = strspn(text, "0123456789");
	uint64_t value;

	for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		uint64_t unit = units[i].milliseconds;
		int err;

		if (strcmp(text + digits, units[i].name))
			continue;
		err = number_parse(text, digits, 1, DURATION_MAX / unit, &value);
		if (!err)
			*milliseconds = value * unit;
		return err;
	}
	return -EINVAL;
}
