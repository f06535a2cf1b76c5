/* SPDX-License-Identifier: GPL-2.0-only */
/* A connection's counters. */
#ifndef NETWATCH_CATEGORY_TCPINFO_H
#define NETWATCH_CATEGORY_TCPINFO_H

#include <stdint.h>

struct category;

extern const struct category category_tcpinfo;

/*
 * The kernel keeps the retransmission timeout in jiffies, and says nowhere how long one is. So
 * many jiffies are so many microseconds; until that is known no rto_us is told.
 */
void tcpinfo_set_jiffies(uint32_t jiffies, uint32_t microseconds);

#endif
