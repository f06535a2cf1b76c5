// SPDX-License-Identifier: GPL-2.0-only
// A function for each kind of Reply. Events are read in place; the few others are unpacked.
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "color.h"
#include "event.h"
#include "exit.h"
#include "log.h"
#include "reply.h"
#include "reply_end.h"
#include "session.h"
#include "stop.h"
#include "text.h"
#include "version.h"
#include "writer.h"

#define SCOPE_UNKNOWN ((Netwatch__Scope)-1) /* no value of the enum: the collector did not say */

static const struct schema *schema;

int reply_init(void)
{
	schema = schema_get(&netwatch__reply__descriptor);
	return schema ? 0 : -ENOMEM;
}

static int start(struct session *session)
{
	const struct options *options = session->options;
	const struct writer *writer = options->writer;
	const struct writer_layout layout = {
		.width = output_columns(session->output.fd),
		.snapshot = session->ops->snapshot,
		.header = !options->no_header,
		.categories = &session->asked,
		.columns = &options->columns,
		.time = options->time,
	};
	int err = session->ops->begin ? session->ops->begin(session) : 0;

	if (err)
		return err;
	session->started = true;
	session->losses_told = writer->losses && (!writer->columns || !options->columns.count ||
						  columns_tell_losses(&options->columns));
	if (writer->colors)
		color_init(options->color ? options->color - 1 : COLOR_AUTO, session->output.fd);
	if (writer->start)
		writer->start(&session->output, &layout);
	if (writer->reply)
		writer->reply(&session->output, NETWATCH__REPLY__REPLY_HELLO, session->hello,
			      session->hello_size);
	return 0;
}

int reply_start(struct session *session)
{
	return session->started || session->ops->event ? 0 : start(session);
}

void reply_forward(struct session *session, uint32_t number, const uint8_t *data, size_t size)
{
	const struct writer *writer = session->options->writer;

	if (session->started && writer->reply)
		writer->reply(&session->output, number, data, size);
}

int reply_keep_hello(struct session *session, const Netwatch__Hello *hello, bool as_asked)
{
	Netwatch__Hello kept = *hello;

	if (session->hello)
		return 0;
	if (as_asked) {
		kept.category = (char **)session->asked.names;
		kept.n_category = session->asked.count;
	}
	session->hello_size = netwatch__hello__get_packed_size(&kept);
	session->hello = malloc(session->hello_size + 1); /* it may be empty */
	if (!session->hello)
		return -ENOMEM;
	netwatch__hello__pack(&kept, session->hello);
	return 0;
}

static int on_hello(struct session *session, const uint8_t *data, size_t size)
{
	Netwatch__Hello *hello = netwatch__hello__unpack(NULL, size, data);
	int status = 0;

	if (!hello || session->requested) {
		if (hello)
			netwatch__hello__free_unpacked(hello, NULL);
		return -EBADMSG;
	}
	session->scope = hello->has_scope ? hello->scope : SCOPE_UNKNOWN;
	session->history = hello->history;
	session->minor = hello->minor;
	session_timer(session, 0, NULL);
	resume_hello(&session->resume, hello->epoch);
	if (hello->major != VERSION_MAJOR) {
		log_error("the collector speaks version %" PRIu32 " of the protocol, not %u",
			  hello->major, VERSION_MAJOR);
		status = EXIT_VERSION;
	}
	if (!status)
		status = session->ops->start(session, hello);
	if (!status && reply_keep_hello(session, hello, session->options->writer->recording)) {
		log_error("out of memory");
		status = EXIT_ERROR;
	}
	session->requested = !status;
	if (status)
		reply_end(session, status);
	netwatch__hello__free_unpacked(hello, NULL);
	return 0;
}

/* A loss goes to stderr, at its place among the lines before it. */
static int tell_loss(struct session *session, const struct event *event)
{
	struct output *output = &session->output;
	int err = output_flush(output);
	bool colors;

	if (err)
		return err;
	colors = color_switch(false);
	text_fields(output, &event->detail, event->detail.present);
	color_switch(colors);
	log_warn("events were lost: %.*s", (int)output->used, output->data);
	err = output->err;
	output_undo(output);
	return err;
}

static void leave_out_ssh(struct session *session)
{
	if (!session->ssh.told)
		session_note(session, "leaving out the ssh connection of this terminal");
	session->ssh.told = true;
}

static int write_event(struct session *session, const struct event *event)
{
	const struct writer *writer = session->options->writer;
	struct output *output = &session->output;
	int err;

	if (session->ops->event) {
		session->ops->event(session, event);
		return 0;
	}
	err = output_begin(output);
	if (err)
		return err;
	writer->event(output, event);
	if (!writer->binary)
		output_char(output, '\n');
	return output_end(output);
}

/* RESTART has no count: nobody knows how many. */
static void count_loss(struct session *session, const struct message *lost)
{
	int cause = schema_find(lost->schema, "cause"), count = schema_find(lost->schema, "count");
	uint64_t *sum = &session->losses.queue;

	session->lost = true;
	if (!message_has(lost, count))
		return;
	if (message_has(lost, cause) &&
	    lost->values[cause].number == NETWATCH__LOST__CAUSE__KERNEL_RING)
		sum = &session->losses.kernel;
	*sum += lost->values[count].number;
}

static int tell_any_loss(struct session *session, const struct event *event)
{
	count_loss(session, &event->detail);
	if (session->ops->event)
		session->ops->event(session, event);
	if (!session->losses_told)
		return tell_loss(session, event);
	return session->ops->event ? 0 : write_event(session, event);
}

