/* SPDX-License-Identifier: GPL-2.0-only */
/* Category http: requests and responses (bpf/http.bpf.c, collector/http/). */
#ifndef NETWATCH_CATEGORY_HTTP_H
#define NETWATCH_CATEGORY_HTTP_H

struct category;

extern const struct category category_http;

#endif
