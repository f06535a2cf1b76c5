/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A rate is what came between two reports, divided by the time between these two: a report that
 * was lost makes it an average over more time, and never a wrong one.
 */
#ifndef NETWATCH_TOP_RATES_H
#define NETWATCH_TOP_RATES_H

#include <stdbool.h>
#include <stdint.h>

struct top_row;

/* What a report says; or TOP_UNKNOWN. */
struct top_report {
	int64_t received, acked, retransmits; /* bytes, bytes, segments: from the beginning */
	int64_t age_us;			      /* by a clock that nobody sets */
	int64_t time_ns;		      /* by one that somebody may set */
};

/* What came since the report before. */
struct top_growth {
	double seconds;
	uint64_t received, acked, retransmits;
};

/*
 * Since the report that row is from, or since the beginning of a connection that began a moment
 * ago (row: NULL, if there is none yet). False: that is not known.
 */
bool top_rates_grew(const struct top_row *row, const struct top_report *report, double interval_s,
		    struct top_growth *growth);

/* Sets the row's rates; growth: NULL, if it is not known. */
void top_rates_set(struct top_row *row, const struct top_growth *growth);

#endif
