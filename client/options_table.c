// SPDX-License-Identifier: GPL-2.0-only
// The table of options: everything that parser, help and completion know about them.
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "color.h"
#include "export.h"
#include "log.h"
#include "logfile.h"
#include "metrics.h"
#include "number.h"
#include "options.h"
#include "sock.h"
#include "top_columns.h"

#define COUNT_MAX    (UINT64_MAX / 2)
#define INTERVAL_MIN 100 /* milliseconds, of the collector */
#define ITEM_MAX     63	 /* bytes of a name in a list; none is as long */

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

	reason = filter_options_add(&options->filter, row->kind, row->target, options->negate,
				    argument ? argument : row->name, &item);
	options->negate = false;
	return reason ? bad(row->kind->noun, item, name, reason) : 0;
}

static int set_count(struct options *options, const struct option_row *row, const char *name,
		     const char *argument)
{
	uint64_t *count = (uint64_t *)((char *)options + row->target);

	if (number_parse(argument, strlen(argument), 1, COUNT_MAX, count))
		return bad("number", argument, name, "1 or more");
	return 0;
}

static int set_duration(struct options *options, const struct option_row *row, const char *name,
			const char *argument)
{
	uint64_t *duration = (uint64_t *)((char *)options + row->target);

	if (number_duration(argument, duration))
		return bad("duration", argument, name, "such as 30s, 1.5s, 500ms, 5m or 1h");
	return 0;
}

static int set_interval(struct options *options, const struct option_row *row, const char *name,
			const char *argument)
{
	uint64_t *interval = (uint64_t *)((char *)options + row->target);

	if (set_duration(options, row, name, argument))
		return -EINVAL;
	if (*interval < INTERVAL_MIN || *interval > UINT32_MAX)
		return bad("interval", argument, name, "at least 100ms, and at most 49 days");
	return 0;
}

static int set_size(struct options *options, const struct option_row *row, const char *name,
		    const char *argument)
{
	uint64_t *size = (uint64_t *)((char *)options + row->target);

	if (number_size(argument, size) || *size < LOGFILE_SIZE_MIN)
		return bad("size", argument, name, "at least 64K, such as 10M or 1G");
	return 0;
}

static int set_ports(struct options *options, const struct option_row *row, const char *name,
		     const char *argument)
{
	uint64_t *ports = (uint64_t *)((char *)options + row->target);

	if (number_parse(argument, strlen(argument), 0, METRICS_PORTS_MAX, ports))
		return bad("number", argument, name, "0 to 1024");
	return 0;
}

/* One of the row's words: its index, counted from 1. */
static int set_word(struct options *options, const struct option_row *row, const char *name,
		    const char *argument)
{
	char list[192] = "";

	for (unsigned i = 0; row->words[i]; i++) {
		if (!strcmp(row->words[i], argument)) {
			*(unsigned *)((char *)options + row->target) = i + 1;
			return 0;
		}
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "",
			 row->words[i]);
	}
	return bad("value", argument, name, list);
}

/* Calls take for each item of a list with commas; the item that it does not take, or NULL. */
static const char *each_item(struct options *options, const char *list,
			     int (*take)(struct options *options, const char *item))
{
	static char item[ITEM_MAX + 1];

	for (;; list++) {
		size_t length = strcspn(list, ",");

		snprintf(item, sizeof(item), "%.*s", (int)length, list);
		if (length > ITEM_MAX || take(options, item))
			return item;
		list += length;
		if (!*list)
			return NULL;
	}
}

static int take_category(struct options *options, const char *item)
{
	return categories_add(&options->categories, item, false);
}

static int take_column(struct options *options, const char *item)
{
	return columns_add(&options->columns, item);
}

static int set_events(struct options *options, const struct option_row *row, const char *name,
		      const char *argument)
{
	const char *item = each_item(options, argument, take_category);

	(void)row;
	return item ? bad("category", item, name, "see netwatch status") : 0;
}

static int set_fields(struct options *options, const struct option_row *row, const char *name,
		      const char *argument)
{
	const char *item = each_item(options, argument, take_column);

	(void)row;
	if (item && options->columns.count == COLUMNS_MAX)
		return bad("field", item, name, "too many columns");
	return item ? bad("field", item, name, "see netwatch fields") : 0;
}

