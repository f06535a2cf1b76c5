// SPDX-License-Identifier: GPL-2.0-only
// netwatch subscribe: live events until stopped.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "exit.h"
#include "log.h"
#include "session.h"
#include "stop.h"
#include "subscribe.h"

#define HINT_MS 5000 /* without an event, before somebody may have mistaken the direction */

/* What --last and --since say. */
static void ask_for_history(struct session *session, Netwatch__Subscribe *subscribe)
{
	const struct options *options = session->options;

	subscribe->has_last = options->last != 0;
	subscribe->last = options->last;
	subscribe->has_since_ms = options->since != 0;
	subscribe->since_ms = options->since;
	session->once = options->no_follow && options_history(options);
	subscribe->has_no_follow = subscribe->no_follow = session->once;
	session->newest = options->last ? "--last" : options->since ? "--since" : NULL;
	if (options_history(options) && !categories_remembered(&session->asked))
		session_note(session, "of packet and tcpinfo there is no history");
}

/* A place as it is sent. */
struct place {
	Netwatch__Place message;
	Google__Protobuf__Timestamp time;
};

/* A later connection of the same stream goes on where the last one broke off, as far as a history
 * reaches. */
static void ask_to_go_on(struct session *session, Netwatch__Subscribe *subscribe,
			 struct place *place)
{
	struct resume *resume = &session->resume;

	if (!session->history || !categories_remembered(&session->asked))
		return;
	if (!resume_from_place(resume)) {
		subscribe->has_since_ms = true;
		subscribe->since_ms = resume_since_ms(resume);
		return;
	}
	netwatch__place__init(&place->message);
	google__protobuf__timestamp__init(&place->time);
	place->time.seconds = resume->place.time.tv_sec;
	place->time.nanos = (int32_t)resume->place.time.tv_nsec;
	place->message.time = &place->time;
	place->message.has_id = true;
	place->message.id = resume->place.id;
	subscribe->from = &place->message;
}

int subscribe_start(struct session *session, const Netwatch__Hello *hello)
{
	Netwatch__Subscribe subscribe = NETWATCH__SUBSCRIBE__INIT;
	Netwatch__Request request = NETWATCH__REQUEST__INIT;
	const struct options *options = session->options;
	struct categories *asked = &session->asked;
	struct place place;
	const char *missing;

	*asked = options->categories;
	missing = categories_settle(asked, hello->category, hello->n_category);
	if (missing) {
		log_error("the collector does not offer \"%s\" here; see netwatch status", missing);
		return EXIT_UNAVAILABLE;
	}
	if (hello->has_scope && hello->scope == NETWATCH__SCOPE__NOTHING)
		session_note(session, "the collector cannot tell who you are (an unmapped uid), so "
				      "you see nothing");
	if (hello->has_scope && hello->scope == NETWATCH__SCOPE__ALL &&
	    categories_have(asked, "http"))
		session_note(session,
			     "of HTTP you see what your own uid sends and receives; all of "
			     "it is for group netwatch-http");
	if (isatty(options->out))
		ssh_init(&session->ssh, getenv("SSH_CONNECTION"));
	subscribe.category = (char **)asked->names;
	subscribe.n_category = asked->count;
	subscribe.filter = options->filter.message;
	/* an older collector refuses what it does not know: only what is wanted is sent */
	subscribe.has_closed = subscribe.closed = options->closed;
	subscribe.has_times = subscribe.times = options->times;
	subscribe.has_existing = subscribe.existing =
		!options->no_existing && !options_history(options);
	if (session->account.begun)
		ask_to_go_on(session, &subscribe, &place);
	else
		ask_for_history(session, &subscribe);
	subscribe.has_interval_ms = options->interval != 0;
	subscribe.interval_ms = (uint32_t)options->interval;
	request.request_case = NETWATCH__REQUEST__REQUEST_SUBSCRIBE;
	request.subscribe = &subscribe;
	return session_send(session, &request);
}

void subscribe_stop(struct session *session)
{
	Netwatch__Unsubscribe unsubscribe = NETWATCH__UNSUBSCRIBE__INIT;
	Netwatch__Request request = NETWATCH__REQUEST__INIT;

	request.request_case = NETWATCH__REQUEST__REQUEST_UNSUBSCRIBE;
	request.unsubscribe = &unsubscribe;
	session_send(session, &request);
}

static void hint(struct session *session)
{
	if (session->printed)
		return;
	session_note(session,
		     "nothing yet: --dport is the port of the other side; for a server on this "
		     "host take --sport, or --port for both");
}

/* Whoever was told to end on the way here starts nothing any more. */
static int start_child(struct session *session)
{
	bool send;

	if (stop_take_signal(&send))
		return 0;
	return child_start(&session->child, session->options->child);
}

/* The first subscription is live. */
static void begin(struct session *session)
{
	const struct options *options = session->options;
	const Netwatch__PortSet *rport = options->filter.message->rport;

	if (options->duration) /* counts from here, if it did not end before */
		stop_after(options->duration);
	if (isatty(options->out) && rport && rport->n_any)
		session_timer(session, HINT_MS, hint);
	if (options->no_follow || (options->child && start_child(session)))
		stop_ask();
}

void subscribe_live(struct session *session)
{
	const struct options *options = session->options;
	const ProtobufCEnumValue *scope =
		protobuf_c_enum_descriptor_get_value(&netwatch__scope__descriptor, session->scope);

	if (options->verbose)
		dprintf(STDERR_FILENO, "subscribed, scope %s\n", scope ? scope->name : "unknown");
	if (session->account.begun == 1)
		begin(session);
}

void subscribe_stats(const struct account *account)
{
	const Netwatch__Totals *sum = &account->sum;

	if (account->given < account->begun)
		log_warn("the collector did not give its account of %u of %u subscriptions",
			 account->begun - account->given, account->begun);
	if (!account->given)
		return;
	dprintf(STDERR_FILENO,
		"{\"matched\":%" PRIu64 ",\"delivered\":%" PRIu64 ",\"filtered\":%" PRIu64
		",\"lost_kernel\":%" PRIu64 ",\"lost_queue\":%" PRIu64 ",\"duration_s\":%" PRIu64
		".%06" PRIu64 "}\n",
		sum->matched, sum->delivered, sum->filtered, sum->lost_kernel, sum->lost_queue,
		sum->duration_us / 1000000, sum->duration_us % 1000000);
}

int subscribe_prepare(const struct options *options)
{
	if (options->no_follow && options->child) {
		log_error("--no-follow ends before -- COMMAND could do anything");
		return EXIT_USAGE;
	}
	if (options->duration) /* also without an answer */
		stop_after(options->duration);
	return 0;
}

int subscribe_run(struct options *options)
{
	static const struct session_ops ops = {
		.start = subscribe_start,
		.stop = subscribe_stop,
		.subscribed = subscribe_live,
	};
	struct session session;
	int status = subscribe_prepare(options);

	if (status)
		return status;
	status = session_run(&session, options, &ops);
	if (options->stats && (session.account.begun || session.once))
		subscribe_stats(&session.account);
	session_deinit(&session);
	return status;
}
