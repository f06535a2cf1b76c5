/* SPDX-License-Identifier: GPL-2.0-only */
/* Patterns of shells: * ? [a-z] [!a-z], and \ before one of these. */
#ifndef NETWATCH_GLOB_H
#define NETWATCH_GLOB_H

#include <stdbool.h>
#include <stddef.h>

/*
 * As fnmatch without flags, by bytes, but in bounded time: each byte that is compared takes one
 * of *steps, and when they are used up nothing matches. Whoever may choose both pattern and text
 * could stop the collector otherwise.
 */
bool glob_matches(const char *pattern, const char *text, size_t length, size_t *steps);

#endif
