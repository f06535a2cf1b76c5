// SPDX-License-Identifier: GPL-2.0-only
/* Programs that are loaded, attached while somebody wants what they tell. Loading: probe.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "category.h"
#include "log.h"
#include "netfilter.h"
#include "privilege.h"
#include "probe.h"
#include "probe_table.h"

const char *const probe_bodies[NW_PAIRS] = {[NW_PAIR_STATE] = "nw_state_body"};

static bool is_body(const struct bpf_program *bpf)
{
	for (size_t i = 0; i < NW_PAIRS; i++) {
		if (probe_bodies[i] && !strcmp(bpf_program__name(bpf), probe_bodies[i]))
			return true;
	}
	return false;
}

static int attach_tracing(const struct probe *probe, struct bpf_program *bpf)
{
	int fd = bpf_link_create(bpf_program__fd(bpf), 0, bpf_program__expected_attach_type(bpf),
				 NULL);

	(void)probe;
	return fd < 0 ? -errno : fd;
}

static int attach_cgroup(const struct probe *probe, struct bpf_program *bpf)
{
	int fd = bpf_link_create(bpf_program__fd(bpf), probe->cgroup,
				 bpf_program__expected_attach_type(bpf), NULL);

	return fd < 0 ? -errno : fd;
}

static int attach_netfilter(const struct probe *probe, struct bpf_program *bpf)
{
	(void)probe;
	return netfilter_link(bpf_program__section_name(bpf) + strlen(NETFILTER_SECTION),
			      bpf_program__fd(bpf));
}

/*
 * How programs are attached, by their sections; others, such as iterators, are not. The file
 * descriptor of a link, or -errno.
 */
static const struct attachment {
	const char *section;
	int (*attach)(const struct probe *probe, struct bpf_program *bpf);
	bool needs_capability;
} attachments[] = {
	{"tp_btf/", attach_tracing, false},	     {"fentry/", attach_tracing, false},
	{"fexit/", attach_tracing, false},	     {"cgroup_skb/", attach_cgroup, true},
	{NETFILTER_SECTION, attach_netfilter, true},
};

static int attach(const struct attachment *how, const struct probe *probe, struct bpf_program *bpf)
{
	int err = how->needs_capability ? privilege_raise(true) : 0, link;

	if (err)
		return err;
	link = how->attach(probe, bpf);
	if (how->needs_capability)
		privilege_raise(false);
	return link;
}

static const struct attachment *attachment_of(const struct program *p)
{
	const char *section = bpf_program__section_name(p->bpf);

	for (size_t i = 0; i < sizeof(attachments) / sizeof(attachments[0]); i++) {
		if (!strncmp(section, attachments[i].section, strlen(attachments[i].section)))
			return p->refusal || is_body(p->bpf) ? NULL : &attachments[i];
	}
	return NULL;
}

/* What is left of a former session is void: see nw_storage. */
static void new_session(struct probe *probe)
{
	memset(probe->shared->parked, 0, sizeof(probe->shared->parked));
	probe->shared->session++;
}

/* Programs of a category while it is wanted, the others while anything is. */
static bool wanted(const struct program *p, uint64_t wants)
{
	if (!p->category)
		return wants != 0;
	if (p->hook && p->hook->wants)
		return p->hook->wants & wants;
	return (p->category->wants | p->category->also) & wants;
}

static void detach_unwanted(struct probe *probe, uint64_t wants)
{
	for (size_t i = 0; i < probe->n_programs; i++) {
		struct program *p = &probe->programs[i];

		if (p->link < 0 || wanted(p, wants))
			continue;
		close(p->link);
		p->link = -1;
	}
	probe->wants = wants;
	probe->shared->attached = wants != 0;
}

int probe_attach(struct probe *probe, uint64_t wants)
{
	if (wants && !probe->wants)
		new_session(probe);
	for (size_t i = 0; i < probe->n_programs; i++) {
		struct program *p = &probe->programs[i];
		const struct attachment *attachment = attachment_of(p);

		int err;

		if (p->link >= 0 || !attachment || !wanted(p, wants))
			continue;
		p->link = attach(attachment, probe, p->bpf);
		if (p->link >= 0)
			continue;
		err = p->link;
		log_error("attaching %s: %s", bpf_program__section_name(p->bpf), strerror(-err));
		detach_unwanted(probe, probe->wants);
		return err;
	}
	detach_unwanted(probe, wants);
	return 0;
}

#define TWIN "_twin"

/* The program that this one is the twin of, or NULL. */
static struct bpf_program *first_of(const struct probe *probe, const struct program *twin)
{
	const char *name = bpf_program__name(twin->bpf);
	size_t length = strlen(name);

	if (twin->refusal || length < strlen(TWIN) || strcmp(name + length - strlen(TWIN), TWIN))
		return NULL;
	for (size_t i = 0; i < probe->n_programs; i++) {
		const char *first = bpf_program__name(probe->programs[i].bpf);

		if (strlen(first) == length - strlen(TWIN) && !strncmp(first, name, strlen(first)))
			return probe->programs[i].bpf;
	}
	return NULL;
}

/* Zeros where there is nothing to ask. */
static struct bpf_prog_info info_of(const struct bpf_program *bpf)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);

	if (!bpf || bpf_obj_get_info_by_fd(bpf_program__fd(bpf), &info, &size))
		memset(&info, 0, sizeof(info));
	return info;
}

bool probe_cost(const struct probe *probe, size_t number, struct probe_cost *cost)
{
	const struct program *p = &probe->programs[number];
	struct bpf_prog_info info;

	if (number >= probe->n_programs)
		return false;
	info = info_of(p->refusal ? NULL : p->bpf);
	*cost = (struct probe_cost){.name = bpf_program__name(p->bpf),
				    .runs = info.run_cnt,
				    .run_ns = info.run_time_ns,
				    .missed = info.recursion_misses};
	return true;
}

uint64_t probe_unseen(const struct probe *probe)
{
	uint64_t skipped = 0, answered = probe->shared->twins;

	for (size_t i = 0; i < probe->n_programs; i++)
		skipped += info_of(first_of(probe, &probe->programs[i])).recursion_misses;
	return skipped > answered ? skipped - answered : 0;
}
