// SPDX-License-Identifier: GPL-2.0-only
// How a conversation ends, by an error of the collector or by its bye.
#include <errno.h>
#include <inttypes.h>

#include "exit.h"
#include "log.h"
#include "reply.h"
#include "reply_end.h"
#include "session.h"
#include "stop.h"
#include "version.h"

void reply_end(struct session *session, int status)
{
	session->ended = true;
	session->status = status;
}

int reply_on_error(struct session *session, const uint8_t *data, size_t size)
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
	} else if (code == NETWATCH__ERROR__CODE__INVALID && session->newest &&
		   session->minor < VERSION_MINOR) {
		log_error("the collector is too old (protocol %u.%" PRIu32 "): it does not know %s",
			  VERSION_MAJOR, session->minor, session->newest);
		reply_end(session, EXIT_UNAVAILABLE);
	} else {
		log_error("%s", message);
		reply_end(session, code < sizeof(statuses) / sizeof(statuses[0]) && statuses[code]
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

int reply_on_bye(struct session *session, const uint8_t *data, size_t size)
{
	Netwatch__Bye *bye = netwatch__bye__unpack(NULL, size, data);
	bool asked = session->stopping || stop_state() != STOP_NO;
	bool lost = false;
	const char *why;
	int err = 0;

	if (!bye)
		return -EBADMSG;
	why = bye_reason(bye);
	if (!why && session->requested && session->ops->stop && !session->once && !asked)
		why = "the collector ended the stream";
	if (!why && session->ops->answer && !session->answered && !asked)
		why = "the collector did not answer";
	if (bye->totals) {
		add_totals(session, bye->totals);
		lost = bye->totals->lost_kernel || bye->totals->lost_queue;
	}
	netwatch__bye__free_unpacked(bye, NULL);
	if (!why && !session->requested)
		return -EBADMSG;
	if (session->requested && !session->ops->answer) /* a list may be empty */
		err = reply_start(session);
	if (err)
		return err;
	reply_end(session, EXIT_OK);
	if (why && !asked)
		session_disconnected(session, why);
	if (session->resume.wanted) /* what was not told yet is part of the gap */
		return 0;
	session->lost |= lost;
	err = reply_tell_held(session);
	if (!err)
		reply_forward(session, NETWATCH__REPLY__REPLY_BYE, data, size);
	return 0;
}
