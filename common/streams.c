// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "streams.h"

int streams_open(void)
{
	int closed = 0;

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		closed |= 1 << fd;
		/* The lowest that is free is this one. */
		if (open("/dev/null", O_RDWR) < 0)
			return -errno;
	}
	return closed;
}
