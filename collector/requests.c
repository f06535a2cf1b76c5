// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "category.h"
#include "event.h"
#include "filter.h"
#include "findings.h"
#include "log.h"
#include "peer.h"
#include "probe.h"
#include "reports.h"
#include "requests.h"
#include "requests_history.h"
#include "server.h"
#include "slots.h"
#include "subscription.h"
#include "status.h"
#include "version.h"
#include "walk.h"

#define UNPACK_BUDGET \
	(512 * 1024) /* bytes that one message may unpack to: 76 times 4 KiB, and air */

#define INVALID NETWATCH__ERROR__CODE__INVALID

/* ------------------------------------------------------------------- hello */

static void handle_hello(struct peer *peer, const Netwatch__Request *request)
{
	Netwatch__Hello hello = NETWATCH__HELLO__INIT;
	Netwatch__Reply reply = NETWATCH__REPLY__INIT;
	char *names[64];

	if (!request->hello->has_major || request->hello->major != VERSION_MAJOR) {
		peer_refuse(peer, NETWATCH__ERROR__CODE__VERSION,
			    "version %u of the protocol: this collector speaks version %u.%u",
			    request->hello->major, VERSION_MAJOR, VERSION_MINOR);
		return;
	}
	peer->state = PEER_GREETED;
	hello.has_major = hello.has_minor = hello.has_epoch = hello.has_scope = 1;
	hello.major = VERSION_MAJOR;
	hello.minor = VERSION_MINOR;
	hello.program = (char *)(uintptr_t) "netwatch-collector " VERSION;
	hello.epoch = peer->server->epoch;
	hello.scope = peer->scope;
	hello.has_history = 1;
	hello.history = requests_keeps_history(peer);
	hello.category = names;
	for (size_t i = 0; i < n_categories; i++) {
		if (!probe_refusal(peer->server->probe, categories[i]))
			names[hello.n_category++] = (char *)(uintptr_t)categories[i]->name;
	}
	reply.reply_case = NETWATCH__REPLY__REPLY_HELLO;
	reply.hello = &hello;
	peer_send(peer, &reply);
}

/* --------------------------------------------------------------- subscribe */

/* Filter and scope of a request; false when it was refused. */
static bool parse_filter(struct peer *peer, struct filter *filter, const Netwatch__Filter *message)
{
	struct filter_error why;
	int err = filter_parse(filter, message, &why);

	if (!err) {
		filter->scope = peer->scope;
		filter->owner = peer->scope == NETWATCH__SCOPE__OWN ? peer->uid : 0;
		filter->with_address = peer->server->kernel_addresses && !peer->uid;
		err = filter_check_scope(filter, &why);
	}
	if (err)
		peer_refuse(peer, why.code, "%s", why.message);
	return !err;
}

static bool add_category(struct peer *peer, struct filter *filter, const char *name)
{
	const struct category *category = category_find(name);
	const char *refusal;

	if (!category) {
		peer_refuse(peer, INVALID, "category \"%.40s\" is not known", name);
		return false;
	}
	refusal = probe_refusal(peer->server->probe, category);
	if (refusal) {
		peer_refuse(peer, NETWATCH__ERROR__CODE__UNAVAILABLE,
			    "category \"%s\" is not offered: %s", name, refusal);
		return false;
	}
	filter->wants |= category->wants;
	for (size_t c = 0; c < n_categories; c++)
		peer->categories |= (uint64_t)(categories[c] == category) << c;
	return true;
}

static bool add_categories(struct peer *peer, struct filter *filter,
			   const Netwatch__Subscribe *subscribe)
{
	if (!subscribe->n_category) {
		peer_refuse(peer, INVALID, "subscribe: no category");
		return false;
	}
	for (size_t i = 0; i < subscribe->n_category; i++) {
		const char *name = subscribe->category[i];

		if (!add_category(peer, filter, name))
			return false;
		if (category_find(name)->options)
			filter->wants |= category_find(name)->options(subscribe);
	}
	return true;
}

