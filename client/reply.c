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

static void end(struct session *session, int status)
{
	session->ended = true;
	session->status = status;
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
		end(session, status);
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

static int on_loss(struct session *session, const struct event *event)
{
	count_loss(session, &event->detail);
	if (session->ops->event)
		session->ops->event(session, event);
	return session->losses_told ? write_event(session, event) : tell_loss(session, event);
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

/* The time without a collector: before what comes first when there is one again. */
static int tell_gap(struct session *session)
{
	uint8_t data[RESUME_GAP_MAX];
	size_t size = resume_take_gap(&session->resume, data);

	return reply_event(session, data, size);
}

static int on_event(struct session *session, const uint8_t *data, size_t size)
{
	int err = session->resume.gap ? tell_gap(session) : 0;

	return err ? err : reply_event(session, data, size);
}

static int on_subscribed(struct session *session, const uint8_t *data, size_t size)
{
	int err = session->resume.gap ? tell_gap(session) : 0;

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
		end(session, status);
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

static int on_error(struct session *session, const uint8_t *data, size_t size)
{
	static const int statuses[] = {
		[NETWATCH__ERROR__CODE__VERSION] = EXIT_VERSION,
		[NETWATCH__ERROR__CODE__PERMISSION] = EXIT_PERMISSION,
		[NETWATCH__ERROR__CODE__UNAVAILABLE] = EXIT_UNAVAILABLE,
	};
	Netwatch__Error *error = netwatch__error__unpack(NULL, size, data);
	const char *message;
	unsigned code;

	if (!error)
		return -EBADMSG;
	code = error->has_code ? (unsigned)error->code : 0;
	message = error->message ? error->message : "the collector refused the request";
	if (code == NETWATCH__ERROR__CODE__BUSY && session->resume.tries) {
		session_disconnected(session, message);
	} else if (code == NETWATCH__ERROR__CODE__INVALID && session->ops->name) {
		log_error("the collector is too old: it does not know %s", session->ops->name);
		end(session, EXIT_UNAVAILABLE);
	} else {
		log_error("%s", message);
		end(session, code < sizeof(statuses) / sizeof(statuses[0]) && statuses[code]
				     ? statuses[code]
				     : EXIT_ERROR);
	}
	netwatch__error__free_unpacked(error, NULL);
	return 0;
}

static void add_totals(struct session *session, const Netwatch__Totals *totals)
{
	Netwatch__Totals *sum = &session->account.sum;

	session->account.given++;
	sum->matched += totals->matched;
	sum->delivered += totals->delivered;
	sum->filtered += totals->filtered;
	sum->lost_kernel += totals->lost_kernel;
	sum->lost_queue += totals->lost_queue;
	sum->duration_us += totals->duration_us;
	session->lost |= totals->lost_kernel || totals->lost_queue;
}

/* Why the collector ended what we did not, or NULL: it is done. */
static const char *bye_reason(const Netwatch__Bye *bye)
{
	static const char *const reasons[] = {
		[NETWATCH__BYE__REASON__SHUTDOWN] = "the collector was stopped",
		[NETWATCH__BYE__REASON__SLOW_READER] =
			"the collector gave up, because nothing was read for too long",
	};
	unsigned reason = (unsigned)bye->reason;

	if (reason == NETWATCH__BYE__REASON__DONE)
		return NULL;
	if (reason < sizeof(reasons) / sizeof(reasons[0]) && reasons[reason])
		return reasons[reason];
	return "the collector said bye for a reason that this version does not know";
}

static int on_bye(struct session *session, const uint8_t *data, size_t size)
{
	Netwatch__Bye *bye = netwatch__bye__unpack(NULL, size, data);
	bool asked = session->stopping || stop_state() != STOP_NO;
	const char *why;
	int err = 0;

	if (!bye)
		return -EBADMSG;
	why = bye_reason(bye);
	if (!why && session->requested && session->ops->stop && !session->once && !asked)
		why = "the collector ended the stream";
	if (!why && session->ops->answer && !session->answered && !asked)
		why = "the collector did not answer";
	if (bye->totals)
		add_totals(session, bye->totals);
	netwatch__bye__free_unpacked(bye, NULL);
	if (!why && !session->requested)
		return -EBADMSG;
	if (session->requested && !session->ops->answer) /* a list may be empty */
		err = reply_start(session);
	if (err)
		return err;
	end(session, EXIT_OK);
	if (why && !asked)
		session_disconnected(session, why);
	if (!session->resume.wanted)
		reply_forward(session, NETWATCH__REPLY__REPLY_BYE, data, size);
	return 0;
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
	[NETWATCH__REPLY__REPLY_ERROR] = {on_error, true},
	[NETWATCH__REPLY__REPLY_BYE] = {on_bye, true},
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
