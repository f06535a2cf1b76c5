/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The terminal while it is ours: the alternate screen without a cursor, and keys as they are
 * pressed. It is given back when asked to, before each line of log.h, and when a signal stops or
 * ends the program.
 */
#ifndef NETWATCH_TOP_SCREEN_H
#define NETWATCH_TOP_SCREEN_H

#include <stdbool.h>

enum top_key {
	TOP_KEY_QUIT,
	TOP_KEY_LEFT,
	TOP_KEY_RIGHT,
	TOP_KEY_UP,
	TOP_KEY_DOWN,
	TOP_KEY_PAGE_UP,
	TOP_KEY_PAGE_DOWN,
	TOP_KEY_HOME,
	TOP_KEY_REVERSE,
	TOP_KEY_PAUSE,
	TOP_KEY_HELP,
	TOP_KEY_REDRAW,
};

/*
 * Prepares stdout, a terminal, and stdin, if it is one. Returns a descriptor to wait for, at which
 * there is something to read when top_screen_ready has something to do; or -errno.
 */
int top_screen_open(void);

/* Gives all back. */
void top_screen_close(void);

/* Takes the terminal, if it is not ours; gives it back, if it is. */
void top_screen_enter(void);
void top_screen_leave(void);

/* Size of the terminal, now. */
void top_screen_size(unsigned *lines, unsigned *columns);

/* Calls key for each that was pressed. True: what is on the screen is to be drawn again. */
bool top_screen_ready(void (*key)(enum top_key key));

#endif
