/* SPDX-License-Identifier: GPL-2.0-only */
/* What the program's exit status says. */
#ifndef NETWATCH_EXIT_H
#define NETWATCH_EXIT_H

enum exit_status {
	EXIT_OK = 0, /* ended as asked */
	EXIT_ERROR = 1,
	EXIT_USAGE = 2,
	EXIT_NO_COLLECTOR = 3,
	EXIT_DISCONNECTED = 4, /* the stream ended without our asking */
	EXIT_OUTPUT = 5,       /* could not write */
	EXIT_LOSS = 6,	       /* events were lost, and --fail-on-loss was given */
	EXIT_VERSION = 76,
	EXIT_PERMISSION = 77,
	EXIT_UNAVAILABLE = 78, /* this kernel or configuration cannot do it */

	/* Of COMMAND, as a shell has them. */
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127,
	EXIT_BY_SIGNAL = 128, /* and its number */
};

#endif
