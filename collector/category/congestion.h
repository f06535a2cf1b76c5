/* SPDX-License-Identifier: GPL-2.0-only */
/* Category congestion: the state of congestion control changed. */
#ifndef NETWATCH_CATEGORY_CONGESTION_H
#define NETWATCH_CATEGORY_CONGESTION_H

extern const struct category category_congestion;

#endif
