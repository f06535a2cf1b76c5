/* SPDX-License-Identifier: GPL-2.0-only */
/* The target of a request: its forms (RFC 9112, 3.2), and what of it must not be shown. */
#ifndef NETWATCH_HTTP_TARGET_H
#define NETWATCH_HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>

/* GET, POST and the like: what is believed to be HTTP before the version was seen. */
bool http_method_common(const char *method, size_t length);

/* Is text the beginning of one of these, or all of it? */
bool http_method_begins(const char *text, size_t length);

/* Whether it has one of the four forms that the method can have. */
bool http_target_valid(const char *method, size_t method_length, const char *target, size_t length);

/*
 * Removes userinfo (`user:password@`) where it stands, behind each "://", "//" at the start,
 * and in an authority alone; returns what is left. cut: the end is missing, and with it perhaps
 * the '@', so an authority without end goes too.
 */
size_t http_target_clean(char *target, size_t length, bool cut);

/*
 * Writes the target with every value of the query replaced: `/x?a=REDACTED&b=REDACTED`. A
 * parameter without a name is a value, and so is a fragment. What does not fit in size is left out,
 * from the beginning of a parameter on. Always terminated (size > 0); returns the length.
 */
size_t http_target_redact(char *out, size_t size, const char *target, size_t length);

#endif
