// SPDX-License-Identifier: GPL-2.0-only
// The names of the schema that mean something to the eye; all others have the plain colour.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "color.h"

#define WRONG "\033[31m" /* red */
#define LOOK  "\033[33m" /* yellow */
#define GOOD  "\033[32m" /* green */
#define NEW   "\033[36m" /* cyan */
#define PAST  "\033[2m"	 /* faint */

static const struct {
	const char *name, *color;
} meanings[] = {
	{"FAILED", WRONG},
	{"RESET_SENT", WRONG},
	{"RESET_RECEIVED", WRONG},
	{"TIMEOUT", WRONG},
	{"CHECKSUM", WRONG},
	{"SEQUENCE", WRONG},
	{"DROP", WRONG},
	{"LOSS", WRONG},
	{"KERNEL_RING", WRONG},
	{"SUBSCRIBER_QUEUE", WRONG},
	{"RESTART", WRONG},
	{"FAST", LOOK},
	{"TAIL_LOSS_PROBE", LOOK},
	{"SYN", LOOK},
	{"SYN_ACK", LOOK},
	{"RECOVERY", LOOK},
	{"DISORDER", LOOK},
	{"ESTABLISHED", GOOD},
	{"OPEN", NEW},
	{"REQUEST", NEW},
	{"RESPONSE", GOOD},
	{"EXISTING", PAST},
	{"CLOSE", PAST},
};

const char *const color_words[] = {
	[COLOR_AUTO] = "auto",
	[COLOR_ALWAYS] = "always",
	[COLOR_NEVER] = "never",
	NULL,
};

static bool on;

static bool takes_colors(int fd)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fd) && !(no_color && *no_color) && term && *term && strcmp(term, "dumb");
}

void color_init(enum color color, int fd)
{
	on = color == COLOR_ALWAYS || (color == COLOR_AUTO && takes_colors(fd));
}

bool color_is_on(void)
{
	return on;
}

bool color_switch(bool wanted)
{
	bool before = on;

	on = wanted;
	return before;
}

const char *color_of(const char *name, size_t length)
{
	for (size_t i = 0; on && i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		if (strlen(meanings[i].name) == length && !memcmp(meanings[i].name, name, length))
			return meanings[i].color;
	}
	return NULL;
}
