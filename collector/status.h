/* SPDX-License-Identifier: GPL-2.0-only */
/* What the collector says of itself: netwatch.Status. */
#ifndef NETWATCH_STATUS_H
#define NETWATCH_STATUS_H

struct peer;

/* Sends Status, with the subscriptions that this peer may see. 0 or -errno, then the peer is
 * broken. */
int status_send(struct peer *peer);

#endif
