// SPDX-License-Identifier: GPL-2.0-only
// Cells and their widths.
#include <limits.h>
#include <string.h>

#include "netwatch.pb-c.h"
#include "color.h"
#include "output.h"
#include "text.h"
#include "top_columns.h"
#include "top_table.h"
#include "top_values.h"

#define GAP	 1
#define IPV4_MAX 21 /* with its port */
#define ROOM	 6  /* columns that leave later than this stay beside addresses that are long */
#define CUT	 '+'
#define SORTED	 "\033[1;7m" /* the title of the column that it is sorted by */
#define LOOK	 "\033[33m"
#define WRONG	 "\033[31m"

struct column;
typedef void put_fn(struct output *output, const struct column *column, const struct top_row *row);
typedef const char *color_fn(const struct top_row *row);

struct column {
	const char *title;
	bool text;	 /* on the left, and sorted from A to Z; or a number */
	unsigned leaves; /* which goes first when there is no room: the highest; 0: never */
	unsigned width;	 /* at first */
	unsigned most;	 /* how far it widens; what is longer is cut */
	size_t member;	 /* of struct top_row: text, or int64_t */
	put_fn *put;
	color_fn *color; /* what its value deserves, or NULL: nothing ever */
};

const char *const top_column_words[] = {
	[TOP_PROCESS] = "process", [TOP_USER] = "user",		[TOP_LOCAL] = "local",
	[TOP_REMOTE] = "remote",   [TOP_STATE] = "state",	[TOP_ROLE] = "role",
	[TOP_RATE] = "rate",	   [TOP_RECEIVED] = "received", [TOP_SENT] = "sent",
	[TOP_RTT] = "rtt",	   [TOP_CWND] = "cwnd",		[TOP_RETRANSMITS] = "retransmits",
	[TOP_RECENT] = "recent",   [TOP_BACKLOG] = "backlog",	[TOP_DROPS] = "drops",
	[TOP_AGE] = "age",	   [TOP_COLUMNS] = NULL,
};

static put_fn put_text, put_count, put_rate, put_rtt, put_state, put_role, put_backlog, put_age;
static color_fn color_state, color_recent, color_backlog, color_drops;

#define AT(name) offsetof(struct top_row, name)

/* clang-format off */
static const struct column columns[] = {
	[TOP_PROCESS] = {"PROCESS", true, 1, 15, 24, AT(process), put_text, NULL},
	[TOP_USER] = {"USER", true, 10, 5, 12, AT(user), put_text, NULL},
	[TOP_LOCAL] = {"LOCAL", true, 4, 15, 47, AT(local), put_text, NULL},
	[TOP_REMOTE] = {"REMOTE", true, 0, 15, 47, AT(remote), put_text, NULL},
	[TOP_STATE] = {"STATE", true, 9, 11, 11, AT(state), put_state, color_state},
	[TOP_ROLE] = {"ROLE", true, 15, 6, 6, AT(role), put_role, NULL},
	[TOP_RATE] = {.member = AT(rate)},
	[TOP_RECEIVED] = {"RECV/S", false, 2, 6, 6, AT(received), put_rate, NULL},
	[TOP_SENT] = {"SENT/S", false, 3, 6, 6, AT(sent), put_rate, NULL},
	[TOP_RTT] = {"RTT", false, 5, 6, 6, AT(srtt_us), put_rtt, NULL},
	[TOP_CWND] = {"CWND", false, 11, 4, 10, AT(cwnd), put_count, NULL},
	[TOP_RETRANSMITS] = {"RETR", false, 6, 4, 10, AT(retransmits), put_count, NULL},
	[TOP_RECENT] = {"+RETR", false, 7, 5, 10, AT(recent), put_count, color_recent},
	[TOP_BACKLOG] = {"BACKLOG", false, 12, 7, 13, AT(backlog), put_backlog, color_backlog},
	[TOP_DROPS] = {"DROPS", false, 13, 5, 10, AT(drops), put_count, color_drops},
	[TOP_AGE] = {"AGE", false, 14, 6, 6, AT(age_us), put_age, NULL},
};
/* clang-format on */

static unsigned widths[TOP_COLUMNS]; /* of what is in them */
static unsigned most_address;	     /* how much of it an address may have */
static bool shown[TOP_COLUMNS];

