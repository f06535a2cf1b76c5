// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "output.h"
#include "top_values.h"

static void put(struct output *output, double value, const char *const *units, unsigned last)
{
	unsigned unit = 0;
	int digits; /* behind the point */
	char text[32];

	for (; value >= 999.5 && unit < last; unit++)
		value /= 1000;
	digits = (value < 99.95) + (value < 9.995);
	if (!unit && value == (double)(int64_t)value)
		digits = 0;
	snprintf(text, sizeof(text), "%.*f%s", digits, value, units[unit]);
	output_text(output, value < 0 ? "-" : text);
}

void top_values_scaled(struct output *output, double value)
{
	static const char *const units[] = {"", "k", "M", "G", "T", "P", "E"};

	put(output, value, units, 6);
}

void top_values_time(struct output *output, int64_t microseconds)
{
	static const char *const units[] = {"us", "ms", "s"};

	put(output, (double)microseconds, units, 2);
}

void top_values_age(struct output *output, int64_t microseconds)
{
	int64_t seconds = microseconds / 1000000;
	char text[64];

	if (microseconds < 0)
		strcpy(text, "-");
	else if (seconds < 60)
		snprintf(text, sizeof(text), "%" PRId64 "s", seconds);
	else if (seconds < 3600)
		snprintf(text, sizeof(text), "%" PRId64 "m%02" PRId64 "s", seconds / 60,
			 seconds % 60);
	else if (seconds < 86400)
		snprintf(text, sizeof(text), "%" PRId64 "h%02" PRId64 "m", seconds / 3600,
			 seconds / 60 % 60);
	else
		snprintf(text, sizeof(text), "%" PRId64 "d", seconds / 86400);
	output_text(output, text);
}

const char *top_values_name(const ProtobufCEnumDescriptor *names, int64_t value)
{
	const ProtobufCEnumValue *name =
		value >= 0 && value <= INT_MAX
			? protobuf_c_enum_descriptor_get_value(names, (int)value)
			: NULL;

	return name ? name->name : "-";
}
