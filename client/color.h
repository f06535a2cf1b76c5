/* SPDX-License-Identifier: GPL-2.0-only */
/* Colours by meaning: what is wrong, what deserves a look, what went well, what is past. */
#ifndef NETWATCH_COLOR_H
#define NETWATCH_COLOR_H

#include <stdbool.h>
#include <stddef.h>

#define COLOR_HEADER "\033[1m"
#define COLOR_END    "\033[0m"

/* Words of --color, ended by NULL. */
enum color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };
extern const char *const color_words[];

/*
 * Switches colours on or off, as they are wanted on that descriptor: auto is a terminal that is
 * not dumb, and NO_COLOR (no-color.org) unset or empty.
 */
void color_init(enum color color, int fd);

bool color_is_on(void);

/* Switches them on or off, and says what they were: a message on stderr has none. */
bool color_switch(bool wanted);

/* What to write before a value of that name, and COLOR_END after it; NULL: nothing. */
const char *color_of(const char *name, size_t length);

#endif
