// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "category.h"
#include "hooks.h"
#include "log.h"
#include "netfilter.h"
#include "probe.h"
#include "probe_table.h"
#include "refusal.h"
#include "socket.skel.h"

#define WORDS_MAX 4000 /* bytes of a message of libbpf; the verifier may write megabytes */

/* libbpf's own words are for those who debug; a verifier's last lines tell what it refuses. */
static int log_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	char *text = NULL;
	int length = vasprintf(&text, format, args);
	size_t skip = length > WORDS_MAX ? (size_t)length - WORDS_MAX : 0;

	(void)level;
	if (length < 0)
		return 0;
	for (char *rest = text + skip, *line; (line = strsep(&rest, "\n"));) {
		if (*line)
			log_debug("%s", line);
	}
	free(text);
	return 0;
}

/* ----------------------------------------------------------------- opening */

static int open_object(struct probe *probe, const struct category *category, const void *elf,
		       size_t size)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts,
		    .object_name = category ? category->name : "socket");
	struct bpf_object *object;
	struct bpf_program *bpf;

	if (probe->n_objects == OBJECTS_MAX)
		return -E2BIG;
	object = bpf_object__open_mem(elf, size, &opts);
	if (!object)
		return -errno;
	probe->objects[probe->n_objects++] = (struct object){.bpf = object, .category = category};
	bpf_object__for_each_program(bpf, object)
	{
		if (probe->n_programs == PROGRAMS_MAX)
			return -E2BIG;
		if (!strncmp(bpf_program__section_name(bpf), NETFILTER_SECTION,
			     strlen(NETFILTER_SECTION)))
			netfilter_set_type(bpf);
		probe->programs[probe->n_programs++] =
			(struct program){.bpf = bpf, .category = category, .link = -1};
	}
	return 0;
}

static int open_objects(struct probe *probe)
{
	size_t size;
	const void *elf = socket_bpf__elf_bytes(&size);
	int err = open_object(probe, NULL, elf, size);

	for (size_t i = 0; !err && i < n_categories; i++) {
		if (!categories[i]->elf)
			continue;
		elf = categories[i]->elf(&size);
		err = open_object(probe, categories[i], elf, size);
	}
	return err;
}

/* What the category says of the program's hook; NULL: nothing. */
static const struct category_hook *find_hook(const struct program *p)
{
	const struct category_hook *hook = p->category ? p->category->hooks : NULL;

	while (hook && hook->name && strcmp(hook->name, bpf_program__section_name(p->bpf)))
		hook++;
	return hook && hook->name ? hook : NULL;
}

static bool has_better(const struct probe *probe, const struct program *p)
{
	return p->hook && p->hook->instead &&
	       !probe_hook_refusal(probe, p->category, p->hook->instead);
}

/* Programs whose hooks this kernel lacks, or that it does not need, are left out before loading. */
static void choose_programs(struct probe *probe, const struct btf *btf)
{
	for (size_t i = 0; i < probe->n_programs; i++) {
		struct program *p = &probe->programs[i];

		p->refusal = hooks_refusal(btf, bpf_program__section_name(p->bpf));
		p->hook = find_hook(p);
	}
	for (size_t i = 0; i < probe->n_programs; i++) {
		struct program *p = &probe->programs[i];

		if (!p->refusal && has_better(probe, p))
			p->refusal = "not needed: another hook of this category serves better";
		bpf_program__set_autoload(p->bpf, !p->refusal);
	}
}

/* Tells programs, by constants, what this kernel is like. */
static int set_constants(const struct probe *probe, const struct btf *btf)
{
	int err = 0;

	for (size_t i = 0; !err && i < probe->n_objects; i++) {
		const struct object *object = &probe->objects[i];

		err = hooks_count_arguments(btf, object->bpf);
		if (!err && object->category && object->category->prepare)
			err = object->category->prepare(btf, object->bpf);
	}
	return err;
}

/* All objects use the maps of the first one. */
static int share_maps(struct probe *probe, struct bpf_object *object)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		struct bpf_map *first =
			bpf_object__find_map_by_name(probe->objects[0].bpf, bpf_map__name(map));

		if (first && first != map && bpf_map__reuse_fd(map, bpf_map__fd(first)))
			return -errno;
	}
	return 0;
}

static int load_object(struct probe *probe, struct bpf_object *object, size_t ring_size)
{
	struct bpf_map *ring = bpf_object__find_map_by_name(object, "ring");
	int err = ring ? bpf_map__set_max_entries(ring, (__u32)ring_size) : 0;

	if (!err && object != probe->objects[0].bpf)
		err = share_maps(probe, object);
	return err ? err : bpf_object__load(object);
}

/* Of programs that are left out there is no body, and nobody calls it. */
static int connect_bodies(const struct probe *probe)
{
	for (__u32 i = 0; i < NW_PAIRS; i++) {
		const struct bpf_program *body =
			probe_bodies[i] ? probe_program(probe, probe_bodies[i]) : NULL;
		int fd = body ? bpf_program__fd(body) : -1;

		if (body && bpf_map_update_elem(probe_map(probe, "bodies"), &i, &fd, BPF_ANY))
			return -errno;
	}
	return 0;
}

/* Programs of one object, or of all (NULL), that no other reason has left out. */
static void leave_out(struct probe *probe, const struct object *object, const char *refusal)
{
	for (size_t i = 0; i < probe->n_programs; i++) {
		struct program *p = &probe->programs[i];

		if (!p->refusal && (!object || p->category == object->category))
			p->refusal = refusal;
	}
}

