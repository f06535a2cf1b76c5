/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers in three digits, at most 6 columns; what is not known (negative) is a "-". */
#ifndef NETWATCH_TOP_VALUES_H
#define NETWATCH_TOP_VALUES_H

#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

struct output;

/* Any number, as 1.23M: a letter for each power of 1000. */
void top_values_scaled(struct output *output, double value);

/* 45us, 1.23ms, 3.00s. */
void top_values_time(struct output *output, int64_t microseconds);

/* 59s, 59m59s, 23h59m, 999d. */
void top_values_age(struct output *output, int64_t microseconds);

/* The name of an enum's value, or "-". */
const char *top_values_name(const ProtobufCEnumDescriptor *names, int64_t value);

#endif
