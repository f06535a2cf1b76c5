// SPDX-License-Identifier: GPL-2.0-only
// Which events of a recording are printed, and how many these were.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"
#include "log.h"
#include "replay.h"
#include "reply.h"

/* ----------------------------------------------------- what is to be printed */

static unsigned index_of(const struct event *event)
{
	return (unsigned)(event->category - event_schema()->fields);
}

static void keep_time(struct replay *replay, const struct event *event)
{
	uint32_t nanoseconds;
	struct value time;
	int64_t seconds;

	if (!event_time(event, &time) || message_time(time, &seconds, &nanoseconds) ||
	    seconds < 0 || seconds > INT32_MAX * 8ll)
		return;
	replay->last_us = seconds * 1000000 + nanoseconds / 1000;
	if (!replay->first_us)
		replay->first_us = replay->last_us;
}

static bool asked_for(const struct replay *replay, const struct event *event)
{
	uint64_t stage = event_stage(event);

	return replay->categories >> index_of(event) & 1 &&
	       (stage != NETWATCH__CONN__STAGE__CLOSE || replay->closed) &&
	       (stage != NETWATCH__CONN__STAGE__EXISTING || !replay->session.options->no_existing);
}

/* What is told of the time before the subscription is in no account. */
bool replay_keeps(struct session *session, const struct event *event)
{
	struct replay *replay = (struct replay *)session;
	bool counts =
		session->account.begun && event_stage(event) != NETWATCH__CONN__STAGE__EXISTING;
	enum verdict verdict;

	keep_time(replay, event);
	if (!asked_for(replay, event))
		return false;
	verdict = judge_event(&replay->judge, event);
	replay->filtered += counts && verdict == JUDGE_FILTERS;
	replay->delivered += counts && verdict == JUDGE_ACCEPTS;
	return verdict == JUDGE_ACCEPTS;
}

/* Nothing is printed of what was recorded without: say so. */
static void tell_missing(const struct replay *replay, struct categories *asked,
			 const Netwatch__Hello *hello)
{
	for (size_t i = 0; i < asked->count; i++) {
		size_t k = 0;

		while (k < hello->n_category && strcmp(hello->category[k], asked->names[i]))
			k++;
		if (k == hello->n_category && !asked->optional[i] &&
		    !replay->session.options->quiet)
			log_warn("%s has no %s events: it was recorded without", replay->name,
				 asked->names[i]);
		asked->optional[i] = true;
	}
}

/* Those of the recording, when no option says which. */
void replay_settle_categories(struct replay *replay, const Netwatch__Hello *hello)
{
	struct session *session = &replay->session;
	struct categories *asked = &session->asked;

	if (session->options->chosen)
		*asked = session->options->categories;
	else if (!hello->n_category)
		categories_add_all(asked);
	for (size_t i = 0; !session->options->chosen && i < hello->n_category; i++)
		categories_add(asked, hello->category[i], true); /* or it is not known here */
	if (hello->n_category) {
		tell_missing(replay, asked, hello);
		categories_settle(asked, hello->category, hello->n_category);
	}
	for (size_t i = 0; i < asked->count; i++)
		replay->categories |= 1ull << schema_find(event_schema(), asked->names[i]);
}

/* ---------------------------------------------------------------- the account */

/* Everything is printed, so the account is the recording's. */
static bool is_whole(const struct replay *replay)
{
	const struct options *options = replay->session.options;

	return replay->bye && replay->judge.all && !options->chosen && !options->no_existing;
}

/* What was lost may or may not have been asked for: it counts. */
static void make_totals(const struct replay *replay, Netwatch__Totals *totals)
{
	const struct session *session = &replay->session;
	const Netwatch__Totals *old = replay->bye ? replay->bye->totals : NULL;

	totals->has_matched = totals->has_delivered = totals->has_filtered = true;
	totals->has_lost_kernel = totals->has_lost_queue = totals->has_duration_us = true;
	totals->delivered = replay->delivered;
	totals->filtered = replay->filtered;
	totals->lost_kernel = session->losses.kernel;
	totals->lost_queue = session->losses.queue;
	totals->matched =
		totals->delivered + totals->filtered + totals->lost_kernel + totals->lost_queue;
	if (old && old->has_duration_us)
		totals->duration_us = old->duration_us;
	else if (replay->last_us > replay->first_us)
		totals->duration_us = (uint64_t)(replay->last_us - replay->first_us);
}

/* For --stats, and for a bye. */
void replay_settle_account(struct replay *replay)
{
	struct account *account = &replay->session.account;

	account->sum = (Netwatch__Totals)NETWATCH__TOTALS__INIT;
	account->begun = account->given = 1;
	if (is_whole(replay) && replay->bye->totals)
		account->sum = *replay->bye->totals;
	else
		make_totals(replay, &account->sum);
}

/* Formats that have a bye get one, but from a recording without. */
int replay_write_bye(struct replay *replay)
{
	Netwatch__Bye made = NETWATCH__BYE__INIT, *bye = replay->bye ? replay->bye : &made;
	Netwatch__Totals *totals = bye->totals;
	uint8_t *data;
	size_t size;

	made.has_reason = true;
	made.reason = NETWATCH__BYE__REASON__DONE;
	if (totals || !replay->bye)
		bye->totals = &replay->session.account.sum;
	size = netwatch__bye__get_packed_size(bye);
	data = malloc(size + 1);
	if (data) {
		netwatch__bye__pack(bye, data);
		reply_forward(&replay->session, NETWATCH__REPLY__REPLY_BYE, data, size);
		free(data);
	}
	bye->totals = totals;
	return data ? 0 : -ENOMEM;
}
