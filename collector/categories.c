// SPDX-License-Identifier: GPL-2.0-only
/* The table of categories: one row each, by the number that its records carry. */
#include <string.h>

#include "category.h"
#include "category/congestion.h"
#include "category/conn.h"
#include "category/error.h"
#include "category/http.h"
#include "category/packet.h"
#include "category/retransmit.h"
#include "category/tcpinfo.h"
#include "kernel_side.h"

const struct category *const categories[] = {
	[NW_CATEGORY_CONN] = &category_conn,
	[NW_CATEGORY_PACKET] = &category_packet,
	[NW_CATEGORY_RETRANSMIT] = &category_retransmit,
	[NW_CATEGORY_CONGESTION] = &category_congestion,
	[NW_CATEGORY_TCPINFO] = &category_tcpinfo,
	[NW_CATEGORY_ERROR] = &category_error,
	[NW_CATEGORY_HTTP] = &category_http,
};
const size_t n_categories = sizeof(categories) / sizeof(categories[0]);

const struct category *category_find(const char *name)
{
	for (size_t i = 0; i < n_categories; i++) {
		if (!strcmp(categories[i]->name, name))
			return categories[i];
	}
	return NULL;
}
