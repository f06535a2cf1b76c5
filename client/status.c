// SPDX-License-Identifier: GPL-2.0-only
// netwatch status: the collector, what it offers, and who is subscribed.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "answer.h"
#include "commands.h"
#include "exit.h"
#include "log.h"
#include "session.h"
#include "text.h"

#define NAME_WIDTH 12
#define HERE_WIDTH 5

/* Text of the collector, padded to width. */
static void put_cell(struct output *output, const char *text, size_t width)
{
	size_t length = strlen(text), start = output->used;

	text_escaped(output, text, length);
	length = text_width(output->data + start, output->used - start);
	output_spaces(output, length < width ? width - length : 0);
}

static void put_line(struct output *output, const char *name, const char *text)
{
	put_cell(output, name, NAME_WIDTH);
	put_cell(output, text ? text : "-", 0);
	output_char(output, '\n');
}

static void put_list(struct output *output, char *const *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		output_text(output, i ? "," : "");
		put_cell(output, items[i], 0);
	}
}

/* What should not be is shown when it is. */
static void put_count(struct output *output, const char *name, uint64_t count, const char *what)
{
	char text[128];

	if (!count)
		return;
	snprintf(text, sizeof(text), "%" PRIu64 " %s", count, what);
	put_line(output, name, text);
}

static void put_history(struct output *output, const Netwatch__HistoryStatus *history)
{
	char text[128], since[32] = "";
	struct tm tm;
	time_t oldest;

	if (history->oldest) {
		oldest = (time_t)history->oldest->seconds;
		if (gmtime_r(&oldest, &tm))
			strftime(since, sizeof(since), ", since %FT%TZ", &tm);
	}
	snprintf(text, sizeof(text), "%" PRIu64 " of %" PRIu64 " events, %" PRIu64 " KiB%s",
		 history->events, history->events_max, (history->bytes + 1023) / 1024, since);
	put_line(output, "history", text);
}

/* CPU time of the process and, where the kernel measures it, of the BPF programs in others. */
static void put_cost(struct output *output, const Netwatch__Status *status)
{
	uint64_t runs = 0, ns = 0;
	char text[128];
	int length;

	if (!status->has_cpu_us)
		return;
	for (size_t i = 0; i < status->n_program; i++) {
		runs += status->program[i]->runs;
		ns += status->program[i]->run_ns;
	}
	length = snprintf(text, sizeof(text), "%" PRIu64 ".%03u s of CPU time",
			  status->cpu_us / 1000000, (unsigned)(status->cpu_us / 1000 % 1000));
	if (runs)
		snprintf(text + length, sizeof(text) - (size_t)length,
			 ", and %" PRIu64 ".%03u s in %" PRIu64 " runs of BPF programs",
			 ns / 1000000000, (unsigned)(ns / 1000000 % 1000), runs);
	put_line(output, "cost", text);
}

static void put_collector(struct output *output, const Netwatch__Status *status)
{
	const ProtobufCEnumValue *scope =
		protobuf_c_enum_descriptor_get_value(&netwatch__scope__descriptor, status->scope);
	uint64_t minutes = status->uptime_s / 60;
	char uptime[64];

	snprintf(uptime, sizeof(uptime), "%" PRIu64 "d %02u:%02u:%02u", minutes / 1440,
		 (unsigned)(minutes / 60 % 24), (unsigned)(minutes % 60),
		 (unsigned)(status->uptime_s % 60));
	put_line(output, "version", status->version);
	put_line(output, "kernel", status->kernel);
	put_line(output, "uptime", uptime);
	put_line(output, "scope", status->has_scope && scope ? scope->name : NULL);
	put_cost(output, status);
	put_count(output, "unseen", status->unseen, "events, skipped by the kernel");
	put_count(output, "no storage", status->no_storage,
		  "times no memory beside a socket: less is told of it");
	put_count(output, "no place", status->no_place,
		  "times one socket too many: its errors may be nobody's");
	put_count(output, "missed", status->http_missed,
		  "HTTP messages, or their requests: pieces were missing");
	if (status->ended)
		put_count(output, "gave up", status->ended->slow_reader,
			  "subscribers who did not read");
	if (status->history)
		put_history(output, status->history);
}

/* One below the other: their names are long. */
static void put_hooks(struct output *output, const Netwatch__CategoryStatus *category)
{
	for (size_t i = 0; i < category->n_hook; i++) {
		if (i) {
			output_char(output, '\n');
			output_spaces(output, NAME_WIDTH + HERE_WIDTH);
		}
		put_cell(output, category->hook[i], 0);
	}
}

static void put_category(struct output *output, const Netwatch__CategoryStatus *category)
{
	put_cell(output, category->name ? category->name : "-", NAME_WIDTH);
	if (category->available) {
		put_cell(output, "yes", HERE_WIDTH);
		put_hooks(output, category);
	} else {
		put_cell(output, "no", HERE_WIDTH);
		put_cell(output, category->reason ? category->reason : "-", 0);
	}
	output_char(output, '\n');
}

static void put_number(struct output *output, uint64_t number, size_t width)
{
	char text[24];

	snprintf(text, sizeof(text), "%*" PRIu64 " ", (int)width, number);
	output_text(output, text);
}

static void put_subscription(struct output *output, const Netwatch__SubscriptionStatus *one)
{
	Netwatch__Totals none = NETWATCH__TOTALS__INIT;
	const Netwatch__Totals *totals = one->totals ? one->totals : &none;

	put_number(output, one->uid, 6);
	put_number(output, one->pid, 7);
	put_number(output, totals->matched, 10);
	put_number(output, totals->delivered, 10);
	put_number(output, totals->lost_kernel + totals->lost_queue, 8);
	put_number(output, one->events_per_s, 8);
	put_number(output, one->queue_bytes, 8);
	put_list(output, one->category, one->n_category);
	output_char(output, '\n');
}

static void put_table(struct output *output, const Netwatch__Status *status)
{
	put_collector(output, status);
	output_text(output, "\nCATEGORY    HERE HOOKS, OR WHY NOT\n");
	for (size_t i = 0; i < status->n_category; i++)
		put_category(output, status->category[i]);
	if (!status->n_subscription)
		return;
	output_text(output, "\n   UID     PID    MATCHED  DELIVERED     LOST EVENTS/S    QUEUE "
			    "CATEGORIES\n");
	for (size_t i = 0; i < status->n_subscription; i++)
		put_subscription(output, status->subscription[i]);
}

static int put_json(struct output *output, const uint8_t *data, size_t size)
{
	const struct schema *schema = schema_get(&netwatch__status__descriptor);
	struct message message;

	if (!schema || message_read(&message, schema, data, size))
		return -1;
	writer_json_message(output, &message);
	output_char(output, '\n');
	return output_end(output);
}

static int show(struct session *session, const uint8_t *data, size_t size)
{
	Netwatch__Status *status = netwatch__status__unpack(NULL, size, data);
	int err = 0;

	if (status && session->options->writer == &writer_json)
		err = put_json(&session->output, data, size);
	else if (status)
		put_table(&session->output, status);
	if (!status || err)
		log_error("the collector's status is not readable");
	if (status)
		netwatch__status__free_unpacked(status, NULL);
	return !status || err ? EXIT_ERROR : EXIT_OK;
}

int status_run(struct options *options)
{
	static const struct session_ops ops = {
		.start = answer_ask_status,
		.answer = show,
		.number = NETWATCH__REPLY__REPLY_STATUS,
	};

	return answer_run(options, &ops);
}
