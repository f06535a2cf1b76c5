// SPDX-License-Identifier: GPL-2.0-only
// An event as a row of the kernel's walk and as an HTTP message, which is what filters judge.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "event.h"
#include "filter_options.h"
#include "judge.h"
#include "log.h"

/* Indexes of fields, found at the first use. */
static struct {
	int id, laddr, lport, raddr, rport, role, pid, comm, uid, netns, cgroup_id, cgroup;
} connection;
static struct {
	const struct schema_field *category;
	int event, method, host, target, status, latency_us;
} http;

static void find_fields(void)
{
	const struct schema *schema = event_connection_schema();

	connection.id = schema_find(schema, "id");
	connection.laddr = schema_find(schema, "laddr");
	connection.lport = schema_find(schema, "lport");
	connection.raddr = schema_find(schema, "raddr");
	connection.rport = schema_find(schema, "rport");
	connection.role = schema_find(schema, "role");
	connection.pid = schema_find(schema, "pid");
	connection.comm = schema_find(schema, "comm");
	connection.uid = schema_find(schema, "uid");
	connection.netns = schema_find(schema, "netns");
	connection.cgroup_id = schema_find(schema, "cgroup_id");
	connection.cgroup = schema_find(schema, "cgroup");
	http.category = &event_schema()->fields[schema_find(event_schema(), "http")];
	schema = http.category->message;
	http.event = schema_find(schema, "event");
	http.method = schema_find(schema, "method");
	http.host = schema_find(schema, "host");
	http.target = schema_find(schema, "target");
	http.status = schema_find(schema, "status");
	http.latency_us = schema_find(schema, "latency_us");
}

static bool asks(const struct filter_values *values)
{
	return values->any || values->none;
}

int judge_init(struct judge *judge, const struct filter_options *options)
{
	struct filter_error error;

	find_fields();
	if (filter_parse(&judge->filter, options->message, &error)) {
		log_error("%s", error.message);
		return -EINVAL;
	}
	judge->options = options;
	judge->all = !netwatch__filter__get_packed_size(options->message);
	judge->asks_socket =
		asks(&judge->filter.values[NW_UID]) || asks(&judge->filter.values[NW_CGROUP]);
	judge->filter.scope = NETWATCH__SCOPE__ALL_WITH_HTTP;
	return 0;
}

static uint64_t number(const struct message *message, int index)
{
	return message_has(message, index) ? message->values[index].number : 0;
}

/* Text that is no address stays the unspecified one. Returns its family. */
static uint8_t read_address(const struct message *message, int index, uint8_t address[16])
{
	char text[INET6_ADDRSTRLEN];
	struct value value;
	struct in6_addr in6;

	if (!message_has(message, index))
		return 4;
	value = message->values[index];
	if (value.length >= sizeof(text))
		return 4;
	memcpy(text, value.data, value.length);
	text[value.length] = '\0';
	if (!strchr(text, ':')) {
		inet_pton(AF_INET, text, address);
		return 4;
	}
	if (inet_pton(AF_INET6, text, &in6) != 1)
		return 6;
	if (IN6_IS_ADDR_V4MAPPED(&in6)) {
		memcpy(address, in6.s6_addr + 12, 4);
		return 4;
	}
	memcpy(address, &in6, sizeof(in6));
	return 6;
}

/* A name that was longer escaped than any is has bytes that no filter can name. */
static void read_owner(struct nw_connection *c, const struct message *message)
{
	struct value comm;

	if (!message_has(message, connection.pid))
		return;
	c->owner = NW_OWNER_USED_SOCKET;
	c->pid = (uint32_t)number(message, connection.pid);
	if (!message_has(message, connection.comm))
		return;
	comm = message->values[connection.comm];
	if (comm.length < sizeof(c->comm))
		memcpy(c->comm, comm.data, comm.length);
	else
		c->comm[0] = '\xff';
}

/* Is it that cgroup, or below it? Where no path was recorded, it is below the root. */
static bool is_below(const struct value *path, const char *cgroup)
{
	size_t length = strlen(cgroup);

	if (length == 1)
		return true;
	return path->length >= length && !memcmp(path->data, cgroup, length) &&
	       (path->length == length || path->data[length] == '/');
}

/* Those of the filter's cgroups in which it is, by the numbers that they have there. */
static void read_cgroups(const struct judge *judge, struct nw_row *row,
			 const struct message *message)
{
	struct value path = {.length = 0};
	size_t n = 0;

	if (!message_has(message, connection.cgroup_id))
		return;
	if (message_has(message, connection.cgroup))
		path = message->values[connection.cgroup];
	for (size_t i = 0; i < judge->options->cgroup_count && n < NW_ANCESTORS; i++) {
		if (is_below(&path, judge->options->cgroups[i].path))
			row->ancestors[n++] = i + 1;
	}
}

static void read_row(const struct judge *judge, struct nw_row *row, const struct message *message)
{
	struct nw_connection *c = &row->connection;
	uint64_t role = number(message, connection.role);

	c->cookie = number(message, connection.id);
	c->family = read_address(message, connection.laddr, c->laddr);
	read_address(message, connection.raddr, c->raddr);
	c->lport = (uint16_t)number(message, connection.lport);
	c->rport = (uint16_t)number(message, connection.rport);
	c->role = role < NW_ROLES ? (uint8_t)role : NW_ROLE_UNKNOWN;
	c->uid = (uint32_t)number(message, connection.uid);
	c->netns = (uint32_t)number(message, connection.netns);
	read_owner(c, message);
	read_cgroups(judge, row, message);
}

static struct filter_string text(const struct message *message, int index)
{
	struct filter_string string = {.length = 0};

	if (message_has(message, index)) {
		string.text = (const char *)message->values[index].data;
		string.length = message->values[index].length;
	}
	return string;
}

static bool http_accepted(const struct judge *judge, const struct message *detail)
{
	const struct filter_message message = {
		.response = number(detail, http.event) == NETWATCH__HTTP__KIND__RESPONSE,
		.texts[FILTER_METHOD] = text(detail, http.method),
		.texts[FILTER_HOST] = text(detail, http.host),
		.texts[FILTER_PATH] = text(detail, http.target),
		.status = (unsigned)number(detail, http.status),
		.has_latency = message_has(detail, http.latency_us),
		.latency_us = number(detail, http.latency_us),
	};

	return filter_http_accepts(&judge->filter.http, &message);
}

enum verdict judge_event(const struct judge *judge, const struct event *event)
{
	const struct message *message = &event->connection;
	struct nw_row row = {.told_ns = 0};

	if (judge->all)
		return JUDGE_ACCEPTS;
	if (judge->asks_socket && !message_has(message, connection.uid))
		return JUDGE_REFUSES;
	read_row(judge, &row, message);
	if (!filter_accepts(&judge->filter, &row))
		return JUDGE_REFUSES;
	if (event->category == http.category && !http_accepted(judge, &event->detail))
		return JUDGE_FILTERS;
	return JUDGE_ACCEPTS;
}