/* Only with reports does the interval tell one filter from another. */
static bool set_interval(struct peer *peer, struct filter *filter,
			 const Netwatch__Subscribe *subscribe)
{
	uint32_t ms = subscribe->has_interval_ms ? subscribe->interval_ms : REPORTS_MS_DEFAULT;

	if (ms < REPORTS_MS_MIN) {
		peer_refuse(peer, INVALID, "subscribe: interval_ms is %u, and at least %d", ms,
			    REPORTS_MS_MIN);
		return false;
	}
	filter->interval_ms = filter->wants & 1ULL << NW_WANT_TCPINFO ? ms : 0;
	return true;
}

/* The number of a field that this collector does not know, of its own or of its place; 0: none. */
static uint32_t unknown_field(const Netwatch__Subscribe *subscribe)
{
	const Netwatch__Place *from = subscribe->from;
	const ProtobufCMessage *messages[] = {&subscribe->base, from ? &from->base : NULL,
					      from && from->time ? &from->time->base : NULL};

	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		if (messages[i] && messages[i]->n_unknown_fields)
			return messages[i]->unknown_fields[0].tag;
	}
	return 0;
}

static void handle_subscribe(struct peer *peer, const Netwatch__Request *request)
{
	const Netwatch__Subscribe *subscribe = request->subscribe;
	uint32_t unknown = unknown_field(subscribe);
	struct filter_error why;
	struct filter filter;

	if (unknown) {
		peer_refuse(peer, INVALID, "subscribe: field %u is not known to this collector",
			    unknown);
		return;
	}
	if (!parse_filter(peer, &filter, subscribe->filter) ||
	    !add_categories(peer, &filter, subscribe) || !set_interval(peer, &filter, subscribe))
		return;
	if (filter.wants & 1ULL << NW_WANT_HTTP)
		filter.viewer = peer->uid;
	else
		memset(&filter.http, 0, sizeof(filter.http));
	peer->state = PEER_SUBSCRIBED;
	peer->reason = NETWATCH__BYE__REASON__DONE;
	peer->reader.existing = subscribe->has_existing && subscribe->existing &&
				filter.wants & 1ULL << NW_WANT_CONN;
	if (!requests_add_history(peer, &filter, subscribe))
		return;
	if (peer->once)
		replay_start_at_mark(peer);
	else if (slots_join(peer->server->slots, &peer->reader, &filter, &why))
		peer_refuse(peer, why.code, "%s", why.message);
}

static void handle_unsubscribe(struct peer *peer, const Netwatch__Request *request)
{
	(void)request;
	subscription_end(peer);
}

/* -------------------------------------------------------------------- list */

void requests_send_row(struct peer *peer, const struct nw_row *row,
		       const struct nw_counters *counters)
{
	struct event_frame frame;

	/* A walk does not wait for its readers. It is refused when it is over: see walk.h. */
	peer->too_many_rows |= peer_waiting(peer) / PEER_ROWS_QUEUES >= peer->server->queue_max;
	if (peer->too_many_rows)
		return;
	if (!event_from_row(&frame, row, counters, peer->server->kernel_addresses && !peer->uid))
		peer_send_frame(peer, frame.data, frame.size);
}

static struct peer *peer_of(struct walk_request *request)
{
	return (struct peer *)(void *)((char *)request - offsetof(struct peer, walk));
}

static void list_row(struct walk_request *request, const struct nw_full_row *full)
{
	struct peer *peer = peer_of(request);

	if (filter_accepts(peer->listed, &full->row))
		requests_send_row(peer, &full->row,
				  peer->listed->wants & 1ULL << NW_WANT_TCPINFO ? &full->counters
										: NULL);
}

static void listed(struct peer *peer)
{
	peer_bye(peer, NETWATCH__BYE__REASON__DONE, NULL);
}

/* What closes while the walk is under way is told both as it was seen and as CLOSE. */
static void list_done(struct walk_request *request, int err)
{
	struct peer *peer = peer_of(request);

	if (err)
		peer_refuse(peer, NETWATCH__ERROR__CODE__UNAVAILABLE,
			    "a walk over the sockets of this host: %s",
			    err == -EOPNOTSUPP ? "the kernel's iterators are missing; see check"
					       : strerror(-err));
	else if (!subscription_rows_done(peer))
		return;
	else if (peer->replay.held)
		replay_start_at_mark(peer);
	else
		listed(peer);
}