#define LIVE		     (COMMAND_SUBSCRIBE | COMMAND_RECORD)
#define SINK		     (COMMAND_LOG | COMMAND_EXPORT)
#define STREAM		     (LIVE | COMMAND_REPLAY)
#define READ		     (STREAM | COMMAND_LIST)
#define WATCH		     (READ | SINK | COMMAND_TOP)
#define SHOW		     (READ & ~COMMAND_RECORD)
#define MEMBER(set_, member) .set = (set_), .target = offsetof(struct options, member)
#define FLAG(member)	     MEMBER(set_flag, member)
#define FILTER(what, set_) \
	.set = set_filter, .kind = &filter_##what, .target = offsetof(Netwatch__Filter, set_)
#define HTTP(what, set_)                                \
	.set = set_filter, .kind = &filter_http_##what, \
	.target = offsetof(Netwatch__HttpFilter, set_)
#define FAMILY(number) .set = set_filter, .kind = &filter_families, .target = (number)

/* clang-format off */
const struct option_row options_table[] = {
	{.help = "What to watch:"},
	{"events", {}, 0, "LIST", "exactly these categories, such as conn,packet",
	 STREAM | SINK, .set = set_events, .complete = COMPLETE_CATEGORIES},
	{"all", {}, 'a', NULL, "closed connections too", READ | COMMAND_LOG, FLAG(closed)},
	{"time", {}, 't', NULL, "time spent in each layer, in packet events",
	 STREAM | SINK, FLAG(times)},
	{"retrans", {}, 'r', NULL, "add retransmissions",
	 STREAM | COMMAND_LOG, .set = set_letter, .categories = "retransmit,congestion"},
	{"err", {}, 'e', NULL, "add errors: bad sequences and checksums, resets, drops",
	 STREAM | COMMAND_LOG, .set = set_letter, .categories = "error"},
	{"extra", {}, 'x', NULL, "add each connection's counters",
	 READ | COMMAND_LOG, FLAG(extra), .categories = "tcpinfo,congestion"},
	{"http", {}, 'i', NULL, "add HTTP requests and responses",
	 STREAM | COMMAND_LOG, .set = set_letter, .categories = "http"},

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
	{"uid", {}, 'u', "USER", "user that owns it, by name or number", WATCH, FILTER(users, uid),
	 .complete = COMPLETE_USERS},
	{"role", {}, 0, "ROLE", "client or server: the side that this host plays",
	 WATCH, .set = set_filter, .kind = &filter_roles, .words = filter_role_words},
	{"netns", {}, 0, "NS", "network namespace: inode number, name, or path",
	 WATCH, FILTER(namespaces, netns), .complete = COMPLETE_FILES},
	{"cgroup", {}, 0, "PATH", "cgroup, with those below it", WATCH, FILTER(cgroups, cgroup),
	 .complete = COMPLETE_DIRECTORIES},
	{"http-method", {}, 0, "METHOD", "of HTTP events only: the method, such as GET,HEAD",
	 STREAM | SINK, HTTP(texts, method)},
	{"http-host", {}, 0, "NAME", "of HTTP events only: the host asked for, such as h or h:80",
	 STREAM | SINK, HTTP(texts, host)},
	{"http-path", {}, 0, "GLOB", "of HTTP events only: the path, such as '/api/*'",
	 STREAM | SINK, HTTP(texts, path)},
	{"http-status", {}, 0, "STATUS", "of HTTP events only responses such as 404,500-599",
	 STREAM | SINK, HTTP(statuses, status)},
	{"min-latency", {}, 0, "TIME", "of HTTP events only responses that took so long, as 10ms",
	 STREAM | SINK, HTTP(latencies, min_latency_us)},
	{"not", {}, 0, NULL, "turn the one option after it round", WATCH, FLAG(negate)},

	{.help = "How it comes out, and when it ends:"},
	{"output", {}, 'o', "FORMAT", "table (default), compact, json, csv, or pb, the raw stream",
	 COMMAND_ALL & ~(COMMAND_COMPLETION | COMMAND_RECORD | COMMAND_TOP | SINK), MEMBER(set_word, format), .words = writer_words},
	{"fields", {}, 0, "LIST", "columns of table and csv, such as time,raddr,conn.event",
	 SHOW, .set = set_fields, .complete = COMPLETE_COLUMNS},
	{"no-header", {}, 'H', NULL, "leave out the header of table, csv and top", SHOW | COMMAND_TOP,
	 FLAG(no_header)},
	{"time-format", {}, 0, "FORMAT", "rfc3339, unix, mono or delta, in table, compact and csv",
	 SHOW, MEMBER(set_word, time_word), .words = time_format_words},
	{"color", {}, 0, "WHEN", "auto (on a terminal), always or never", SHOW | COMMAND_TOP,
	 MEMBER(set_word, color), .words = color_words},
	{"sort", {}, 0, "COLUMN", "what comes first in top: received and sent (rate), unless told",
	 COMMAND_TOP, MEMBER(set_word, sort), .words = top_column_words},
	{"count", {}, 'c', "N", "end after N events, or N tables of top", READ | COMMAND_TOP,
	 MEMBER(set_count, count)},
	{"duration", {}, 0, "TIME", "end after that time, such as 30s, 1.5s, 500ms, 5m, 1h",
	 LIVE | SINK | COMMAND_TOP, MEMBER(set_duration, duration)},
	{"interval", {}, 0, "TIME", "time between reports of counters (1s), at least 100ms",
	 LIVE | SINK | COMMAND_TOP, MEMBER(set_interval, interval)},
	{"last", {}, 0, "N", "begin with N events of the collector's history",
	 LIVE, MEMBER(set_count, last)},
	{"since", {}, 0, "TIME", "begin with what its history holds of that time, such as 5m",
	 LIVE, MEMBER(set_duration, since)},
	{"no-follow", {}, 0, NULL, "end after what was there before", LIVE,
	 FLAG(no_follow)},
	{"no-existing", {}, 0, NULL, "leave out the connections that existed before",
	 STREAM, FLAG(no_existing)},
	{"reconnect", {}, 0, NULL, "when the collector goes away, wait for it and go on",
	 LIVE | COMMAND_LOG, FLAG(reconnect)},
	{"fail-on-loss", {}, 0, NULL, "exit with 6 when events were lost", STREAM | COMMAND_LOG,
	 FLAG(fail_on_loss)},
	{"stats", {}, 0, NULL, "at the end, the account as one JSON object on stderr",
	 STREAM | COMMAND_LOG, FLAG(stats)},
	{"max-size", {}, 0, "SIZE", "of packets.log and err.log, before they are rotated (64M)",
	 COMMAND_LOG, MEMBER(set_size, max_size)},
	{"listen", {}, 0, "ADDRESS:PORT", "where to serve, instead of " EXPORT_LISTEN,
	 COMMAND_EXPORT, MEMBER(set_string, listen)},
	{"backlog-ports", {}, 0, "N", "listening ports with series of their own (64); 0: none",
	 COMMAND_EXPORT, MEMBER(set_ports, ports)},
	{"quiet", {}, 'q', NULL, "no hints, progress or summary on stderr; errors and losses are told", COMMAND_ALL,
	 FLAG(quiet)},
	{"verbose", {}, 'v', NULL, "say on stderr when the subscription is live", COMMAND_ALL,
	 FLAG(verbose)},

	{.help = "Other:"},
	{"socket", {}, 0, "PATH", "the collector's socket, instead of " SOCK_DEFAULT_PATH,
	 COMMAND_ALL, MEMBER(set_string, socket), .complete = COMPLETE_FILES},
	{"help", {}, '?', NULL, "this text; after a command, that of the command", COMMAND_ALL,
	 FLAG(help)},
	{"usage", {}, 0, NULL, "the options in short", COMMAND_ALL, FLAG(usage)},
	{"version", {}, 0, NULL, "the version", COMMAND_ALL, FLAG(version)},
};
/* clang-format on */

const size_t options_count = sizeof(options_table) / sizeof(options_table[0]);

static_assert(sizeof(options_table) / sizeof(options_table[0]) <= OPTIONS_MAX, "options.seen");
