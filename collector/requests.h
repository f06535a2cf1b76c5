/* SPDX-License-Identifier: GPL-2.0-only */
/* What a client may ask for, one function each. */
#ifndef NETWATCH_REQUESTS_H
#define NETWATCH_REQUESTS_H

#include <stddef.h>
#include <stdint.h>

struct nw_counters;
struct nw_row;
struct peer;

/* Answers one message of a client, which may be any bytes. */
void requests_handle(struct peer *peer, const uint8_t *data, size_t size);

/* Sends an EXISTING event of this socket, with its counters unless they are NULL. */
void requests_send_row(struct peer *peer, const struct nw_row *row,
		       const struct nw_counters *counters);

#endif
