/* SPDX-License-Identifier: GPL-2.0-only */
/* Category retransmit: what was sent again, and why. */
#ifndef NETWATCH_CATEGORY_RETRANSMIT_H
#define NETWATCH_CATEGORY_RETRANSMIT_H

extern const struct category category_retransmit;

#endif
