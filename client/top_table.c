// SPDX-License-Identifier: GPL-2.0-only
// Rows from reports, the sums over them, and their order.
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netwatch.pb-c.h"
#include "event.h"
#include "output.h"
#include "text.h"
#include "top_rates.h"
#include "top_table.h"

#define REPORTS_MISSED 3   /* intervals without one, after which a connection is gone */
#define REPORTS_LATE_S 5.0 /* and so many seconds */
#define USERS	       64  /* names that are remembered */

enum field {
	STATE,
	BACKLOG,
	MAX_BACKLOG,
	DROPS,
	ACKED,
	RECEIVED,
	CWND,
	SRTT,
	RETRANSMITS,
	DURATION,
	REPORT_FIELDS,
	LADDR = REPORT_FIELDS,
	LPORT,
	RADDR,
	RPORT,
	ROLE,
	PID,
	COMM,
	UID,
	ID,
	FIELDS
};

/* First those of a report, then those of its connection. */
static const char *const names[FIELDS] = {
	[STATE] = "state",
	[BACKLOG] = "backlog",
	[MAX_BACKLOG] = "max_backlog",
	[DROPS] = "drops",
	[ACKED] = "bytes_acked",
	[RECEIVED] = "bytes_received",
	[CWND] = "snd_cwnd",
	[SRTT] = "srtt_us",
	[RETRANSMITS] = "total_retransmits",
	[DURATION] = "duration_us",
	[LADDR] = "laddr",
	[LPORT] = "lport",
	[RADDR] = "raddr",
	[RPORT] = "rport",
	[ROLE] = "role",
	[PID] = "pid",
	[COMM] = "comm",
	[UID] = "uid",
	[ID] = "id",
};

static int indexes[FIELDS];

static int find_fields(void)
{
	const struct schema *report = schema_get(&netwatch__tcp_info__descriptor);

	if (!report)
		return -ENOMEM;
	for (unsigned i = 0; i < FIELDS; i++)
		indexes[i] = schema_find(i < REPORT_FIELDS ? report : event_connection_schema(),
					 names[i]);
	return 0;
}

/* Counters are far from its limit; one that is beyond is nobody's. */
static int64_t number(const struct message *message, enum field field)
{
	uint64_t value;

	if (!message_has(message, indexes[field]))
		return TOP_UNKNOWN;
	value = message->values[indexes[field]].number;
	return value <= INT64_MAX ? (int64_t)value : TOP_UNKNOWN;
}

int top_table_init(struct top_table *table, int64_t interval_ms, size_t most)
{
	*table = (struct top_table){.interval_s = (double)interval_ms / 1000};
	conns_init(&table->conns, sizeof(struct top_row), most);
	return find_fields();
}

void top_table_deinit(struct top_table *table)
{
	conns_deinit(&table->conns);
	free(table->sorted);
	table->sorted = NULL;
	table->room = 0;
}

void top_table_clear(struct top_table *table)
{
	conns_deinit(&table->conns);
	table->ended = table->ended_before = (struct top_sums){0};
}

/* --------------------------------------------------------------------- who it is */

/* Moves what was written since start; of a character there is all or nothing. */
static void move_text(struct output *scratch, size_t start, char *to, size_t size)
{
	size_t length = scratch->used - start;
	const char *from = scratch->data + start;

	if (length >= size) {
		length = size - 1;
		while (length && ((unsigned char)from[length] & 0xc0) == 0x80)
			length--;
	}
	memcpy(to, from, length);
	to[length] = '\0';
	scratch->used = start;
}

static void set_user(struct top_row *row, struct output *scratch)
{
	static struct {
		int64_t uid;
		char name[TOP_USER_SIZE];
	} users[USERS];
	size_t slot = (size_t)row->uid % USERS, start = scratch->used;
	const struct passwd *user;

	if (!*users[slot].name || users[slot].uid != row->uid) {
		user = getpwuid((uid_t)row->uid);
		if (user)
			text_escaped(scratch, user->pw_name, strlen(user->pw_name));
		else
			output_signed(scratch, row->uid);
		move_text(scratch, start, users[slot].name, sizeof(users[slot].name));
		users[slot].uid = row->uid;
	}
	memcpy(row->user, users[slot].name, sizeof(row->user));
}

static void set_owner(struct top_row *row, struct output *scratch, const struct message *who)
{
	int64_t uid = number(who, UID);
	size_t start = scratch->used;

	text_process(scratch, who, indexes[COMM], indexes[PID]);
	move_text(scratch, start, row->process, sizeof(row->process));
	text_endpoint(scratch, who, indexes[LADDR], indexes[LPORT]);
	move_text(scratch, start, row->local, sizeof(row->local));
	text_endpoint(scratch, who, indexes[RADDR], indexes[RPORT]);
	move_text(scratch, start, row->remote, sizeof(row->remote));
	row->role = number(who, ROLE);
	if (uid == row->uid && *row->user)
		return;
	row->uid = uid;
	if (uid == TOP_UNKNOWN)
		strcpy(row->user, "-");
	else
		set_user(row, scratch);
}

/* -------------------------------------------------------------------- its reports */

static int64_t time_of(const struct event *event)
{
	struct value time;
	int64_t seconds;
	uint32_t nanoseconds;

	if (!event_time(event, &time) || message_time(time, &seconds, &nanoseconds) ||
	    seconds < 0 || seconds > INT64_MAX / 2000000000)
		return 0;
	return seconds * 1000000000 + nanoseconds;
}

/* The last bytes of a connection, as if they had come in a whole interval: that is what is shown.
 */
