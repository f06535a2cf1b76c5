// SPDX-License-Identifier: GPL-2.0-only
// Differences of the kernel's counters.
#include <stddef.h>

#include "top_rates.h"
#include "top_table.h"

#define YOUNG	 3    /* intervals: a connection of which all is recent */
#define RATE_MAX 1e18 /* bytes per second; what is more is nonsense, and cut */

/* By a clock that nobody sets, if the kernel knows when the connection began. */
static double seconds_between(const struct top_row *row, const struct top_report *report)
{
	if (row->age_us != TOP_UNKNOWN && report->age_us != TOP_UNKNOWN)
		return (double)(report->age_us - row->age_us) / 1e6;
	return (double)(report->time_ns - row->time_ns) / 1e9;
}

bool top_rates_grew(const struct top_row *row, const struct top_report *report, double interval_s,
		    struct top_growth *growth)
{
	double age_s = (double)report->age_us / 1e6;

	if (report->received < 0 || report->acked < 0 || report->retransmits < 0)
		return false;
	*growth = (struct top_growth){
		.received = (uint64_t)report->received,
		.acked = (uint64_t)report->acked,
		.retransmits = (uint64_t)report->retransmits,
	};
	if (!row || !row->based) {
		growth->seconds = age_s > interval_s ? age_s : interval_s;
		return report->age_us != TOP_UNKNOWN && age_s <= YOUNG * interval_s;
	}
	growth->seconds = seconds_between(row, report);
	if (growth->seconds <= 0 || growth->received < row->bytes_received ||
	    growth->acked < row->bytes_acked || growth->retransmits < row->segs_retransmitted)
		return false;
	growth->received -= row->bytes_received;
	growth->acked -= row->bytes_acked;
	growth->retransmits -= row->segs_retransmitted;
	return true;
}

static int64_t per_second(uint64_t bytes, double seconds)
{
	double rate = (double)bytes / seconds + .5;

	return (int64_t)(rate < RATE_MAX ? rate : RATE_MAX);
}

void top_rates_set(struct top_row *row, const struct top_growth *growth)
{
	if (!growth) {
		row->received = row->sent = row->rate = row->recent = TOP_UNKNOWN;
		row->retransmits_per_s = 0;
		return;
	}
	row->received = per_second(growth->received, growth->seconds);
	row->sent = per_second(growth->acked, growth->seconds);
	row->rate = row->received + row->sent;
	row->recent = (int64_t)growth->retransmits;
	row->retransmits_per_s = (double)growth->retransmits / growth->seconds;
}