static void *map_memory(int fd, size_t size)
{
	long page = sysconf(_SC_PAGESIZE);
	void *memory = mmap(NULL, (size + (size_t)page - 1) & ~((size_t)page - 1),
			    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* Without the object of sockets there is nothing; another one takes only its category along. */
static int load_objects(struct probe *probe, size_t ring_size)
{
	int err = load_object(probe, probe->objects[0].bpf, ring_size);

	if (!err)
		err = connect_bodies(probe);
	if (err)
		return err;
	for (size_t i = 1; i < probe->n_objects; i++) {
		if (load_object(probe, probe->objects[i].bpf, ring_size))
			leave_out(probe, &probe->objects[i],
				  "this kernel refuses the category's BPF programs");
	}
	probe->shared = map_memory(probe_map(probe, ".data.shared"), sizeof(*probe->shared));
	probe->ports = map_memory(probe_map(probe, "ports"), 2 * NW_PORTS * sizeof(struct nw_ends));
	if (!probe->shared || !probe->ports)
		return -errno;
	probe->shared->crowded = ring_size / 4 * 3;
	return 0;
}

/* Kernels on some machines refuse storage at run time: find out on a socket of our own. */
static int try_storage(const struct probe *probe)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err = 0;
	const struct bpf_map *map = bpf_object__find_map_by_name(probe->objects[0].bpf, "sockets");
	void *value = calloc(1, bpf_map__value_size(map));

	if (fd < 0 || !value)
		err = -errno;
	else if (bpf_map_update_elem(bpf_map__fd(map), &fd, value, BPF_ANY))
		err = -errno;
	free(value);
	if (fd >= 0)
		close(fd);
	return err;
}

static void fail(struct probe *probe, enum probe_stage stage, int err)
{
	static const char *const what[] = {
		[PROBE_PROGRAMS] = "this kernel refuses netwatch's BPF programs",
		[PROBE_STORAGE] = "this kernel cannot create socket storage",
	};
	struct probe_outcome *o = &probe->outcome;
	struct refusal refusal;

	if (stage == PROBE_BTF)
		refusal_of_btf(&refusal, err);
	else
		refusal_of_loading(&refusal, what[stage], err);
	o->stage = stage;
	o->exit_code = refusal.exit_code;
	snprintf(o->reason, sizeof(o->reason), "%s: %s", refusal.reason, refusal.detail);
	leave_out(probe, NULL, refusal.reason);
}

static void load(struct probe *probe, size_t ring_size)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int err;

	if (!btf) {
		fail(probe, PROBE_BTF, -errno);
		return;
	}
	choose_programs(probe, btf);
	err = set_constants(probe, btf);
	btf__free(btf);
	if (!err)
		err = load_objects(probe, ring_size);
	if (err) {
		fail(probe, PROBE_PROGRAMS, err);
		return;
	}
	err = try_storage(probe);
	if (err)
		fail(probe, PROBE_STORAGE, err);
}

struct probe *probe_open(size_t ring_size)
{
	struct probe *probe = calloc(1, sizeof(*probe));
	int err;

	if (!probe)
		return NULL;
	libbpf_set_print(log_libbpf);
	probe->cgroup = hooks_open_cgroup(); /* what needs it is left out without */
	probe->outcome.stage = PROBE_READY;
	err = open_objects(probe);
	if (err)
		fail(probe, PROBE_PROGRAMS, err);
	else
		load(probe, ring_size);
	return probe;
}

void probe_free(struct probe *probe)
{
	if (!probe)
		return;
	if (probe->shared)
		probe_attach(probe, 0);
	while (probe->n_objects)
		bpf_object__close(probe->objects[--probe->n_objects].bpf);
	if (probe->cgroup >= 0)
		close(probe->cgroup);
	free(probe);
}

const struct probe_outcome *probe_outcome(const struct probe *probe)
{
	return &probe->outcome;
}

/* ------------------------------------------------------------------- using */

struct nw_shared *probe_shared(struct probe *probe)
{
	return probe->shared;
}

struct nw_ends *probe_ports(struct probe *probe)
{
	return probe->ports;
}

int probe_map(const struct probe *probe, const char *name)
{
	int fd = -ENOENT;

	for (size_t i = 0; fd < 0 && i < probe->n_objects; i++)
		fd = bpf_object__find_map_fd_by_name(probe->objects[i].bpf, name);
	return fd;
}

const char *probe_hook_refusal(const struct probe *probe, const struct category *category,
			       const char *hook)
{
	const struct category *own = category && category->elf ? category : NULL;

	for (size_t i = 0; i < probe->n_programs; i++) {
		const struct program *p = &probe->programs[i];

		if (p->category == own && !strcmp(bpf_program__section_name(p->bpf), hook))
			return p->refusal;
	}
	return "no program uses it";
}

const char *probe_refusal(const struct probe *probe, const struct category *category)
{
	const char *refusal = "it has no hook";

	for (const struct category_hook *hook = category->hooks; hook->name; hook++) {
		if (hook->without)
			continue;
		refusal = probe_hook_refusal(probe, category, hook->name);
		if (!refusal)
			return NULL;
	}
	return refusal;
}

bool probe_has_cgroups(const struct probe *probe)
{
	return probe->cgroup >= 0;
}

struct bpf_program *probe_program(const struct probe *probe, const char *name)
{
	for (size_t i = 0; i < probe->n_programs; i++) {
		const struct program *p = &probe->programs[i];

		if (!p->refusal && !strcmp(bpf_program__name(p->bpf), name))
			return p->bpf;
	}
	return NULL;
}

int probe_grace(struct probe *probe)
{
	__u32 zero = 0, inner = (__u32)probe_map(probe, "grace_value");

	return bpf_map_update_elem(probe_map(probe, "grace"), &zero, &inner, BPF_ANY) ? -errno : 0;
}
