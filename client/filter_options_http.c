// SPDX-License-Identifier: GPL-2.0-only
// Filters for http events: the part of a Filter that is a message of its own.
#include <stdlib.h>
#include <string.h>

#include "filter_options.h"
#include "filter_set.h"
#include "number.h"

#define TEXT_MAX   255 /* bytes, of the collector */
#define STATUS_MIN 100
#define STATUS_MAX 999

static Netwatch__HttpFilter *http_of(struct filter_options *filter)
{
	return filter_member(filter->message, offsetof(Netwatch__Filter, http),
			     &netwatch__http_filter__descriptor);
}

static const char *add_text(struct filter_options *filter, size_t target, bool negate,
			    const char *text)
{
	Netwatch__HttpFilter *http = http_of(filter);
	Netwatch__StringSet *set;
	char **slot, *copy;

	if (strlen(text) > TEXT_MAX)
		return "longer than 255 bytes";
	if (!filter_is_utf8(text, strlen(text)))
		return "not UTF-8";
	set = http ? filter_member(http, target, &netwatch__string_set__descriptor) : NULL;
	copy = strdup(text);
	slot = copy ? FILTER_APPEND(set, negate) : NULL;
	if (!slot) {
		free(copy);
		return filter_no_memory;
	}
	*slot = copy;
	return NULL;
}

/* NULL, or the reason. */
static const char *parse_status(const char *text, uint64_t *first, uint64_t *last)
{
	const char *dash = strchr(text, '-');
	size_t length = dash ? (size_t)(dash - text) : strlen(text);

	if (number_parse(text, length, STATUS_MIN, STATUS_MAX, first))
		return "100 to 999, or a range such as 500-599";
	*last = *first;
	if (dash && number_parse(dash + 1, strlen(dash + 1), STATUS_MIN, STATUS_MAX, last))
		return "100 to 999, or a range such as 500-599";
	return *last < *first ? "the range ends before it begins" : NULL;
}

static const char *add_status(struct filter_options *filter, size_t target, bool negate,
			      const char *text)
{
	uint64_t first, last;
	const char *reason = parse_status(text, &first, &last);
	Netwatch__HttpFilter *http = http_of(filter);
	Netwatch__StatusRange *range, **slot;
	Netwatch__StatusSet *set;

	if (reason)
		return reason;
	set = http ? filter_member(http, target, &netwatch__status_set__descriptor) : NULL;
	range = malloc(sizeof(*range));
	slot = range ? FILTER_APPEND(set, negate) : NULL;
	if (!slot) {
		free(range);
		return filter_no_memory;
	}
	netwatch__status_range__init(range);
	range->has_first = true;
	range->first = (uint32_t)first;
	range->has_last = last != first;
	range->last = (uint32_t)last;
	*slot = range;
	return NULL;
}

/* Again means or: the lower minimum counts, and turned round the higher maximum. */
static const char *add_latency(struct filter_options *filter, size_t target, bool negate,
			       const char *text)
{
	Netwatch__HttpFilter *http = http_of(filter);
	uint64_t ms, us;

	(void)target;
	if (number_duration(text, &ms))
		return "such as 10ms, 1.5s or 1m";
	if (!http)
		return filter_no_memory;
	us = ms * 1000;
	if (negate) {
		if (us > http->max_latency_us)
			http->max_latency_us = us;
		http->has_max_latency_us = true;
	} else {
		if (!http->has_min_latency_us || us < http->min_latency_us)
			http->min_latency_us = us;
		http->has_min_latency_us = true;
	}
	return NULL;
}

const struct filter_kind filter_http_texts = {"text", add_text};
const struct filter_kind filter_http_statuses = {"status", add_status};
const struct filter_kind filter_http_latencies = {"duration", add_latency};
