// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "options.h"
#include "sock.h"
#include "version.h"

#define RING_MIN  (4UL << 10) /* a page */
#define RING_MAX  (1UL << 30)
#define QUEUE_MIN (128UL << 10) /* two blocks */
#define QUEUE_MAX (1UL << 30)

#define SHOWN 1 /* help or version was printed, and that is all */

/* 0; -EINVAL: the value makes no sense; SHOWN. */
typedef int option_parse(struct options *options, const char *value);

static int set_socket(struct options *o, const char *value)
{
	o->socket = value;
	return *value ? 0 : -EINVAL;
}

static int set_mode(struct options *o, const char *value)
{
	char *end;
	unsigned long mode = strtoul(value, &end, 8);

	o->socket_mode = (mode_t)mode;
	return *value >= '0' && *value <= '7' && !*end && mode <= 0777 ? 0 : -EINVAL;
}

static int set_group(struct options *o, const char *value)
{
	o->group = value;
	return 0;
}

static int set_http_group(struct options *o, const char *value)
{
	o->http_group = value;
	return 0;
}

static int set_user(struct options *o, const char *value)
{
	o->user = value;
	return *value ? 0 : -EINVAL;
}

/* Bytes, with K, M or G for powers of 1024. */
static int parse_size(const char *value, size_t min, size_t max, size_t *size)
{
	static const char units[] = "KMG";
	const char *unit;
	unsigned long long n;
	char *end;

	if (*value < '0' || *value > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(value, &end, 10);
	if (errno || n > max)
		return -EINVAL;
	unit = *end ? strchr(units, *end) : NULL;
	if (*end && (!unit || end[1]))
		return -EINVAL;
	if (unit)
		n <<= 10 * (unit - units + 1);
	if (n < min || n > max)
		return -EINVAL;
	*size = n;
	return 0;
}

static int set_ring(struct options *o, const char *value)
{
	size_t size, power = RING_MIN;

	if (parse_size(value, RING_MIN, RING_MAX, &size))
		return -EINVAL;
	while (power < size)
		power <<= 1;
	o->ring = power;
	return 0;
}

static int set_queue(struct options *o, const char *value)
{
	return parse_size(value, QUEUE_MIN, QUEUE_MAX, &o->queue);
}

static int set_history(struct options *o, const char *value)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || errno || n > HISTORY_MAX)
		return -EINVAL;
	o->history = n;
	return 0;
}

static int set_kernel_addresses(struct options *o, const char *value)
{
	(void)value;
	o->kernel_addresses = true;
	return 0;
}

static int set_check(struct options *o, const char *value)
{
	(void)value;
	o->check = true;
	return 0;
}

static int set_output(struct options *o, const char *value)
{
	o->json = !strcmp(value, "json");
	return o->json || !strcmp(value, "table") ? 0 : -EINVAL;
}

static int set_log_level(struct options *o, const char *value)
{
	return log_level_parse(value, &o->log_level);
}

static int show_version(struct options *options, const char *value);
static int show_help(struct options *options, const char *value);

