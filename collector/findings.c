// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "category.h"
#include "findings.h"
#include "names.h"
#include "peer.h"
#include "probe.h"
#include "server.h"
#include "version.h"

#define CATEGORIES_MAX 16 /* more are not named */
#define HOOKS_MAX      32 /* of one category; more are not named */
#define FACILITIES_MAX 16

struct row {
	Netwatch__CategoryCheck message;
	Netwatch__Facility hooks[HOOKS_MAX];
	Netwatch__Facility *hook_list[HOOKS_MAX];
};

struct findings {
	Netwatch__Check check;
	struct utsname kernel;
	struct row category[CATEGORIES_MAX];
	Netwatch__CategoryCheck *category_list[CATEGORIES_MAX];
	Netwatch__Facility facility[FACILITIES_MAX];
	Netwatch__Facility *facility_list[FACILITIES_MAX];
};

/* Iterators: they serve all categories. */
static const struct category_hook iterators[] = {
	{.name = "iter/task_file",
	 .without = "no list, no EXISTING; processes of older connections are found late"},
	{.name = "iter/bpf_sk_storage_map",
	 .without = "an accepted connection is told when its process first reads from it, or at "
		    "its end"},
	{.name = "iter/cgroup", .without = "no filter by cgroup keeps an event of the history"},
};

static char *text(const char *constant)
{
	return (char *)(uintptr_t)constant;
}

static void fill_facility(Netwatch__Facility *m, const char *name, const char *refusal,
			  const char *without)
{
	netwatch__facility__init(m);
	m->name = text(name);
	m->has_usable = 1;
	m->usable = !refusal;
	m->reason = text(refusal);
	m->without = refusal ? text(without) : NULL;
}

static void fill_category(struct row *row, const struct probe *probe, const char *name)
{
	const struct category *category = category_find(name);
	bool ready = probe_outcome(probe)->stage == PROBE_READY;
	Netwatch__CategoryCheck *m = &row->message;
	const char *refusal = category ? probe_refusal(probe, category)
				       : "this version of the collector does not have it";

	netwatch__category_check__init(m);
	m->name = text(name);
	m->has_available = 1;
	m->available = !refusal;
	m->reason = text(refusal);
	m->hook = row->hook_list;
	for (size_t i = 0; category && category->hooks[i].name && i < HOOKS_MAX; i++) {
		const struct category_hook *hook = &category->hooks[i];

		bool needed = !hook->instead || probe_hook_refusal(probe, category, hook->instead);

		fill_facility(&row->hooks[i], hook->name,
			      probe_hook_refusal(probe, category, hook->name),
			      ready && needed ? hook->without : NULL);
		m->hook[m->n_hook++] = &row->hooks[i];
	}
}

static void add_facility(struct findings *f, const char *name, const char *refusal,
			 const char *without)
{
	Netwatch__Facility *m = &f->facility[f->check.n_facility];

	fill_facility(m, name, refusal, without);
	f->check.facility[f->check.n_facility++] = m;
}

/* A probe ends at the first stage that fails. */
static void add_stages(struct findings *f, const struct probe_outcome *outcome)
{
	static const char *const names[] = {
		[PROBE_BTF] = "BTF",
		[PROBE_PROGRAMS] = "BPF programs, ring buffer",
		[PROBE_STORAGE] = "BPF socket storage",
	};

	for (unsigned stage = 0; stage < PROBE_READY; stage++) {
		const char *refusal = NULL;

		if (stage == outcome->stage)
			refusal = outcome->reason;
		else if (stage > outcome->stage)
			refusal = "not tried";
		add_facility(f, names[stage], refusal, NULL);
	}
}

static void add_iterators(struct findings *f, const struct probe *probe)
{
	bool ready = probe_outcome(probe)->stage == PROBE_READY;

	for (size_t i = 0; i < sizeof(iterators) / sizeof(iterators[0]); i++) {
		const struct category_hook *hook = &iterators[i];

		add_facility(f, hook->name, probe_hook_refusal(probe, NULL, hook->name),
			     ready ? hook->without : NULL);
	}
}

static void fill(struct findings *f, const struct probe *probe, bool kernel_addresses)
{
	Netwatch__Check *m = &f->check;

	netwatch__check__init(m);
	uname(&f->kernel);
	m->version = text(VERSION);
	m->kernel = f->kernel.release;
	m->category = f->category_list;
	for (size_t i = 0; i < names_n_categories && i < CATEGORIES_MAX; i++) {
		fill_category(&f->category[i], probe, names_categories[i]);
		m->category[m->n_category++] = &f->category[i].message;
	}
	m->facility = f->facility_list;
	add_stages(f, probe_outcome(probe));
	add_iterators(f, probe);
	add_facility(f, "cgroup v2",
		     probe_has_cgroups(probe) ? NULL : "no cgroup2 file system is mounted",
		     "all sockets have the same cgroup_id, and --cgroup finds no path");
	add_facility(f, "kernel addresses",
		     kernel_addresses ? NULL : "off: root sees no sock (--kernel-addresses)", NULL);
}

struct findings *findings_new(const struct probe *probe, bool kernel_addresses)
{
	struct findings *findings = calloc(1, sizeof(*findings));

	if (findings)
		fill(findings, probe, kernel_addresses);
	return findings;
}

void findings_free(struct findings *findings)
{
	free(findings);
}

const Netwatch__Check *findings_message(const struct findings *findings)
{
	return &findings->check;
}

bool findings_any(const struct findings *findings)
{
	for (size_t i = 0; i < findings->check.n_category; i++) {
		if (findings->check.category[i]->available)
			return true;
	}
	return false;
}

int findings_send(struct peer *peer)
{
	struct findings *findings =
		findings_new(peer->server->probe, peer->server->kernel_addresses);
	Netwatch__Reply reply = NETWATCH__REPLY__INIT;
	int err;

	if (!findings) {
		peer_refuse(peer, NETWATCH__ERROR__CODE__BUSY, "no memory for a check");
		return -ENOMEM;
	}
	reply.reply_case = NETWATCH__REPLY__REPLY_CHECK;
	reply.check = &findings->check;
	err = peer_send(peer, &reply);
	findings_free(findings);
	return err;
}
