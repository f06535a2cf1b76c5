/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers and durations as typed: decimal digits, no sign, no space, no other base. */
#ifndef NETWATCH_NUMBER_H
#define NETWATCH_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* The length bytes at text as a decimal number within bounds. 0, -EINVAL, or -ERANGE. */
int number_parse(const char *text, size_t length, uint64_t least, uint64_t most, uint64_t *number);

/*
 * "30s", "1.5s", ".5", "500ms", "5m", "1h", or seconds: at least a millisecond. 0, -EINVAL,
 * or -ERANGE.
 */
int number_duration(const char *text, uint64_t *milliseconds);

/* Bytes: "4096", "64K", "10M", "1G". 0, -EINVAL, or -ERANGE. */
int number_size(const char *text, uint64_t *bytes);

#endif
