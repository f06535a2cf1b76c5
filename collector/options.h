/* SPDX-License-Identifier: GPL-2.0-only */
/* Options of the command line. */
#ifndef NETWATCH_OPTIONS_H
#define NETWATCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "log.h"

struct options {
	const char *socket;
	mode_t socket_mode;
	const char *group;
	const char *http_group;
	const char *user;
	size_t ring; /* bytes, a power of two */
	size_t queue;
	size_t history; /* events; 0: none */
	bool kernel_addresses;
	bool check; /* print what this kernel can do, and end */
	bool json;  /* print it as JSON, not as a table */
	enum log_level log_level;
};

/*
 * Fills options from the command line, on top of the defaults. Negative: go on. Otherwise
 * the exit code: help or version was printed (0), or an error (2).
 */
int options_parse(struct options *options, int argc, char **argv);

#endif