static const struct option_row {
	const char *name;
	char letter;	      /* 0: none */
	const char *argument; /* NULL: takes none */
	const char *help;
	option_parse *parse;
} rows[] = {
	{"socket", 0, "PATH", "listen here (" SOCK_DEFAULT_PATH ")", set_socket},
	{"socket-mode", 0, "MODE", "permissions of the socket, octal (0666)", set_mode},
	{"group", 0, "NAME", "group that sees all users' sockets (netwatch)", set_group},
	{"http-group", 0, "NAME", "group that sees all users' HTTP too (netwatch-http)",
	 set_http_group},
	{"user", 0, "NAME", "whom to become after set-up (netwatch)", set_user},
	{"ring", 0, "SIZE",
	 "ring between kernel and collector, 4K to 1G, rounded up to a power of two (4M)",
	 set_ring},
	{"queue", 0, "SIZE", "what may wait for one client, 128K to 1G (1M)", set_queue},
	{"history", 0, "N",
	 "events to remember, 0 to 1000000, for --last, --since and list --all (0)", set_history},
	{"kernel-addresses", 0, NULL, "show uid 0 the kernel's addresses of sockets",
	 set_kernel_addresses},
	{"check", 0, NULL, "print what this kernel can do, and why not, and exit", set_check},
	{"output", 'o', "FORMAT", "of --check: table or json (table)", set_output},
	{"log-level", 0, "LEVEL", "error, warn, info or debug (info)", set_log_level},
	{"version", 0, NULL, "print the version and exit", show_version},
	{"help", '?', NULL, "print this and exit", show_help},
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static int show_version(struct options *options, const char *value)
{
	(void)options;
	(void)value;
	printf("netwatch-collector %s\n", VERSION);
	return SHOWN;
}

static int show_help(struct options *options, const char *value)
{
	(void)options;
	(void)value;
	printf("usage: netwatch-collector [OPTION...]\n"
	       "Shows users what TCP does, over a socket; `netwatch` is the client.\n\n");
	for (size_t i = 0; i < N_ROWS; i++) {
		const struct option_row *row = &rows[i];
		char letter[] = "    ", left[40];

		if (row->letter)
			snprintf(letter, sizeof(letter), "-%c, ", row->letter);
		snprintf(left, sizeof(left), "%s--%s %s", letter, row->name,
			 row->argument ? row->argument : "");
		printf("  %-24s %s\n", left, row->help);
	}
	printf("\nExit: 0 ended as asked, 1 error, 2 usage, 3 another one is running,\n"
	       "77 not permitted, 78 this kernel or configuration cannot do it.\n");
	return SHOWN;
}

static int usage_error(void)
{
	fprintf(stderr, "netwatch-collector: --help lists the options\n");
	return 2;
}

static int end_output(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return 0;
	fprintf(stderr, "netwatch-collector: cannot write the output: %s\n", strerror(errno));
	return 1;
}

struct getopt_table {
	struct option names[N_ROWS + 1];
	char letters[2 * N_ROWS + 1];
};

static void make_table(struct getopt_table *table)
{
	char *letters = table->letters;

	*table = (struct getopt_table){.letters = ""};
	for (size_t i = 0; i < N_ROWS; i++) {
		const struct option_row *row = &rows[i];

		table->names[i].name = row->name;
		table->names[i].has_arg = row->argument ? required_argument : no_argument;
		if (row->letter)
			*letters++ = row->letter;
		if (row->letter && row->argument)
			*letters++ = ':';
	}
}

/* What getopt returned, with the index of a long name. NULL: it complained. */
static const struct option_row *row_of(int c, int index, char **argv)
{
	if (!c)
		return &rows[index];
	if (c == '?' && strcmp(argv[optind - 1], "-?") != 0)
		return NULL;
	for (size_t i = 0; i < N_ROWS; i++) {
		if (rows[i].letter == c)
			return &rows[i];
	}
	return NULL;
}

static int parse_all(struct options *options, int argc, char **argv)
{
	struct getopt_table table;
	bool output = false;
	int c, index = 0;

	make_table(&table);
	while ((c = getopt_long(argc, argv, table.letters, table.names, &index)) != -1) {
		const struct option_row *row = row_of(c, index, argv);
		int result;

		if (!row)
			return usage_error(); /* getopt_long named it */
		result = row->parse(options, optarg);
		if (result == SHOWN)
			return end_output();
		if (result) {
			fprintf(stderr, "netwatch-collector: bad --%s \"%s\"\n", row->name, optarg);
			return usage_error();
		}
		output |= row->parse == set_output;
	}
	if (!output || options->check)
		return -1;
	fprintf(stderr, "netwatch-collector: --output is of --check, which is not there\n");
	return usage_error();
}

int options_parse(struct options *options, int argc, char **argv)
{
	int exit_code;

	*options = (struct options){
		.socket = SOCK_DEFAULT_PATH,
		.socket_mode = 0666,
		.group = "netwatch",
		.http_group = "netwatch-http",
		.user = "netwatch",
		.ring = 4UL << 20,
		.queue = 1UL << 20,
		.log_level = LOG_LEVEL_INFO,
	};
	exit_code = parse_all(options, argc, argv);
	if (exit_code >= 0 || optind == argc)
		return exit_code;
	fprintf(stderr, "netwatch-collector: unexpected argument \"%s\"\n", argv[optind]);
	return usage_error();
}
