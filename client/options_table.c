// SPDX-License-Identifier: GPL-2.0-only
// The table of options: everything that parser, --help and --usage know about them.
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "log.h"
#include "number.h"
#include "options.h"
#include "sock.h"

#define COUNT_MAX (UINT64_MAX / 2)

typedef int set_fn(struct options *options, const struct option_row *row, const char *name,
		   const char *argument);

static int bad(const char *noun, const char *argument, const char *name, const char *reason)
{
	log_error("bad %s \"%s\" in --%s: %s", noun, argument, name, reason);
	return -EINVAL;
}

static int set_flag(struct options *options, const struct option_row *row, const char *name,
		    const char *argument)
{
	(void)name;
	(void)argument;
	*(bool *)((char *)options + row->target) = true;
	return 0;
}

static int set_string(struct options *options, const struct option_row *row, const char *name,
		      const char *argument)
{
	(void)name;
	*(const char **)((char *)options + row->target) = argument;
	return 0;
}

/* A letter whose categories are looked up when all options are known. */
static int set_letter(struct options *options, const struct option_row *row, const char *name,
		      const char *argument)
{
	(void)options;
	(void)row;
	(void)name;
	(void)argument;
	return 0;
}

static int set_filter(struct options *options, const struct option_row *row, const char *name,
		      const char *argument)
{
	const char *item, *reason;

	reason = filter_add(&options->filter, row->kind, row->target, options->negate,
			    argument ? argument : row->name, &item);
	options->negate = false;
	return reason ? bad(row->kind->noun, item, name, reason) : 0;
}

static int set_count(struct options *options, const struct option_row *row, const char *name,
		     const char *argument)
{
	(void)row;
	if (number_parse(argument, strlen(argument), 1, COUNT_MAX, &options->count))
		return bad("number", argument, name, "1 or more");
	return 0;
}

static int set_duration(struct options *options, const struct option_row *row, const char *name,
			const char *argument)
{
	(void)row;
	if (number_duration(argument, &options->duration))
		return bad("duration", argument, name, "such as 30s, 1.5s, 500ms, 5m or 1h");
	return 0;
}

static int set_format(struct options *options, const struct option_row *row, const char *name,
		      const char *argument)
{
	(void)row;
	options->writer = writer_find(argument);
	return options->writer ? 0 : bad("format", argument, name, writer_names());
}

static int set_events(struct options *options, const struct option_row *row, const char *name,
		      const char *argument)
{
	char item[64];

	(void)row;
	for (const char *list = argument;; list++) {
		size_t length = strcspn(list, ",");

		memcpy(item, list, length < sizeof(item) ? length : sizeof(item) - 1);
		item[length < sizeof(item) ? length : sizeof(item) - 1] = '\0';
		if (categories_add(&options->categories, item, false))
			return bad("category", item, name, "see netwatch status");
		list += length;
		if (!*list)
			return 0;
	}
}

#define WATCH	     (COMMAND_SUBSCRIBE | COMMAND_LIST)
#define FLAG(member) .set = set_flag, .target = offsetof(struct options, member)
#define FILTER(what, set_) \
	.set = set_filter, .kind = &filter_##what, .target = offsetof(Netwatch__Filter, set_)
#define FAMILY(number) .set = set_filter, .kind = &filter_families, .target = (number)

