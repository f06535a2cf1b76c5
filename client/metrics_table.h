/* SPDX-License-Identifier: GPL-2.0-only */
/* The families of metrics.h: their names, labels, buckets and bounds. */
#ifndef NETWATCH_METRICS_TABLE_H
#define NETWATCH_METRICS_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "metrics.h"

enum metrics_kind { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

struct metrics_row {
	const char *name, *help;
	const char *labels[METRICS_LABELS_MAX];
	enum metrics_kind kind;
	bool told;		/* by the collector: not there before */
	bool seconds;		/* values are nanoseconds, and written as seconds */
	unsigned most;		/* series, without that of the others; 0: of ports */
	const uint64_t *bounds; /* of a histogram [ns], ended by 0 */
	/* values of the first two labels that are there from the beginning, each ended by NULL */
	const char *const *first, *const *second;
};

extern const struct metrics_row metrics_table[METRICS_FAMILIES];

#endif
