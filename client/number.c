// SPDX-License-Identifier: GPL-2.0-only
// Strict parsing of numbers: strtoul takes too much ("-1", " 8", "0x50").
#include <errno.h>
#include <string.h>

#include "number.h"

#define DURATION_MAX (10ull * 365 * 24 * 3600 * 1000) /* ten years, in ms */
#define SIZE_MOST    ((uint64_t)INT64_MAX)
#define DIGITS	     "0123456789"

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

int number_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMG";
	size_t digits = strspn(text, DIGITS);
	const char *unit = text[digits] ? strchr(units, text[digits]) : NULL;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
	int err;

	if (text[digits] && (!unit || text[digits + 1]))
		return -EINVAL;
	err = number_parse(text, digits, 0, SIZE_MOST >> shift, bytes);
	if (!err)
		*bytes <<= shift;
	return err;
}

/* Digits behind the point as thousandths of a unit; finer ones do not count. */
static uint64_t thousandths(const char *digits, size_t length)
{
	uint64_t value = 0;

	for (size_t i = 0; i < 3; i++)
		value = 10 * value + (i < length ? (uint64_t)(digits[i] - '0') : 0);
	return value;
}

int number_duration(const char *text, uint64_t *milliseconds)
{
	static const struct unit {
		const char *name;
		uint64_t milliseconds;
	} units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}};
	size_t whole = strspn(text, DIGITS);
	const char *fraction = text + whole + (text[whole] == '.');
	size_t places = strspn(fraction, DIGITS);
	uint64_t value = 0;

	if (!whole && !places)
		return -EINVAL;
	for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		uint64_t unit = units[i].milliseconds;

		if (strcmp(fraction + places, units[i].name))
			continue;
		if (whole && number_parse(text, whole, 0, DURATION_MAX / unit, &value))
			return -ERANGE;
		value = value * unit + thousandths(fraction, places) * unit / 1000;
		if (!value)
			return -ERANGE;
		*milliseconds = value;
		return 0;
	}
	return -EINVAL;
}
