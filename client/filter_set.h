/* SPDX-License-Identifier: GPL-2.0-only */
/* How values get into the sets of a Filter, for the files that have kinds of values. */
#ifndef NETWATCH_FILTER_SET_H
#define NETWATCH_FILTER_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "netwatch.pb-c.h"

extern const char filter_no_memory[];

/* Makes room for one more element of size bytes in *array, which a protobuf message owns. */
void *filter_grow(void *array, size_t *count, size_t size);

/* The message at target (offset) in another one, made when it is not there yet; or NULL. */
void *filter_member(void *message, size_t target, const ProtobufCMessageDescriptor *type);

bool filter_is_utf8(const char *text, size_t size);

/* Appends to set->any, or with negate to set->none. NULL: no memory. */
#define FILTER_APPEND(set, negate)                                                    \
	(!(set)	    ? NULL                                                            \
	 : (negate) ? filter_grow(&(set)->none, &(set)->n_none, sizeof(*(set)->none)) \
		    : filter_grow(&(set)->any, &(set)->n_any, sizeof(*(set)->any)))

#endif
