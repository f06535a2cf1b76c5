/* SPDX-License-Identifier: GPL-2.0-only */
/* Category http: requests and responses (bpf/http.bpf.c, collector/http/). */
#ifndef NETWATCH_CATEGORY_HTTP_H
#define NETWATCH_CATEGORY_HTTP_H

#include <stdint.h>

struct category;

extern const struct category category_http;

/* Messages that were not told, and responses without their request, since the start. */
uint64_t category_http_missed(void);

#endif
