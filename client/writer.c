// SPDX-License-Identifier: GPL-2.0-only
// The table of formats.
#include "writer.h"

const char *const writer_words[] = {"table", "compact", "json", "csv", "pb", NULL};

const struct writer *writer_of(unsigned index)
{
	static const struct writer *const of_words[] = {
		&writer_table, &writer_compact, &writer_json, &writer_csv, &writer_pb,
	};

	return of_words[index];
}
