// SPDX-License-Identifier: GPL-2.0-only
// Families and series: counters, gauges and histograms of bounded number.
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"
#include "metrics_table.h"
#include "output.h"
#include "prom.h"

static const char *const kinds[] = {"counter", "gauge", "histogram"};

struct series {
	struct series *next;
	bool used; /* since the last metrics_sweep */
	char values[METRICS_LABELS_MAX][METRICS_VALUE_MAX];
	uint64_t value; /* of a histogram: the sum */
	uint64_t count;
	uint64_t buckets[METRICS_BOUNDS_MAX]; /* each with what is not above its bound only */
};

static struct {
	struct series *first, *other;
	unsigned count;
} all[METRICS_FAMILIES];
static unsigned most_ports;

static unsigned most(const struct metrics_row *family)
{
	return family->most ? family->most : most_ports;
}

static unsigned n_labels(const struct metrics_row *family)
{
	unsigned n = 0;

	while (n < METRICS_LABELS_MAX && family->labels[n])
		n++;
	return n;
}

static struct series *new_series(struct series **where, unsigned n, const char *const *values)
{
	struct series *series = calloc(1, sizeof(*series));

	if (!series)
		return NULL;
	for (unsigned i = 0; i < n; i++)
		strncpy(series->values[i], values ? values[i] : METRICS_OTHER,
			METRICS_VALUE_MAX - 1);
	series->next = *where;
	return *where = series;
}

/* The series of these values, or that of the others; NULL: no memory. */
static struct series *get(enum metrics_family which, const char *const *values)
{
	const struct metrics_row *family = &metrics_table[which];
	unsigned n = n_labels(family), i;
	struct series **end = &all[which].first;

	for (; *end; end = &(*end)->next) {
		for (i = 0; i < n; i++) {
			if (strncmp((*end)->values[i], values[i], METRICS_VALUE_MAX - 1))
				break;
		}
		if (i == n)
			return *end;
	}
	if (all[which].count < most(family)) {
		all[which].count++;
		return new_series(end, n, values);
	}
	return all[which].other ? all[which].other : new_series(&all[which].other, n, NULL);
}

static void free_series(enum metrics_family which)
{
	struct series *lists[] = {all[which].first, all[which].other};

	for (unsigned i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		while (lists[i]) {
			struct series *next = lists[i]->next;

			free(lists[i]);
			lists[i] = next;
		}
	}
	all[which].first = all[which].other = NULL;
	all[which].count = 0;
}

/* Those that are there before anything happened: a rate needs a zero to begin with. */
static int make_first(enum metrics_family which)
{
	static const char *const none[] = {NULL, NULL};
	const struct metrics_row *family = &metrics_table[which];
	const char *const *first = family->first;

	if (!family->labels[0] && family->kind != METRICS_GAUGE && !family->told)
		return get(which, none) ? 0 : -ENOMEM;
	for (; first && *first; first++) {
		const char *const *second = family->second ? family->second : none;

		do {
			if (!get(which, METRICS_VALUES(*first, *second)))
				return -ENOMEM;
		} while (*second && *++second);
	}
	return 0;
}

int metrics_init(uint64_t ports)
{
	int err = 0;

	most_ports = (unsigned)ports;
	for (unsigned i = 0; i < METRICS_FAMILIES && !err; i++)
		err = make_first(i);
	return err;
}

void metrics_deinit(void)
{
	for (unsigned i = 0; i < METRICS_FAMILIES; i++)
		free_series(i);
}

void metrics_add(enum metrics_family family, const char *const *values, uint64_t count)
{
	struct series *series = get(family, values);

	if (!series)
		return;
	series->value += count;
	series->used = true;
}

void metrics_set(enum metrics_family family, const char *const *values, uint64_t value)
{
	struct series *series = get(family, values);

	if (series)
		series->value = value;
}

void metrics_observe(enum metrics_family which, const char *const *values, uint64_t nanoseconds)
{
	const uint64_t *bounds = metrics_table[which].bounds;
	struct series *series = get(which, values);
	unsigned i = 0;

	if (!series)
		return;
	while (bounds[i] && nanoseconds > bounds[i])
		i++;
	series->buckets[i] += bounds[i] != 0;
	series->value += nanoseconds;
	series->count++;
}

void metrics_clear(enum metrics_family family)
{
	free_series(family);
}

void metrics_sweep(enum metrics_family family)
{
	struct series **at = &all[family].first;

	while (*at) {
		struct series *series = *at;

		if (series->used) {
			series->used = false;
			at = &series->next;
			continue;
		}
		*at = series->next;
		free(series);
		all[family].count--;
	}
}

/* name, suffix and the series' labels; more may follow. */
static struct prom begin(struct output *output, const struct metrics_row *family,
			 const struct series *series, const char *suffix)
{
	struct prom prom;

	prom_begin(&prom, output, family->name, suffix);
	for (unsigned i = 0; i < n_labels(family); i++)
		prom_word(&prom, family->labels[i], series->values[i]);
	return prom;
}

static void write_histogram(struct output *output, const struct metrics_row *family,
			    const struct series *series)
{
	uint64_t count = 0;
	struct prom prom;

	for (unsigned i = 0; family->bounds[i]; i++) {
		count += series->buckets[i];
		prom = begin(output, family, series, "_bucket");
		prom_open(&prom, "le");
		prom_put_seconds(output, family->bounds[i]);
		prom_close(&prom);
		prom_value(&prom, count);
	}
	prom = begin(output, family, series, "_bucket");
	prom_word(&prom, "le", "+Inf");
	prom_value(&prom, series->count);
	prom = begin(output, family, series, "_sum");
	prom_seconds(&prom, series->value);
	prom = begin(output, family, series, "_count");
	prom_value(&prom, series->count);
}

static void write_series(struct output *output, const struct metrics_row *family,
			 const struct series *series)
{
	struct prom prom;

	if (family->kind == METRICS_HISTOGRAM) {
		write_histogram(output, family, series);
		return;
	}
	prom = begin(output, family, series, "");
	if (family->seconds)
		prom_seconds(&prom, series->value);
	else
		prom_value(&prom, series->value);
}

void metrics_write(struct output *output)
{
	for (unsigned i = 0; i < METRICS_FAMILIES; i++) {
		const struct metrics_row *family = &metrics_table[i];

		prom_head(output, family->name, kinds[family->kind], family->help);
		for (const struct series *s = all[i].first; s; s = s->next)
			write_series(output, family, s);
		if (all[i].other)
			write_series(output, family, all[i].other);
	}
}
