/* SPDX-License-Identifier: GPL-2.0-only */
/* What this kernel can do, and why not: netwatch.Check, for a client or for --check. */
#ifndef NETWATCH_FINDINGS_H
#define NETWATCH_FINDINGS_H

#include <stdbool.h>

#include "netwatch.pb-c.h"

struct findings;
struct peer;
struct probe;

/*
 * Of a probe that lives longer, whatever came of it; kernel_addresses: the option.
 * NULL: no memory.
 */
struct findings *findings_new(const struct probe *probe, bool kernel_addresses);
void findings_free(struct findings *findings);

const Netwatch__Check *findings_message(const struct findings *findings);

/* Is any category offered? */
bool findings_any(const struct findings *findings);

/* Sends Check. 0 or -errno, then the peer is broken. */
int findings_send(struct peer *peer);

#endif
