// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "names.h"

const char *const names_categories[] = {"conn",	   "packet",	 "retransmit", "error",
					"tcpinfo", "congestion", "http"};
const size_t names_n_categories = sizeof(names_categories) / sizeof(names_categories[0]);

const char *names_category(const char *name)
{
	for (size_t i = 0; i < names_n_categories; i++) {
		if (!strcmp(names_categories[i], name))
			return names_categories[i];
	}
	return NULL;
}
