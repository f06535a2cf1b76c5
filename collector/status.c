// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include <event2/buffer.h>

#include "category.h"
#include "category/http.h"
#include "event.h"
#include "history.h"
#include "peer.h"
#include "probe.h"
#include "remember.h"
#include "server.h"
#include "slots.h"
#include "subscription.h"
#include "status.h"
#include "version.h"

#define HOOKS_MAX      32 /* of one category; more are not named */
#define CATEGORIES_MAX 64
#define PROGRAMS_MAX   128 /* of which the kernel counted something; more are left out */

struct category_row {
	Netwatch__CategoryStatus message;
	char *names[HOOKS_MAX];
};

struct subscription_row {
	Netwatch__SubscriptionStatus message;
	Netwatch__Totals totals;
	char *categories[CATEGORIES_MAX];
};

/* The message of a status with all that it points to. */
struct report {
	Netwatch__Status status;
	struct utsname kernel;
	Netwatch__HistoryStatus history;
	Google__Protobuf__Timestamp oldest;
	struct category_row category[CATEGORIES_MAX];
	Netwatch__CategoryStatus *category_list[CATEGORIES_MAX];
	struct subscription_row subscription[SERVER_PEERS_MAX];
	Netwatch__SubscriptionStatus *subscription_list[SERVER_PEERS_MAX];
	Netwatch__ProgramStatus program[PROGRAMS_MAX];
	Netwatch__ProgramStatus *program_list[PROGRAMS_MAX];
	Netwatch__EndedSubscriptions ended;
};

static char *text(const char *constant)
{
	return (char *)(uintptr_t)constant;
}

static void fill_category(struct category_row *row, const struct peer *peer,
			  const struct category *category)
{
	const struct probe *probe = peer->server->probe;
	Netwatch__CategoryStatus *m = &row->message;
	const char *refusal = probe_refusal(probe, category);

	netwatch__category_status__init(m);
	m->name = text(category->name);
	m->has_available = 1;
	m->available = !refusal;
	m->reason = refusal ? text(refusal) : NULL;
	m->hook = row->names;
	for (size_t i = 0; category->hooks[i].name && i < HOOKS_MAX; i++) {
		if (!probe_hook_refusal(probe, category, category->hooks[i].name))
			m->hook[m->n_hook++] = text(category->hooks[i].name);
	}
}

static void fill_subscription(struct subscription_row *row, const struct peer *peer)
{
	Netwatch__SubscriptionStatus *m = &row->message;

	netwatch__subscription_status__init(m);
	subscription_totals(peer, &row->totals);
	m->has_uid = m->has_pid = m->has_events_per_s = m->has_queue_bytes = m->has_slot = 1;
	m->uid = peer->uid;
	m->pid = (uint32_t)peer->pid;
	m->totals = &row->totals;
	m->events_per_s = peer->rate;
	m->queue_bytes = peer_waiting(peer);
	m->slot = slots_number(&peer->reader);
	m->category = row->categories;
	for (size_t i = 0; i < n_categories; i++) {
		if (peer->categories & 1ULL << i)
			row->categories[m->n_category++] = text(categories[i]->name);
	}
}

/* A call that a serving collector may still make; getrusage is none. */
static void fill_cost(Netwatch__Status *m)
{
	struct timespec spent;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent))
		return;
	m->has_cpu_us = 1;
	m->cpu_us = (uint64_t)spent.tv_sec * 1000000 + (uint64_t)spent.tv_nsec / 1000;
}

static void fill_program(Netwatch__ProgramStatus *m, const struct probe_cost *cost)
{
	netwatch__program_status__init(m);
	m->name = text(cost->name);
	m->has_runs = m->has_run_ns = cost->runs != 0;
	m->runs = cost->runs;
	m->run_ns = cost->run_ns;
	m->has_missed = 1;
	m->missed = cost->missed;
}

static void fill_programs(struct report *r, const struct probe *probe)
{
	Netwatch__Status *m = &r->status;
	struct probe_cost cost;

	m->program = r->program_list;
	for (size_t i = 0; probe_cost(probe, i, &cost) && m->n_program < PROGRAMS_MAX; i++) {
		if (!cost.runs && !cost.missed)
			continue;
		fill_program(&r->program[m->n_program], &cost);
		r->program_list[m->n_program] = &r->program[m->n_program];
		m->n_program++;
	}
}

