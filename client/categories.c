// SPDX-License-Identifier: GPL-2.0-only
// The set of categories of a subscription.
#include <errno.h>
#include <string.h>

#include "categories.h"
#include "event.h"
#include "names.h"

/*
 * The name as a constant, or NULL: not existing is another error than not being offered.
 * Whatever else the schema has is known too.
 */
static const char *constant_name(const char *name)
{
	const struct schema *schema = event_schema();
	const char *known = names_category(name);
	int i = schema_find(schema, name);

	if (known)
		return known;
	if (i < 0 || !strcmp(name, "lost") || !event_is_category(&schema->fields[i]))
		return NULL;
	return schema->fields[i].name;
}

static size_t find(const struct categories *categories, const char *name)
{
	size_t i = 0;

	while (i < categories->count && strcmp(categories->names[i], name))
		i++;
	return i;
}

int categories_add(struct categories *categories, const char *name, bool optional)
{
	size_t i = find(categories, name);

	name = constant_name(name);
	if (!name || i == CATEGORIES_MAX)
		return -EINVAL;
	if (i < categories->count) {
		categories->optional[i] &= optional;
		return 0;
	}
	categories->names[i] = name;
	categories->optional[i] = optional;
	categories->count++;
	return 0;
}

void categories_add_all(struct categories *categories)
{
	const struct schema *schema = event_schema();

	for (unsigned i = 0; i < schema->field_count; i++) {
		/* what is no category is refused */
		if (constant_name(schema->fields[i].name))
			categories_add(categories, schema->fields[i].name, true);
	}
}

bool categories_have(const struct categories *categories, const char *name)
{
	return find(categories, name) < categories->count;
}

bool categories_is_remembered(const char *name)
{
	return strcmp(name, "packet") && strcmp(name, "tcpinfo");
}

static size_t count_remembered(const struct categories *categories)
{
	size_t n = 0;

	for (size_t i = 0; i < categories->count; i++)
		n += categories_is_remembered(categories->names[i]);
	return n;
}

bool categories_remembered(const struct categories *categories)
{
	return count_remembered(categories) > 0;
}

bool categories_all_remembered(const struct categories *categories)
{
	return count_remembered(categories) == categories->count;
}

/* What this client could not print it does not ask for. */
static bool is_offered(const char *name, char *const *offered, size_t count)
{
	if (schema_find(event_schema(), name) < 0)
		return false;
	while (count && strcmp(offered[count - 1], name))
		count--;
	return count;
}

const char *categories_settle(struct categories *categories, char *const *offered, size_t count)
{
	const char *first = categories->names[0];
	size_t kept = 0;

	for (size_t i = 0; i < categories->count; i++) {
		const char *name = categories->names[i];

		if (is_offered(name, offered, count))
			categories->names[kept++] = name;
		else if (!categories->optional[i])
			return name;
	}
	categories->count = kept;
	return kept ? NULL : first;
}
