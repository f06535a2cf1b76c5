/* SPDX-License-Identifier: GPL-2.0-only */
/* What the live page consists of. */
#ifndef NETWATCH_LIVE_FILES_H
#define NETWATCH_LIVE_FILES_H

#include <stddef.h>

extern const struct live_file {
	const char *name; /* below the token; "" is the page itself */
	const char *type; /* Content-Type */
	const char *text;
} live_files[];
extern const size_t live_n_files;

#endif