static int64_t number_of(const struct column *column, const struct top_row *row)
{
	return *(const int64_t *)((const char *)row + column->member);
}

static const char *text_of(const struct column *column, const struct top_row *row)
{
	return (const char *)row + column->member;
}

/* --------------------------------------------------------------------------- values */

static void put_text(struct output *output, const struct column *column, const struct top_row *row)
{
	output_text(output, text_of(column, row));
}

static void put_count(struct output *output, const struct column *column, const struct top_row *row)
{
	int64_t count = number_of(column, row);

	if (count == TOP_UNKNOWN)
		output_char(output, '-');
	else
		output_signed(output, count);
}

static void put_rate(struct output *output, const struct column *column, const struct top_row *row)
{
	top_values_scaled(output, (double)number_of(column, row));
}

static void put_rtt(struct output *output, const struct column *column, const struct top_row *row)
{
	top_values_time(output, number_of(column, row));
}

static void put_age(struct output *output, const struct column *column, const struct top_row *row)
{
	top_values_age(output, number_of(column, row));
}

const char *top_columns_state(unsigned state)
{
	return top_values_name(&netwatch__tcp__state__descriptor, state);
}

static void put_state(struct output *output, const struct column *column, const struct top_row *row)
{
	(void)column;
	output_text(output, top_values_name(&netwatch__tcp__state__descriptor, row->state));
}

static void put_role(struct output *output, const struct column *column, const struct top_row *row)
{
	(void)column;
	output_text(output, top_values_name(&netwatch__role__descriptor, row->role));
}

static void put_backlog(struct output *output, const struct column *column,
			const struct top_row *row)
{
	put_count(output, column, row);
	if (row->backlog == TOP_UNKNOWN)
		return;
	output_char(output, '/');
	output_signed(output, row->max_backlog);
}

static const char *color_state(const struct top_row *row)
{
	const char *name = top_values_name(&netwatch__tcp__state__descriptor, row->state);

	return color_of(name, strlen(name));
}

static const char *color_recent(const struct top_row *row)
{
	return row->recent > 0 ? LOOK : NULL;
}

/* The next connection to it waits, or is dropped. */
static const char *color_backlog(const struct top_row *row)
{
	return row->backlog > 0 && row->backlog >= row->max_backlog ? WRONG : NULL;
}

static const char *color_drops(const struct top_row *row)
{
	return row->drops > 0 ? WRONG : NULL;
}

int top_columns_compare(const struct top_row *a, const struct top_row *b, unsigned by)
{
	const struct column *column = &columns[by];
	int64_t one, other;

	if (column->put == put_text) /* numbers in it by their value: addresses, ports, pids */
		return strverscmp(text_of(column, a), text_of(column, b));
	one = number_of(column, a);
	other = number_of(column, b);
	return column->text ? (one > other) - (one < other) : (one < other) - (one > other);
}

/* --------------------------------------------------------------------------- layout */

static bool has_room(unsigned i)
{
	return columns[i].put;
}

static bool is_address(unsigned i)
{
	return i == TOP_LOCAL || i == TOP_REMOTE;
}

static unsigned width_of(unsigned i)
{
	return is_address(i) && widths[i] > most_address ? most_address : widths[i];
}

void top_columns_init(void)
{
	most_address = UINT_MAX;
	for (unsigned i = 0; i < TOP_COLUMNS; i++) {
		widths[i] = columns[i].width;
		shown[i] = has_room(i);
	}
}

/* Bytes that the text takes up to that many columns. */
static size_t bytes_in(const char *text, size_t size, unsigned width)
{
	size_t i = 0;

	while (i < size) {
		const char *end = text[i] == '\033' ? memchr(text + i, 'm', size - i) : NULL;

		if (end) {
			i = (size_t)(end - text) + 1;
			continue;
		}
		if (((unsigned char)text[i] & 0xc0) != 0x80 && !width--)
			break;
		i++;
	}
	return i;
}

void top_columns_cut(struct output *output, size_t start, unsigned width)
{
	size_t size = output->used - start;
	size_t most = bytes_in(output->data + start, size, width);

	if (most == size)
		return;
	output->used = start + most;
	if (color_is_on())
		output_text(output, COLOR_END);
}

