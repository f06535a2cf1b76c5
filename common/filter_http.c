// SPDX-License-Identifier: GPL-2.0-only
/* What a filter says about HTTP: netwatch.HttpFilter to the normal form, and the judge. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"
#include "glob.h"

/* Of all patterns and one event: some 0.1 ms. */
#define GLOB_STEPS 65536

#define STATUS_MIN 100
#define STATUS_MAX 999

static const char *const names[FILTER_TEXTS] = {"method", "host", "path"};

static int refuse(struct filter_error *error, Netwatch__Error__Code code, const char *name,
		  const char *reason)
{
	error->code = code;
	snprintf(error->message, sizeof(error->message), "http %s: %s", name, reason);
	return -EINVAL;
}

#define INVALID NETWATCH__ERROR__CODE__INVALID
#define LIMIT	NETWATCH__ERROR__CODE__LIMIT

static int check_known(const ProtobufCMessage *message, const char *name,
		       struct filter_error *error)
{
	if (!message->n_unknown_fields)
		return 0;
	return refuse(error, INVALID, name, "a field that is not known to this collector");
}

/* ------------------------------------------------------------------- parse */

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_text(struct filter_http *http, enum filter_text kind, const char *text,
		    uint16_t *place, struct filter_error *error)
{
	size_t length = strlen(text);

	if (!length)
		return refuse(error, INVALID, names[kind], "an empty text");
	if (length > FILTER_STRING_MAX)
		return refuse(error, LIMIT, names[kind], "a text of more than 255 bytes");
	if (http->used + length + 1 > sizeof(http->text))
		return refuse(error, LIMIT, names[kind], "more than 4096 bytes of text");
	*place = (uint16_t)http->used;
	for (size_t i = 0; i < length; i++, http->used++)
		http->text[http->used] =
			kind == FILTER_PATH ? text[i] : (char)tolower((unsigned char)text[i]);
	http->used++;
	return 0;
}

static int add_texts(struct filter_http *http, enum filter_text kind, char **texts, size_t n,
		     struct filter_error *error)
{
	struct filter_texts *out = &http->texts[kind];
	char *sorted[FILTER_VALUES_MAX];
	int err = 0;

	for (size_t i = 0; i < n; i++)
		sorted[i] = texts[i];
	qsort(sorted, n, sizeof(*sorted), compare_texts);
	for (size_t i = 0; !err && i < n; i++)
		err = add_text(http, kind, sorted[i], &out->at[out->any + out->none + i], error);
	return err;
}

static int parse_texts(struct filter_http *http, enum filter_text kind,
		       const Netwatch__StringSet *set, struct filter_error *error)
{
	struct filter_texts *out = &http->texts[kind];
	int err;

	if (!set)
		return 0;
	err = check_known(&set->base, names[kind], error);
	if (!err && set->n_any + set->n_none > FILTER_VALUES_MAX)
		err = refuse(error, LIMIT, names[kind], "more than 64 values in one filter");
	if (!err)
		err = add_texts(http, kind, set->any, set->n_any, error);
	if (err)
		return err;
	out->any = (uint32_t)set->n_any;
	err = add_texts(http, kind, set->none, set->n_none, error);
	out->none = (uint32_t)set->n_none;
	return err;
}

static int compare_ranges(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct filter_range));
}

static int add_ranges(struct filter_ports *out, Netwatch__StatusRange **ranges, size_t n,
		      struct filter_error *error)
{
	struct filter_range *begin = out->item + out->any + out->none;

	for (size_t i = 0; i < n; i++) {
		const Netwatch__StatusRange *range = ranges[i];
		uint32_t last = range->has_last ? range->last : range->first;
		int err = check_known(&range->base, "status", error);

		if (err)
			return err;
		if (range->first < STATUS_MIN || range->first > last || last > STATUS_MAX)
			return refuse(error, INVALID, "status", "no range within 100 to 999");
		begin[i] = (struct filter_range){.first = (uint16_t)range->first,
						 .last = (uint16_t)last};
	}
	qsort(begin, n, sizeof(*begin), compare_ranges);
	return 0;
}

static int parse_status(struct filter_ports *out, const Netwatch__StatusSet *set,
			struct filter_error *error)
{
	int err;

	if (!set)
		return 0;
	err = check_known(&set->base, "status", error);
	if (!err && set->n_any + set->n_none > FILTER_PORTS_MAX)
		err = refuse(error, LIMIT, "status", "more than 64 ranges in one filter");
	if (!err)
		err = add_ranges(out, set->any, set->n_any, error);
	if (err)
		return err;
	out->any = (uint32_t)set->n_any;
	err = add_ranges(out, set->none, set->n_none, error);
	out->none = (uint32_t)set->n_none;
	return err;
}

