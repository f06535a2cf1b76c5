/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of the interface that both programs know, whatever this version of them can do. */
#ifndef NETWATCH_NAMES_H
#define NETWATCH_NAMES_H

#include <stddef.h>

/* The categories of events that there are, in the order in which they are shown. */
extern const char *const names_categories[];
extern const size_t names_n_categories;

/* The name as a constant; NULL: there is no such category. */
const char *names_category(const char *name);

#endif
