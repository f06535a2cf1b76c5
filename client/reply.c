// SPDX-License-Identifier: GPL-2.0-only
// A function for each kind of Reply. Events are read in place; the few others are unpacked.
#include <errno.h>
#include <inttypes.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "event.h"
#include "exit.h"
#include "log.h"
#include "reply.h"
#include "session.h"
#include "stop.h"
#include "text.h"
#include "version.h"
#include "writer.h"

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

/* Columns of the terminal on stdout, or 0. */
static unsigned terminal_width(int fd)
{
	struct winsize size;

	return isatty(fd) && !ioctl(fd, TIOCGWINSZ, &size) ? size.ws_col : 0;
}

/* The header waits for this: a request that was refused prints nothing. */
static void start_writer(struct session *session)
{
	const struct writer *writer = session->options->writer;

	const struct writer_layout layout = {
		.width = terminal_width(session->output.fd),
		.several = session->categories > 1,
		.snapshot = session->ops->snapshot,
	};

	if (!session->started && writer->start)
		writer->start(&session->output, &layout);
	session->started = true;
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
	session->scope = hello->scope;
	if (hello->major != VERSION_MAJOR) {
		log_error("the collector speaks version %" PRIu32 " of the protocol, not %u",
			  hello->major, VERSION_MAJOR);
		status = EXIT_VERSION;
	}
	if (!status)
		status = session->ops->start(session, hello);
	session->requested = !status;
	if (status)
		end(session, status);
	netwatch__hello__free_unpacked(hello, NULL);
	return 0;
}

static int on_subscribed(struct session *session, const uint8_t *data, size_t size)
{
	(void)data;
	(void)size;
	start_writer(session);
	if (session->ops->subscribed)
		session->ops->subscribed(session);
	return output_flush(&session->output);
}

/* A loss goes to stderr, at its place among the lines before it. */
static int tell_loss(struct session *session, const struct event *event)
{
	struct output *output = &session->output;
	int err = output_flush(output);

	if (err)
		return err;
	text_fields(output, &event->detail, event->detail.present);
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

static int on_event(struct session *session, const uint8_t *data, size_t size)
{
	const struct writer *writer = session->options->writer;
	uint64_t limit = session->options->count;
	struct event event;
	bool lost;
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
	if (!session->started)
		start_writer(session);
	lost = event_is_lost(&event);
	if (lost && !writer->losses)
		return tell_loss(session, &event);
	err = output_begin(&session->output);
	if (err)
		return err;
	writer->event(&session->output, &event);
	err = output_end(&session->output);
	if (err || lost)
		return err;
	session->printed++;
	if (session->printed == limit)
		stop_ask();
	return 0;
}

static int on_status(struct session *session, const uint8_t *data, size_t size)
{
	int status = session->ops->status ? session->ops->status(session, data, size) : 0;

	if (status)
		end(session, status);
	return 0;
}

static int on_error(struct session *session, const uint8_t *data, size_t size)
{
	static const int statuses[] = {
		[NETWATCH__ERROR__CODE__VERSION] = EXIT_VERSION,
		[NETWATCH__ERROR__CODE__PERMISSION] = EXIT_PERMISSION,
		[NETWATCH__ERROR__CODE__UNAVAILABLE] = EXIT_UNAVAILABLE,
	};
	Netwatch__Error *error = netwatch__error__unpack(NULL, size, data);
	unsigned code;

	if (!error)
		return -EBADMSG;
	code = (unsigned)error->code;
	if (code == NETWATCH__ERROR__CODE__INVALID && session->ops->name) {
		log_error("the collector is too old: it does not know %s", session->ops->name);
		code = NETWATCH__ERROR__CODE__UNAVAILABLE;
	} else {
		log_error("%s",
			  error->message ? error->message : "the collector refused the request");
	}
	end(session, code < sizeof(statuses) / sizeof(statuses[0]) && statuses[code]
			     ? statuses[code]
			     : EXIT_ERROR);
	netwatch__error__free_unpacked(error, NULL);
	return 0;
}

static int on_bye(struct session *session, const uint8_t *data, size_t size)
{
	static const char *const reasons[] = {
		[NETWATCH__BYE__REASON__SHUTDOWN] = "the collector was stopped",
		[NETWATCH__BYE__REASON__SLOW_READER] =
			"the collector gave up, because nothing was read for too long",
	};
	Netwatch__Bye *bye = netwatch__bye__unpack(NULL, size, data);
	unsigned reason;

	if (!bye)
		return -EBADMSG;
	if (!session->ops->status) /* a list may be empty */
		start_writer(session);
	reason = (unsigned)bye->reason;
	session->totals = bye->totals;
	bye->totals = NULL;
	netwatch__bye__free_unpacked(bye, NULL);
	end(session, EXIT_OK);
	if (session->stopping || !(reason < sizeof(reasons) / sizeof(reasons[0])) ||
	    !reasons[reason])
		return 0;
	log_error("disconnected: %s", reasons[reason]);
	end(session, EXIT_DISCONNECTED);
	return 0;
}

typedef int reply_fn(struct session *session, const uint8_t *data, size_t size);

static reply_fn *const handlers[] = {
	[NETWATCH__REPLY__REPLY_HELLO] = on_hello,
	[NETWATCH__REPLY__REPLY_SUBSCRIBED] = on_subscribed,
	[NETWATCH__REPLY__REPLY_EVENT] = on_event,
	[NETWATCH__REPLY__REPLY_STATUS] = on_status,
	[NETWATCH__REPLY__REPLY_CHECK] = on_status,
	[NETWATCH__REPLY__REPLY_ERROR] = on_error,
	[NETWATCH__REPLY__REPLY_BYE] = on_bye,
};

int reply_handle(struct session *session, const uint8_t *data, size_t size)
{
	struct message reply;
	int err = message_read(&reply, schema, data, size);

	for (uint64_t bits = err ? 0 : reply.present; bits && !err; bits &= bits - 1) {
		unsigned i = (unsigned)__builtin_ctzll(bits);
		uint32_t number = schema->fields[i].descriptor->id;

		if (number < sizeof(handlers) / sizeof(handlers[0]) && handlers[number])
			err = handlers[number](session, reply.values[i].data,
					       reply.values[i].length);
	}
	return err;
}