static void add_ended(struct top_table *table, const struct top_growth *growth)
{
	double seconds = growth->seconds;

	if (seconds < table->interval_s)
		seconds = table->interval_s;
	table->ended.received += (double)growth->received / seconds;
	table->ended.sent += (double)growth->acked / seconds;
	table->ended.retransmits += (double)growth->retransmits / seconds;
}

static void set_report(struct top_row *row, const struct message *detail,
		       const struct top_report *report)
{
	row->state = number(detail, STATE);
	row->retransmits = report->retransmits;
	row->srtt_us = number(detail, SRTT);
	row->cwnd = number(detail, CWND);
	row->age_us = report->age_us;
	row->backlog = number(detail, BACKLOG);
	row->max_backlog = number(detail, MAX_BACKLOG);
	row->drops = number(detail, DROPS);
	row->based = report->received >= 0 && report->acked >= 0 && report->retransmits >= 0;
	row->bytes_received = (uint64_t)report->received;
	row->bytes_acked = (uint64_t)report->acked;
	row->segs_retransmitted = (uint64_t)report->retransmits;
	row->time_ns = report->time_ns;
}

/* Of a listener nothing counts but who waits for it. */
static void forget_counters(struct top_row *row)
{
	top_rates_set(row, NULL);
	row->retransmits = row->srtt_us = row->cwnd = TOP_UNKNOWN;
	row->based = false;
}

static void take_report(struct top_table *table, struct output *scratch, const struct event *event)
{
	const struct message *detail = &event->detail;
	int64_t state = number(detail, STATE);
	const struct top_report report = {
		.received = number(detail, RECEIVED),
		.acked = number(detail, ACKED),
		.retransmits = number(detail, RETRANSMITS),
		.age_us = number(detail, DURATION),
		.time_ns = time_of(event),
	};
	struct top_growth growth;
	struct top_row *row;
	uint64_t id;
	bool known;

	if (!message_has(&event->connection, indexes[ID]))
		return;
	id = event->connection.values[indexes[ID]].number;
	row = conns_find(&table->conns, id);
	known = (!row || row->state != NETWATCH__TCP__STATE__LISTEN) &&
		top_rates_grew(row, &report, table->interval_s, &growth);
	if (state == NETWATCH__TCP__STATE__CLOSE) {
		if (known)
			add_ended(table, &growth);
		if (row)
			conns_remove(&table->conns, row);
		return;
	}
	if (!row)
		row = conns_get(&table->conns, id);
	if (!row) {
		table->ended.untold++;
		return;
	}
	set_owner(row, scratch, &event->connection);
	set_report(row, detail, &report);
	if (state == NETWATCH__TCP__STATE__LISTEN)
		forget_counters(row);
	else
		top_rates_set(row, known ? &growth : NULL);
	row->told_at = table->tick;
}

static void take_loss(struct top_table *table, const struct message *lost)
{
	int count = schema_find(lost->schema, "count");

	if (message_has(lost, count))
		table->lost += lost->values[count].number;
	else
		table->gaps++;
}

void top_table_take(struct top_table *table, struct output *scratch, const struct event *event)
{
	if (event_is_lost(event))
		take_loss(table, &event->detail);
	else if (!strcmp(event->category->name, "tcpinfo"))
		take_report(table, scratch, event);
}

/* ------------------------------------------------------------------------ all of them */

/* Ticks, not time: while we are stopped nothing is heard of anybody. */
void top_table_tick(struct top_table *table)
{
	unsigned most = REPORTS_MISSED + (unsigned)(REPORTS_LATE_S / table->interval_s);
	struct conns_entry *entry, *next;

	table->tick++;
	table->ended_before = table->ended;
	table->ended = (struct top_sums){0};
	for (entry = TAILQ_FIRST(&table->conns.list); entry; entry = next) {
		next = TAILQ_NEXT(entry, link);
		if (table->tick - ((struct top_row *)entry)->told_at > most)
			conns_remove(&table->conns, entry);
	}
}

struct top_sums top_table_sums(const struct top_table *table)
{
	struct top_sums sums = table->ended_before;
	const struct conns_entry *entry;

	TAILQ_FOREACH (entry, &table->conns.list, link) {
		const struct top_row *row = (const struct top_row *)entry;

		if (row->rate != TOP_UNKNOWN) {
			sums.received += (double)row->received;
			sums.sent += (double)row->sent;
		}
		sums.retransmits += row->retransmits_per_s;
		if (row->state >= 0 && row->state < TOP_STATES)
			sums.by_state[row->state]++;
	}
	sums.connections = table->conns.count;
	sums.lost = table->lost;
	sums.gaps = table->gaps;
	return sums;
}

struct order {
	top_compare_fn *compare;
	unsigned by;
	bool reverse;
};

static int compare_rows(const void *a, const void *b, void *arg)
{
	const struct top_row *one = *(const struct top_row *const *)a;
	const struct top_row *other = *(const struct top_row *const *)b;
	const struct order *order = arg;
	int result = order->compare(one, other, order->by);

	if (!result)
		return (one->entry.id > other->entry.id) - (one->entry.id < other->entry.id);
	return order->reverse ? -result : result;
}

const struct top_row **top_table_sort(struct top_table *table, top_compare_fn *compare, unsigned by,
				      bool reverse)
{
	struct order order = {compare, by, reverse};
	size_t count = table->conns.count, i = 0;
	const struct conns_entry *entry;

	if (count >= table->room) {
		void *more = realloc(table->sorted, 2 * (count + 1) * sizeof(*table->sorted));

		if (!more)
			return NULL;
		table->sorted = more;
		table->room = 2 * (count + 1);
	}
	TAILQ_FOREACH (entry, &table->conns.list, link)
		table->sorted[i++] = (const struct top_row *)entry;
	qsort_r(table->sorted, count, sizeof(*table->sorted), compare_rows, &order);
	return table->sorted;
}
