/* SPDX-License-Identifier: GPL-2.0-only */
/* Category error: segments that are wrong, resets, and drops that are errors. */
#ifndef NETWATCH_CATEGORY_ERROR_H
#define NETWATCH_CATEGORY_ERROR_H

#include <stddef.h>

extern const struct category category_error;

/*
 * Reasons of drops that are errors, by the kernel's name; NULL from the last one on. *kind: enum
 * nw_error_kind. (Which of them this kernel knows is another thing.)
 */
const char *error_reason(size_t i, unsigned *kind);

#endif
