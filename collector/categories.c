// SPDX-License-Identifier: GPL-2.0-only
/* The table of categories: one row each, by the number that its records carry. */
#include <string.h>

#include "category.h"
#include "category/conn.h"
#include "category/error.h"
#include "kernel_side.h"

const struct category *const categories[] = {
	[NW_CATEGORY_CONN] = &category_conn,
	[NW_CATEGORY_ERROR] = &category_error,
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
