// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "sock.h"
#include "version.h"

#define RING_MIN  (4UL << 10) /* a page */
#define RING_MAX  (1UL << 30)
#define QUEUE_MIN (128UL << 10) /* two blocks */
#define QUEUE_MAX (1UL << 30)

/* 0, or -EINVAL: the value makes no sense. */
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

static int set_kernel_addresses(struct options *o, const char *value)
{
	(void)value;
	o->kernel_addresses = true;
	return 0;
}

static int set_log_level(struct options *o, const char *value)
{
	return log_level_parse(value, &o->log_level);
}

static const struct option_row {
	const char *name;
	const char *argument; /* NULL: takes none */
	const char *help;
	option_parse *parse; /* NULL: help, version */
} rows[] = {
	{"socket", "PATH", "listen here (" SOCK_DEFAULT_PATH ")", set_socket},
	{"socket-mode", "MODE", "permissions of the socket, octal (0666)", set_mode},
	{"group", "NAME", "group that sees all users' sockets (netwatch)", set_group},
	{"http-group", "NAME", "group that sees all users' HTTP too (netwatch-http)",
	 set_http_group},
	{"user", "NAME", "whom to become after set-up (netwatch)", set_user},
	{"ring", "SIZE",
	 "ring between kernel and collector, 4K to 1G, rounded up to a power of two (4M)",
	 set_ring},
	{"queue", "SIZE", "what may wait for one client, 128K to 1G (1M)", set_queue},
	{"kernel-addresses", NULL, "show uid 0 the kernel's addresses of sockets",
	 set_kernel_addresses},
	{"log-level", "LEVEL", "error, warn, info or debug (info)", set_log_level},
	{"version", NULL, "print the version and exit", NULL},
	{"help", NULL, "print this and exit", NULL},
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static void print_help(void)
{
	printf("usage: netwatch-collector [OPTION...]\n"
	       "Shows users what TCP does, over a socket; `netwatch` is the client.\n\n");
	for (size_t i = 0; i < N_ROWS; i++) {
		char left[40];

		snprintf(left, sizeof(left), "--%s%s%s", rows[i].name, rows[i].argument ? " " : "",
			 rows[i].argument ? rows[i].argument : "");
		printf("  %-24s %s\n", left, rows[i].help);
	}
	printf("\nExit: 0 ended as asked, 1 error, 2 usage, 3 another one is running,\n"
	       "77 not permitted, 78 this kernel or configuration cannot do it.\n");
}

static int usage_error(void)
{
	fprintf(stderr, "netwatch-collector: --help lists the options\n");
	return 2;
}

int options_parse(struct options *options, int argc, char **argv)
{
	struct option long_options[N_ROWS + 1] = {{0}};
	int index;

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
	for (size_t i = 0; i < N_ROWS; i++) {
		long_options[i].name = rows[i].name;
		long_options[i].has_arg = rows[i].argument ? required_argument : no_argument;
	}
	for (;;) {
		int c = getopt_long(argc, argv, "?", long_options, &index);

		if (c == -1)
			break;
		if (c == '?' && optopt == 0 && !strcmp(argv[optind - 1], "-?")) {
			print_help();
			return 0;
		}
		if (c)
			return usage_error(); /* getopt_long named it */
		if (!rows[index].parse && !strcmp(rows[index].name, "version")) {
			printf("netwatch-collector %s\n", VERSION);
			return 0;
		}
		if (!rows[index].parse) {
			print_help();
			return 0;
		}
		if (rows[index].parse(options, optarg)) {
			fprintf(stderr, "netwatch-collector: bad --%s \"%s\"\n", rows[index].name,
				optarg);
			return usage_error();
		}
	}
	if (optind < argc) {
		fprintf(stderr, "netwatch-collector: unexpected argument \"%s\"\n", argv[optind]);
		return usage_error();
	}
	return -1;
}