/* clang-format off */
const struct option_row options_table[] = {
	{.help = "What to watch:"},
	{"events", {}, 0, "LIST", "exactly these categories, such as conn,packet",
	 COMMAND_SUBSCRIBE, .set = set_events},
	{"all", {}, 'a', NULL, "closed connections too", WATCH, FLAG(closed)},
	{"time", {}, 't', NULL, "time spent in each layer, in packet events",
	 COMMAND_SUBSCRIBE, FLAG(times)},
	{"retrans", {}, 'r', NULL, "add retransmissions",
	 COMMAND_SUBSCRIBE, .set = set_letter, .categories = "retransmit,congestion"},
	{"err", {}, 'e', NULL, "add errors: bad sequences and checksums, resets, drops",
	 COMMAND_SUBSCRIBE, .set = set_letter, .categories = "error"},
	{"extra", {}, 'x', NULL, "add each connection's counters",
	 WATCH, FLAG(extra), .categories = "tcpinfo,congestion"},
	{"http", {}, 'i', NULL, "add HTTP requests and responses",
	 COMMAND_SUBSCRIBE, .set = set_letter, .categories = "http"},

	{.help = "Which of it (a list, or the same option again, means or; different ones mean and):"},
	{"sport", {"lport"}, 's', "PORTS", "local port, such as 80,443,8000-8100",
	 WATCH, FILTER(ports, lport)},
	{"dport", {"rport"}, 'd', "PORTS", "remote port", WATCH, FILTER(ports, rport)},
	{"port", {}, 0, "PORTS", "local or remote port", WATCH, FILTER(ports, port)},
	{"laddr", {}, 0, "CIDR", "local address, such as 10.0.0.0/8 or ::1",
	 WATCH, FILTER(prefixes, laddr)},
	{"raddr", {}, 0, "CIDR", "remote address", WATCH, FILTER(prefixes, raddr)},
	{"addr", {}, 0, "CIDR", "local or remote address", WATCH, FILTER(prefixes, addr)},
	{"ipv4", {}, '4', NULL, "IPv4, v4-mapped too", WATCH, FAMILY(NETWATCH__FAMILY__IPV4)},
	{"ipv6", {}, '6', NULL, "IPv6", WATCH, FAMILY(NETWATCH__FAMILY__IPV6)},
	{"pid", {}, 'p', "PID", "process that owns it", WATCH, FILTER(pids, pid)},
	{"comm", {}, 0, "NAME", "name of that process", WATCH, FILTER(names, comm)},
	{"uid", {}, 'u', "USER", "user that owns it, by name or number", WATCH, FILTER(users, uid)},
	{"role", {}, 0, "ROLE", "client or server: the side that this host plays",
	 WATCH, .set = set_filter, .kind = &filter_roles},
	{"netns", {}, 0, "NS", "network namespace: inode number, name, or path",
	 WATCH, FILTER(namespaces, netns)},
	{"cgroup", {}, 0, "PATH", "cgroup, with those below it", WATCH, FILTER(cgroups, cgroup)},
	{"not", {}, 0, NULL, "turn the one option after it round", WATCH, FLAG(negate)},

	{.help = "How it comes out, and when it ends:"},
	{"output", {}, 'o', "FORMAT", "table (default), compact or json", COMMAND_ALL,
	 .set = set_format},
	{"count", {}, 'c', "N", "end after N events", WATCH, .set = set_count},
	{"duration", {}, 0, "TIME", "end after that time, such as 30s, 1.5s, 500ms, 5m, 1h",
	 COMMAND_SUBSCRIBE, .set = set_duration},
	{"no-existing", {}, 0, NULL, "leave out the connections that existed before",
	 COMMAND_SUBSCRIBE, FLAG(no_existing)},
	{"stats", {}, 0, NULL, "at the end, the account as one JSON object on stderr",
	 COMMAND_SUBSCRIBE, FLAG(stats)},
	{"quiet", {}, 'q', NULL, "no hints on stderr; errors and losses are told", COMMAND_ALL,
	 FLAG(quiet)},
	{"verbose", {}, 'v', NULL, "say on stderr when the subscription is live", COMMAND_ALL,
	 FLAG(verbose)},

	{.help = "Other:"},
	{"socket", {}, 0, "PATH", "the collector's socket, instead of " SOCK_DEFAULT_PATH,
	 COMMAND_ALL, .set = set_string, .target = offsetof(struct options, socket)},
	{"help", {}, '?', NULL, "this text; after a command, that of the command", COMMAND_ALL,
	 FLAG(help)},
	{"usage", {}, 0, NULL, "the options in short", COMMAND_ALL, FLAG(usage)},
	{"version", {}, 0, NULL, "the version", COMMAND_ALL, FLAG(version)},
};
/* clang-format on */

const size_t options_count = sizeof(options_table) / sizeof(options_table[0]);

static_assert(sizeof(options_table) / sizeof(options_table[0]) <= OPTIONS_MAX, "options.seen");
