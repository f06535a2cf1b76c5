// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "category.h"
#include "cgroups.h"
#include "filter.h"
#include "history.h"
#include "kernel_side.h"
#include "log.h"
#include "probe.h"
#include "remember.h"
#include "slots.h"

struct remember {
	struct reader reader;
	struct slots *slots;
	struct history *history;
	struct cgroups *cgroups;
	bool refused;
};

static struct remember *of(struct reader *reader)
{
	return (struct remember *)(void *)((char *)reader - offsetof(struct remember, reader));
}

static void on_live(struct reader *reader)
{
	(void)reader;
	log_debug("the history begins");
}

static void on_refused(struct reader *reader, const struct filter_error *why)
{
	of(reader)->refused = true;
	log_error("no history: %s", why->message);
}

/* How many is not kept: of these losses nobody knows whose they were. */
static void on_lost(struct reader *reader, uint64_t count, uint64_t first_ns, uint64_t last_ns)
{
	(void)count;
	history_add_loss(of(reader)->history, first_ns, last_ns);
}

static const struct reader_ops ops = {
	.live = on_live,
	.refused = on_refused,
	.lost = on_lost,
};

void remember_record(struct remember *r, const struct nw_record *record, size_t size,
		     int64_t unix_offset_ns)
{
	if (record->connection.category >= n_categories) {
		log_error("a record of category %u", record->connection.category);
		return;
	}
	cgroups_see(r->cgroups, record->connection.cgroup);
	history_add(r->history, record, size, unix_offset_ns);
}

void remember_made(struct remember *r, const struct category *category, const struct made *made,
		   int64_t unix_offset_ns)
{
	cgroups_see(r->cgroups, made->record->connection.cgroup);
	history_add_made(r->history, category, made, unix_offset_ns);
}

bool remember_works(const struct remember *r)
{
	return !r->refused;
}

const struct history *remember_history(const struct remember *r)
{
	return r->history;
}

const struct cgroups *remember_cgroups(const struct remember *r)
{
	return r->cgroups;
}

/* It is equal to no client's, since that is not `remembered`. */
static void accept_everything(struct filter *filter, const struct probe *probe)
{
	struct filter_error why;

	filter_parse(filter, NULL, &why);
	filter->scope = NETWATCH__SCOPE__ALL_WITH_HTTP;
	filter->remembered = 1;
	filter->wants = 1ULL << NW_WANT_CONN_CLOSE;
	for (size_t i = 0; i < n_categories; i++) {
		if (!categories[i]->chatty && !probe_refusal(probe, categories[i]))
			filter->wants |= categories[i]->wants;
	}
}

struct remember *remember_new(struct slots *slots, struct probe *probe, size_t events,
			      bool with_address, const char **reason)
{
	struct remember *r = calloc(1, sizeof(*r));
	struct filter_error why = {.message = ""};
	struct filter filter;

	*reason = strerror(ENOMEM);
	if (!r)
		return NULL;
	r->slots = slots;
	r->reader.ops = &ops;
	r->history = history_new(events, with_address);
	r->cgroups = cgroups_new(cgroups_ask_kernel, probe);
	accept_everything(&filter, probe);
	if (r->history && r->cgroups && !slots_join(slots, &r->reader, &filter, &why)) {
		slots_set_remember(slots, r);
		return r;
	}
	remember_free(r);
	return NULL;
}

void remember_free(struct remember *r)
{
	if (!r)
		return;
	slots_abandon(r->slots, &r->reader);
	history_free(r->history);
	cgroups_free(r->cgroups);
	free(r);
}