/* Widens the column for what it has to hold in that row. */
static void widen(unsigned i, const struct top_row *row, bool limited)
{
	static char data[128];
	struct output scratch = {.data = data};
	size_t width;

	if (columns[i].put == put_text) {
		width = text_width(text_of(&columns[i], row), strlen(text_of(&columns[i], row)));
	} else {
		columns[i].put(&scratch, &columns[i], row);
		width = scratch.used;
	}
	if (limited && width > columns[i].most)
		width = columns[i].most;
	if (width > widths[i])
		widths[i] = (unsigned)width;
}

static unsigned total(void)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < TOP_COLUMNS; i++)
		sum += shown[i] ? width_of(i) + (sum ? GAP : 0) : 0;
	return sum;
}

/* Addresses of IPv6 may be as long as two thirds of a line, and leave room for what matters. */
static void bound_addresses(unsigned width)
{
	unsigned others = 2 * GAP;

	for (unsigned i = 0; i < TOP_COLUMNS; i++)
		others += has_room(i) && !is_address(i) && columns[i].leaves < ROOM
				  ? widths[i] + GAP
				  : 0;
	most_address = width > others ? (width - others + GAP) / 2 : 0;
	if (most_address < IPV4_MAX)
		most_address = IPV4_MAX;
}

/* The next one to go, or TOP_COLUMNS. */
static unsigned least(void)
{
	unsigned found = TOP_COLUMNS, leaves = 0;

	for (unsigned i = 0; i < TOP_COLUMNS; i++) {
		if (shown[i] && columns[i].leaves > leaves) {
			leaves = columns[i].leaves;
			found = i;
		}
	}
	return found;
}

void top_columns_layout(const struct top_row *const *rows, size_t count, unsigned width)
{
	bool limited = width != TOP_UNLIMITED;

	for (unsigned i = 0; i < TOP_COLUMNS; i++) {
		shown[i] = has_room(i);
		for (size_t k = 0; shown[i] && k < count; k++)
			widen(i, rows[k], limited);
	}
	bound_addresses(width);
	for (unsigned out; total() > width && (out = least()) != TOP_COLUMNS;)
		shown[out] = false;
}

enum top_column top_columns_next(enum top_column from, bool right)
{
	unsigned i = from;

	do
		i = (i + (right ? 1 : TOP_COLUMNS - 1)) % TOP_COLUMNS;
	while (!shown[i] && i != TOP_RATE && i != from);
	return (enum top_column)i;
}

/* ---------------------------------------------------------------------------- lines */

/* Moves what was written since start to where it belongs in its column. */
static void place(struct output *output, unsigned i, size_t start, const char *color)
{
	unsigned width = width_of(i), pad;
	bool is_last = true;
	size_t size;
	char *data;

	if (text_width(output->data + start, output->used - start) > width) {
		output->used =
			start + bytes_in(output->data + start, output->used - start, width - 1);
		output_char(output, CUT);
	}
	size = output->used - start;
	pad = width - (unsigned)text_width(output->data + start, size);
	for (unsigned k = i + 1; k < TOP_COLUMNS; k++)
		is_last &= !shown[k];
	if (!columns[i].text) {
		output_spaces(output, pad);
		data = output->data + start;
		memmove(data + pad, data, size);
		memset(data, ' ', pad);
		start += pad;
	}
	if (color && color_is_on()) {
		output_spaces(output, strlen(color));
		data = output->data + start;
		memmove(data + strlen(color), data, size);
		memcpy(data, color, strlen(color));
		output_text(output, COLOR_END);
	}
	if (columns[i].text && !is_last)
		output_spaces(output, pad);
	if (!is_last)
		output_spaces(output, GAP);
}

void top_columns_titles(struct output *output, enum top_column sorted)
{
	for (unsigned i = 0; i < TOP_COLUMNS; i++) {
		size_t start = output->used;

		if (!shown[i])
			continue;
		output_text(output, columns[i].title);
		place(output, i, start, i == sorted ? SORTED : COLOR_HEADER);
	}
}

void top_columns_row(struct output *output, const struct top_row *row)
{
	for (unsigned i = 0; i < TOP_COLUMNS; i++) {
		size_t start = output->used;

		if (!shown[i])
			continue;
		columns[i].put(output, &columns[i], row);
		place(output, i, start, columns[i].color ? columns[i].color(row) : NULL);
	}
}
