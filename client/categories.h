/* SPDX-License-Identifier: GPL-2.0-only */
/* Which categories of events to ask for: what was typed, held against what is offered. */
#ifndef NETWATCH_CATEGORIES_H
#define NETWATCH_CATEGORIES_H

#include <stdbool.h>
#include <stddef.h>

#define CATEGORIES_MAX 64

struct categories {
	const char *names[CATEGORIES_MAX]; /* kept, not copied */
	bool optional[CATEGORIES_MAX];	   /* left out when the collector does not offer it */
	size_t count;
};

/*
 * Adds a name; a second time has no effect, but that it is no longer optional. 0, or -EINVAL:
 * neither the contract nor the schema has this category.
 */
int categories_add(struct categories *categories, const char *name, bool optional);

/* Adds all that this client can print. */
void categories_add_all(struct categories *categories);

bool categories_have(const struct categories *categories, const char *name);

/* Has a collector's history events of that category? Of any of these? Of all of them? */
bool categories_is_remembered(const char *name);
bool categories_remembered(const struct categories *categories);
bool categories_all_remembered(const struct categories *categories);

/*
 * Keeps those that are offered. NULL, or the name of one that is missing and was not
 * optional; when nothing is left, the first that was asked for.
 */
const char *categories_settle(struct categories *categories, char *const *offered, size_t count);

#endif
