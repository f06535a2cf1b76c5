// SPDX-License-Identifier: GPL-2.0-only
#include <stdint.h>

#include "category.h"
#include "filter.h"
#include "kernel_side.h"
#include "peer.h"
#include "remember.h"
#include "replay.h"
#include "requests_history.h"
#include "server.h"
#include "subscription.h"

#define NS_PER_S 1000000000

bool requests_keeps_history(const struct peer *peer)
{
	const struct remember *remember = peer->server->remember;

	return remember && remember_works(remember);
}

/* False: there is no history, and it was refused. what: that wants it. */
static bool has_history(struct peer *peer, const char *what)
{
	if (requests_keeps_history(peer))
		return true;
	peer_refuse(peer, NETWATCH__ERROR__CODE__UNAVAILABLE,
		    peer->server->remember
			    ? "%s: the collector could not begin its history, which --history asks "
			      "for; its log says why"
			    : "%s: the collector keeps no history; it needs --history",
		    what);
	return false;
}

static bool begin_replay(struct peer *peer, const struct replay_range *range,
			 const struct filter *filter, void (*done)(struct peer *peer))
{
	if (!replay_begin(peer, range, filter, done))
		return true;
	peer_refuse(peer, NETWATCH__ERROR__CODE__BUSY, "no memory for a replay of the history");
	return false;
}

static void told_once(struct peer *peer)
{
	subscription_end(peer);
}

/* Its Unix time in ns, which is at least 1; 0: there is no such event. */
static uint64_t time_of(const Netwatch__Place *place)
{
	const Google__Protobuf__Timestamp *time = place->time;

	if (!time || time->seconds < 0 || time->seconds > INT64_MAX / NS_PER_S - 1 ||
	    time->nanos < 0 || time->nanos >= NS_PER_S)
		return 0;
	return (uint64_t)(time->seconds * NS_PER_S + time->nanos);
}

/* What is wrong with the part of the history that it asks for; NULL: nothing. */
static const char *wrong_with(const Netwatch__Subscribe *subscribe, bool existing)
{
	const Netwatch__Place *from = subscribe->from;
	bool any = subscribe->last || subscribe->since_ms || from;

	if (subscribe->has_last && !subscribe->last)
		return "last is 0, and at least 1";
	if (subscribe->has_since_ms && !subscribe->since_ms)
		return "since_ms is 0, and at least 1";
	if (from && (subscribe->last || subscribe->since_ms))
		return "from is without last and since_ms";
	if (from && !time_of(from))
		return "from has no time that an event could have";
	if (subscribe->no_follow && (!any || existing))
		return "no_follow is for last, since_ms and from, without existing";
	return NULL;
}

bool requests_add_history(struct peer *peer, const struct filter *filter,
			  const Netwatch__Subscribe *subscribe)
{
	const Netwatch__Place *from = subscribe->from;
	const char *wrong = wrong_with(subscribe, peer->reader.existing);
	const char *what = subscribe->last ? "last" : subscribe->since_ms ? "since" : "from";
	const struct replay_range range = {.last = subscribe->last,
					   .since_ms = subscribe->since_ms,
					   .from_ns = from ? time_of(from) : 0,
					   .from_id = from ? from->id : 0};

	if (wrong) {
		peer_refuse(peer, NETWATCH__ERROR__CODE__INVALID, "subscribe: %s", wrong);
		return false;
	}
	peer->once = subscribe->no_follow;
	peer->reader.seamless = range.last || range.since_ms || range.from_ns;
	return !peer->reader.seamless ||
	       (has_history(peer, what) &&
		begin_replay(peer, &range, filter, peer->once ? told_once : NULL));
}

bool requests_add_closed(struct peer *peer, struct filter *filter, void (*done)(struct peer *peer))
{
	const struct replay_range all = {.last = 0};

	if (!has_history(peer, "all"))
		return false;
	filter->wants = 1ULL << NW_WANT_CONN_CLOSE;
	return begin_replay(peer, &all, filter, done);
}
