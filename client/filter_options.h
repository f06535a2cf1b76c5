/* SPDX-License-Identifier: GPL-2.0-only */
/* The options that choose connections, turned into the Filter of a request. */
#ifndef NETWATCH_FILTER_OPTIONS_H
#define NETWATCH_FILTER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "netwatch.pb-c.h"

/* A dimension with few values: what was asked for, what was excluded; one bit each. */
struct filter_choice {
	unsigned any, none;
};

/* What was typed for a cgroup. */
struct filter_cgroup {
	char *path;
	bool negate;
};

struct filter_options {
	Netwatch__Filter *message;
	struct filter_choice family, role;
	struct filter_cgroup *cgroups; /* they are looked up at the end */
	size_t cgroup_count;
};

/* One kind of value, and how to add it: to the set at target: offset in Netwatch__Filter, or for
 * HTTP in Netwatch__HttpFilter. */
struct filter_kind {
	const char *noun; /* for messages */
	/* NULL, or the reason for which text is no such value. */
	const char *(*add)(struct filter_options *filter, size_t target, bool negate,
			   const char *text);
};

extern const struct filter_kind filter_ports, filter_prefixes, filter_pids, filter_names,
	filter_users, filter_roles, filter_families, filter_namespaces, filter_cgroups,
	filter_http_texts, filter_http_statuses, filter_http_latencies;

/* Values of filter_roles, ended by NULL. */
extern const char *const filter_role_words[];

/* 0 or -ENOMEM. */
int filter_options_init(struct filter_options *filter);
void filter_options_deinit(struct filter_options *filter);

/*
 * Adds each item of a list with commas. On failure returns the reason, and points *item (in
 * a static buffer) to the item that is wrong.
 */
const char *filter_options_add(struct filter_options *filter, const struct filter_kind *kind,
			       size_t target, bool negate, const char *list, const char **item);

/*
 * Settles the choices, and looks up the cgroups. With by_path they need not exist: their numbers
 * in the message are those of cgroups, from 1, whose paths are then below the root as events have
 * them. NULL, or what about them is wrong or leaves nothing to see (in a static buffer).
 */
const char *filter_options_finish(struct filter_options *filter, bool by_path);

#endif
