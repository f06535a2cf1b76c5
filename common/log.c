// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "escape.h"
#include "log.h"

#define PROGRAM_MAX 64 /* of its name with what stands around it; a longer one is cut */

static const char *program = "netwatch";
static enum log_level max_level = LOG_LEVEL_INFO;
static bool never_wait;
static void (*before_line)(void);

static const char *const names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

void log_init(const char *name, enum log_level level)
{
	program = name;
	max_level = level;
}

int log_level_parse(const char *name, enum log_level *level)
{
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(name, names[i])) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void log_before(void (*before)(void))
{
	before_line = before;
}

void log_never_wait(void)
{
	never_wait = true;
}

static bool has_room(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

	return poll(&poll_fd, 1, 0) > 0 && poll_fd.revents & POLLOUT;
}

static void log_va(enum log_level level, const char *format, va_list args)
{
	char text[1024], escaped[ESCAPE_MAX * sizeof(text)], line[sizeof(escaped) + PROGRAM_MAX];
	int saved = errno, n;

	if (level > max_level)
		return;
	vsnprintf(text, sizeof(text), format, args);
	escape_terminal(escaped, sizeof(escaped), text, strlen(text));
	n = snprintf(line, sizeof(line), "%.*s: %s\n", PROGRAM_MAX - 4, program, escaped);
	if (before_line)
		before_line();
	/* Not dprintf: it leaks its buffer when it cannot write (glibc 2.36). */
	if (!never_wait || has_room(STDERR_FILENO))
		n = (int)write(STDERR_FILENO, line, (size_t)n);
	errno = saved; /* a failure has nowhere to be told */
}

#define DEFINE_LOG(name, level)              \
	void name(const char *format, ...)   \
	{                                    \
		va_list args;                \
                                             \
		va_start(args, format);      \
		log_va(level, format, args); \
		va_end(args);                \
	}

DEFINE_LOG(log_error, LOG_LEVEL_ERROR)
DEFINE_LOG(log_warn, LOG_LEVEL_WARN)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)