static void handle_list(struct peer *peer, const Netwatch__Request *request)
{
	bool tcpinfo = request->list->has_tcpinfo && request->list->tcpinfo;
	bool closed = request->list->has_closed && request->list->closed;
	struct filter filter;

	if (request->list->base.n_unknown_fields) {
		peer_refuse(peer, INVALID, "list: field %u is not known to this collector",
			    request->list->base.unknown_fields[0].tag);
		return;
	}
	if (!parse_filter(peer, &filter, request->list->filter) ||
	    (tcpinfo && !add_category(peer, &filter, "tcpinfo")))
		return;
	peer->listed = malloc(sizeof(filter));
	if (!peer->listed) {
		peer_refuse(peer, NETWATCH__ERROR__CODE__BUSY, "no memory for a filter");
		return;
	}
	*peer->listed = filter;
	peer->state = PEER_LISTING;
	if (closed && !requests_add_closed(peer, &filter, listed))
		return;
	peer->walk = (struct walk_request){.row = list_row, .done = list_done};
	walks_ask(peer->server->walks, &peer->walk);
}

static void handle_status(struct peer *peer, const Netwatch__Request *request)
{
	(void)request;
	if (!status_send(peer))
		peer_bye(peer, NETWATCH__BYE__REASON__DONE, NULL);
}

static void handle_check(struct peer *peer, const Netwatch__Request *request)
{
	(void)request;
	if (!findings_send(peer))
		peer_bye(peer, NETWATCH__BYE__REASON__DONE, NULL);
}

/* ---------------------------------------------------------------- dispatch */

static const struct verb {
	const char *name;
	enum peer_state when;
	void (*handle)(struct peer *peer, const Netwatch__Request *request);
} verbs[] = {
	[NETWATCH__REQUEST__REQUEST_HELLO] = {"hello", PEER_NEW, handle_hello},
	[NETWATCH__REQUEST__REQUEST_SUBSCRIBE] = {"subscribe", PEER_GREETED, handle_subscribe},
	[NETWATCH__REQUEST__REQUEST_UNSUBSCRIBE] = {"unsubscribe", PEER_SUBSCRIBED,
						    handle_unsubscribe},
	[NETWATCH__REQUEST__REQUEST_LIST] = {"list", PEER_GREETED, handle_list},
	[NETWATCH__REQUEST__REQUEST_STATUS] = {"status", PEER_GREETED, handle_status},
	[NETWATCH__REQUEST__REQUEST_CHECK] = {"check", PEER_GREETED, handle_check},
};

static const char *const when_names[] = {
	[PEER_NEW] = "as the first message",
	[PEER_GREETED] = "once, after hello",
	[PEER_SUBSCRIBED] = "after subscribe",
};

/* A message may say anything of its own size: unpacking gets so much memory and no more. */
static void *budget_alloc(void *data, size_t size)
{
	size_t *left = data;

	if (size > *left)
		return NULL;
	*left -= size;
	return malloc(size);
}

static void budget_free(void *data, void *memory)
{
	(void)data;
	free(memory);
}

void requests_handle(struct peer *peer, const uint8_t *data, size_t size)
{
	size_t budget = UNPACK_BUDGET;
	ProtobufCAllocator allocator = {.alloc = budget_alloc,
					.free = budget_free,
					.allocator_data = &budget};
	Netwatch__Request *request = netwatch__request__unpack(&allocator, size, data);
	const struct verb *verb = NULL;

	if (!request) {
		peer_refuse(peer, NETWATCH__ERROR__CODE__FRAME, "not a request");
		return;
	}
	if (request->request_case < sizeof(verbs) / sizeof(verbs[0]))
		verb = &verbs[request->request_case];
	if (!verb || !verb->handle)
		peer_refuse(peer, INVALID, "a request that this collector does not know");
	else if (peer->state == PEER_LEAVING)
		log_debug("%s after unsubscribe is ignored", verb->name);
	else if (peer->state != verb->when)
		peer_refuse(peer, INVALID, "%s comes %s", verb->name, when_names[verb->when]);
	else
		verb->handle(peer, request);
	netwatch__request__free_unpacked(request, &allocator);
}