int filter_http_parse(struct filter_http *http, const Netwatch__HttpFilter *message,
		      struct filter_error *error)
{
	const Netwatch__StringSet *sets[] = {message->method, message->host, message->path};
	int err = check_known(&message->base, "filter", error);

	for (int kind = 0; !err && kind < FILTER_TEXTS; kind++)
		err = parse_texts(http, (enum filter_text)kind, sets[kind], error);
	if (!err)
		err = parse_status(&http->status, message->status, error);
	if (!err && ((message->has_min_latency_us && !message->min_latency_us) ||
		     (message->has_max_latency_us && !message->max_latency_us)))
		err = refuse(error, INVALID, "latency", "at least 1 us");
	http->min_latency_us = message->min_latency_us;
	http->max_latency_us = message->max_latency_us;
	return err;
}

/* ------------------------------------------------------------------- judge */

/* Without query and fragment; of an absolute target also without scheme and authority. */
static struct filter_string path_of(struct filter_string target)
{
	const char *end = target.text + target.length, *p;
	struct filter_string path = target;

	for (p = target.text; p < end && *p != '?' && *p != '#'; p++)
		;
	path.length = (size_t)(p - target.text);
	if (!path.length || *path.text == '/')
		return path;
	p = memmem(path.text, path.length, "://", 3);
	if (!p)
		return path;
	for (p += 3, end = path.text + path.length; p < end && *p != '/'; p++)
		;
	if (p == end)
		return (struct filter_string){.text = "/", .length = 1};
	return (struct filter_string){.text = p, .length = (size_t)(end - p)};
}

static struct filter_string without_port(struct filter_string host)
{
	size_t length = host.length;

	while (length && isdigit((unsigned char)host.text[length - 1]))
		length--;
	if (length && host.text[length - 1] == ':')
		host.length = length - 1;
	return host;
}

static bool is_word(const char *pattern, const struct filter_string text)
{
	return strlen(pattern) == text.length && !strncasecmp(pattern, text.text, text.length);
}

static bool text_is(const char *pattern, const struct filter_string *text, enum filter_text kind,
		    size_t *steps)
{
	if (kind == FILTER_PATH)
		return glob_matches(pattern, text->text, text->length, steps);
	return is_word(pattern, *text) ||
	       (kind == FILTER_HOST && is_word(pattern, without_port(*text)));
}

static bool texts_have(const struct filter_http *http, enum filter_text kind, bool none,
		       const struct filter_string *text, size_t *steps)
{
	const struct filter_texts *texts = &http->texts[kind];
	uint32_t begin = none ? texts->any : 0, n = none ? texts->none : texts->any;

	for (uint32_t i = begin; text->length && i < begin + n; i++) {
		if (text_is(http->text + texts->at[i], text, kind, steps))
			return true;
	}
	return false;
}

static bool ranges_have(const struct filter_range *item, uint32_t n, unsigned status)
{
	for (uint32_t i = 0; i < n; i++) {
		if (status >= item[i].first && status <= item[i].last)
			return true;
	}
	return false;
}

static bool status_accepted(const struct filter_ports *set, const struct filter_message *message)
{
	if (!set->any && !set->none)
		return true;
	return message->response &&
	       (!set->any || ranges_have(set->item, set->any, message->status)) &&
	       !ranges_have(set->item + set->any, set->none, message->status);
}

static bool latency_accepted(const struct filter_http *http, const struct filter_message *message)
{
	if (!http->min_latency_us && !http->max_latency_us)
		return true;
	return message->has_latency && message->latency_us >= http->min_latency_us &&
	       (!http->max_latency_us || message->latency_us < http->max_latency_us);
}

bool filter_http_accepts(const struct filter_http *http, const struct filter_message *message)
{
	const struct filter_string texts[FILTER_TEXTS] = {
		[FILTER_METHOD] = message->texts[FILTER_METHOD],
		[FILTER_HOST] = message->texts[FILTER_HOST],
		[FILTER_PATH] = path_of(message->texts[FILTER_PATH]),
	};
	size_t steps = GLOB_STEPS;

	if (!status_accepted(&http->status, message) || !latency_accepted(http, message))
		return false;
	for (int i = 0; i < FILTER_TEXTS; i++) {
		enum filter_text kind = (enum filter_text)i;

		if ((http->texts[i].any && !texts_have(http, kind, false, &texts[i], &steps)) ||
		    texts_have(http, kind, true, &texts[i], &steps))
			return false;
	}
	return true;
}
