// SPDX-License-Identifier: GPL-2.0-only
// The table of formats.
#include <stdio.h>
#include <string.h>

#include "writer.h"

static const struct writer *const writers[] = {&writer_table, &writer_compact, &writer_json};

#define COUNT (sizeof(writers) / sizeof(writers[0]))

const struct writer *writer_find(const char *name)
{
	for (unsigned i = 0; i < COUNT; i++) {
		if (!strcmp(writers[i]->name, name))
			return writers[i];
	}
	return NULL;
}

const char *writer_names(void)
{
	static char names[128];
	size_t used = 0;

	for (unsigned i = 0; i < COUNT; i++)
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "",
					 writers[i]->name);
	return names;
}