static void fill_ended(struct report *r, const struct server *server)
{
	Netwatch__EndedSubscriptions *m = &r->ended;

	netwatch__ended_subscriptions__init(m);
	m->has_done = m->has_slow_reader = m->has_broken = 1;
	m->done = server->ended[NETWATCH__BYE__REASON__DONE];
	m->slow_reader = server->ended[NETWATCH__BYE__REASON__SLOW_READER];
	m->broken = server->ended[0];
	r->status.ended = m;
}

static bool may_see(const struct peer *peer, const struct peer *other)
{
	return peer->scope >= NETWATCH__SCOPE__ALL ||
	       (peer->scope == NETWATCH__SCOPE__OWN && other->uid == peer->uid);
}

/* Of the kernel side, since the start. */
static void fill_shortcomings(Netwatch__Status *m, struct probe *probe)
{
	const struct nw_shared *shared = probe_shared(probe);

	m->has_unseen = m->has_no_storage = m->has_no_place = 1;
	m->unseen = probe_unseen(probe);
	m->no_storage = shared->no_storage;
	m->no_place = shared->no_place;
	m->has_http_missed = 1;
	m->http_missed = category_http_missed();
}

static void fill_history(struct report *r, const struct history *history)
{
	Netwatch__HistoryStatus *m = &r->history;
	uint64_t begin = history_begin(history), end = history_end(history), oldest_ns;

	netwatch__history_status__init(m);
	m->has_events_max = m->has_events = m->has_bytes = 1;
	m->events_max = history_limit(history);
	m->events = end - begin;
	m->bytes = history_bytes(history);
	r->status.history = m;
	if (begin == end)
		return;
	oldest_ns = history_get(history, begin)->unix_ns;
	google__protobuf__timestamp__init(&r->oldest);
	r->oldest.seconds = (int64_t)(oldest_ns / 1000000000);
	r->oldest.nanos = (int32_t)(oldest_ns % 1000000000);
	m->oldest = &r->oldest;
}

static void fill(struct report *r, const struct peer *peer)
{
	Netwatch__Status *m = &r->status;
	const struct peer *other;

	netwatch__status__init(m);
	uname(&r->kernel);
	m->version = text(VERSION);
	m->kernel = r->kernel.release;
	m->has_uptime_s = m->has_scope = 1;
	fill_shortcomings(m, peer->server->probe);
	m->uptime_s = (event_monotonic() - peer->server->started_ns) / 1000000000;
	m->scope = peer->scope;
	fill_cost(m);
	fill_programs(r, peer->server->probe);
	if (peer->scope >= NETWATCH__SCOPE__ALL)
		fill_ended(r, peer->server);
	if (peer->server->remember && remember_works(peer->server->remember))
		fill_history(r, remember_history(peer->server->remember));
	m->category = r->category_list;
	for (size_t i = 0; i < n_categories && i < CATEGORIES_MAX; i++) {
		fill_category(&r->category[i], peer, categories[i]);
		r->category_list[m->n_category++] = &r->category[i].message;
	}
	m->subscription = r->subscription_list;
	TAILQ_FOREACH (other, &peer->server->peers, link) {
		if (!other->live || other->state != PEER_SUBSCRIBED || !may_see(peer, other))
			continue;
		fill_subscription(&r->subscription[m->n_subscription], other);
		r->subscription_list[m->n_subscription] =
			&r->subscription[m->n_subscription].message;
		m->n_subscription++;
	}
}

int status_send(struct peer *peer)
{
	struct report *report = calloc(1, sizeof(*report));
	Netwatch__Reply reply = NETWATCH__REPLY__INIT;
	int err;

	if (!report) {
		peer_refuse(peer, NETWATCH__ERROR__CODE__BUSY, "no memory for a status");
		return -ENOMEM;
	}
	fill(report, peer);
	reply.reply_case = NETWATCH__REPLY__REPLY_STATUS;
	reply.status = &report->status;
	err = peer_send(peer, &reply);
	free(report);
	return err;
}