/* What is lost at the end of a stream its history may bring when it goes on. */
static int on_loss(struct session *session, const struct event *event)
{
	if (session->options->reconnect && session->history && resume_hold(&session->resume, event))
		return 0;
	return tell_any_loss(session, event);
}

int reply_event(struct session *session, const uint8_t *data, size_t size)
{
	const struct session_ops *ops = session->ops;
	uint64_t limit = session->options->count;
	struct event event;
	int err;

	if (limit && session->printed == limit)
		return 0;
	err = event_read(&event, data, size);
	if (err || !event.category)
		return err;
	if (ssh_is(&session->ssh, &event)) {
		leave_out_ssh(session);
		return 0;
	}
	if (ops->keeps && !event_is_lost(&event) && !ops->keeps(session, &event))
		return 0;
	err = reply_start(session);
	if (err)
		return err;
	if (session->options->reconnect)
		resume_seen(&session->resume, &event);
	if (event_is_lost(&event))
		return on_loss(session, &event);
	err = write_event(session, &event);
	if (err)
		return err;
	session->printed++;
	if (session->printed == limit)
		stop_ask();
	return 0;
}

int reply_tell_held(struct session *session)
{
	struct resume *resume = &session->resume;
	struct event event;
	int err;

	if (!resume->held_size)
		return 0;
	err = event_read(&event, resume->held, resume->held_size);
	resume->held_size = 0;
	if (!err)
		err = reply_start(session);
	return err ? err : tell_any_loss(session, &event);
}

/* The time without a collector: before what comes first when there is one again. */
static int tell_gap(struct session *session)
{
	uint8_t data[RESUME_LOST_MAX];
	struct event event;
	int err = reply_tell_held(session);

	if (!err && session->resume.gap)
		err = event_read(&event, data, resume_take_gap(&session->resume, data));
	else
		return err;
	if (!err)
		err = reply_start(session);
	return err ? err : tell_any_loss(session, &event);
}

/* Whoever keeps connections wants to know, even so, which there still are. */
static bool was_told(struct session *session, const struct event *event)
{
	return resume_was_told(&session->resume, event,
			       !categories_all_remembered(&session->asked)) &&
	       !(session->ops->event && event_stage(event) == NETWATCH__CONN__STAGE__EXISTING);
}

static int on_event(struct session *session, const uint8_t *data, size_t size)
{
	struct event event;
	bool told;
	int err;

	if (!resume_has_work(&session->resume))
		return reply_event(session, data, size);
	err = event_read(&event, data, size);
	if (err)
		return err;
	told = was_told(session, &event);
	err = tell_gap(session);
	return err || told ? err : reply_event(session, data, size);
}

static int on_subscribed(struct session *session, const uint8_t *data, size_t size)
{
	int err = tell_gap(session);

	if (!err)
		err = reply_start(session);
	if (err)
		return err;
	if (!session->account.begun++)
		reply_forward(session, NETWATCH__REPLY__REPLY_SUBSCRIBED, data, size);
	resume_live(&session->resume);
	err = output_flush(&session->output);
	if (!err && session->ops->subscribed)
		session->ops->subscribed(session);
	return err;
}

static int on_answer(struct session *session, uint32_t number, const uint8_t *data, size_t size)
{
	const struct session_ops *ops = session->ops;
	int status;

	if (!ops->answer || ops->number != number)
		return 0;
	session->answered = true;
	status = ops->answer(session, data, size);
	if (status)
		reply_end(session, status);
	return 0;
}

static int on_status(struct session *session, const uint8_t *data, size_t size)
{
	return on_answer(session, NETWATCH__REPLY__REPLY_STATUS, data, size);
}

static int on_check(struct session *session, const uint8_t *data, size_t size)
{
	return on_answer(session, NETWATCH__REPLY__REPLY_CHECK, data, size);
}

static const struct handler {
	int (*handle)(struct session *session, const uint8_t *data, size_t size);
	bool early; /* may come before hello */
} handlers[] = {
	[NETWATCH__REPLY__REPLY_HELLO] = {on_hello, true},
	[NETWATCH__REPLY__REPLY_SUBSCRIBED] = {on_subscribed, false},
	[NETWATCH__REPLY__REPLY_EVENT] = {on_event, false},
	[NETWATCH__REPLY__REPLY_STATUS] = {on_status, false},
	[NETWATCH__REPLY__REPLY_CHECK] = {on_check, false},
	[NETWATCH__REPLY__REPLY_ERROR] = {reply_on_error, true},
	[NETWATCH__REPLY__REPLY_BYE] = {reply_on_bye, true},
};

static int handle(struct session *session, const struct schema_field *field, struct value value)
{
	uint32_t number = field->descriptor->id;

	if (number >= sizeof(handlers) / sizeof(handlers[0]) || !handlers[number].handle)
		return 0;
	if (!handlers[number].early && !session->requested)
		return -EBADMSG;
	return handlers[number].handle(session, value.data, value.length);
}

int reply_handle(struct session *session, const uint8_t *data, size_t size)
{
	struct message reply;
	int err = message_read(&reply, schema, data, size);

	for (uint64_t bits = err ? 0 : reply.present; bits && !err; bits &= bits - 1) {
		unsigned i = (unsigned)__builtin_ctzll(bits);

		if (!session->ended) /* of a oneof there is one, but who knows */
			err = handle(session, &schema->fields[i], reply.values[i]);
	}
	return err;
}
