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
#include "log.h"
#include "probe.h"
#include "socket.skel.h"

#define PROGRAMS_MAX 32 /* of all objects; more is a mistake that probe_open reports */
#define OBJECTS_MAX  16
#define TP_BTF	     "tp_btf/"

struct program {
	struct bpf_program *bpf;
	const char *object; /* name of its category, "socket" for what serves all */
	const char *reason; /* left out; NULL: loaded */
	struct bpf_link *link;
};

struct probe {
	struct bpf_object *objects[OBJECTS_MAX]; /* the first is that of sockets */
	size_t n_objects;
	struct program programs[PROGRAMS_MAX];
	size_t n_programs;
	struct nw_shared *shared;
	struct nw_ends *ports;
	uint64_t wants; /* attached for these bits of enum nw_want */
};

/* libbpf's own words are for those who debug. */
static int log_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	char line[512];

	(void)level;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	log_debug("%s", line);
	return 0;
}

/* Programs of tracepoints that this kernel lacks are left out before loading. */
static int choose_programs(struct probe *probe, struct bpf_object *object, const char *name,
			   const struct btf *btf)
{
	struct bpf_program *bpf;

	bpf_object__for_each_program(bpf, object)
	{
		const char *section = bpf_program__section_name(bpf);
		struct program *p = &probe->programs[probe->n_programs];
		char type[128];

		if (probe->n_programs == PROGRAMS_MAX)
			return -E2BIG;
		probe->n_programs++;
		*p = (struct program){.bpf = bpf, .object = name};
		if (strncmp(section, TP_BTF, strlen(TP_BTF)))
			continue;
		snprintf(type, sizeof(type), "btf_trace_%s", section + strlen(TP_BTF));
		if (btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) >= 0)
			continue;
		p->reason = "this kernel has no such tracepoint";
		bpf_program__set_autoload(bpf, false);
	}
	return 0;
}

/* All objects use the maps of the first one. */
static int share_maps(struct probe *probe, struct bpf_object *object)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		struct bpf_map *first =
			bpf_object__find_map_by_name(probe->objects[0], bpf_map__name(map));

		if (first && first != map && bpf_map__reuse_fd(map, bpf_map__fd(first)))
			return -errno;
	}
	return 0;
}

static int load_object(struct probe *probe, const char *name, const void *elf, size_t size,
		       size_t ring_size, const struct btf *btf)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = name);
	struct bpf_object *object = bpf_object__open_mem(elf, size, &opts);
	struct bpf_map *ring;
	int err;

	if (!object)
		return -errno;
	probe->objects[probe->n_objects++] = object;
	ring = bpf_object__find_map_by_name(object, "ring");
	err = ring ? bpf_map__set_max_entries(ring, (__u32)ring_size) : 0;
	if (!err)
		err = choose_programs(probe, object, name, btf);
	if (!err && probe->n_objects > 1)
		err = share_maps(probe, object);
	if (!err)
		err = bpf_object__load(object);
	return err;
}

static void *map_memory(int fd, size_t size)
{
	long page = sysconf(_SC_PAGESIZE);
	void *memory = mmap(NULL, (size + (size_t)page - 1) & ~((size_t)page - 1),
			    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* Kernels on some machines refuse storage at run time: find out on a socket of our own. */
static int try_storage(const struct probe *probe)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err = 0;
	const struct bpf_map *map = bpf_object__find_map_by_name(probe->objects[0], "sockets");
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

static int load_all(struct probe *probe, size_t ring_size, const struct btf *btf)
{
	size_t size;
	const void *elf = socket_bpf__elf_bytes(&size);
	int err = load_object(probe, "socket", elf, size, ring_size, btf);

	for (size_t i = 0; !err && i < n_categories; i++) {
		if (!categories[i]->elf)
			continue;
		elf = categories[i]->elf(&size);
		err = load_object(probe, categories[i]->name, elf, size, ring_size, btf);
	}
	if (err)
		return err;
	probe->shared = map_memory(probe_map(probe, ".data.shared"), sizeof(*probe->shared));
	probe->ports = map_memory(probe_map(probe, "ports"), 2 * NW_PORTS * sizeof(struct nw_ends));
	if (!probe->shared || !probe->ports)
		return -errno;
	return 0;
}

static int report_failure(int err)
{
	if (err == -EPERM || err == -EACCES) {
		log_error("loading BPF programs is not permitted: run as root, or with CAP_BPF, "
			  "CAP_PERFMON and CAP_NET_ADMIN");
		return 77;
	}
	log_error("this kernel refuses netwatch's BPF programs: %s (--log-level debug says more)",
		  strerror(-err));
	return err == -ENOMEM ? 1 : 78;
}

struct probe *probe_open(size_t ring_size, int *exit_code)
{
	struct probe *probe = calloc(1, sizeof(*probe));
	struct btf *btf;
	int err;

	libbpf_set_print(log_libbpf);
	btf = btf__load_vmlinux_btf();
	if (!btf) {
		log_error("this kernel has no BTF (/sys/kernel/btf/vmlinux): %s", strerror(errno));
		*exit_code = 78;
		free(probe);
		return NULL;
	}
	err = probe ? load_all(probe, ring_size, btf) : -ENOMEM;
	btf__free(btf);
	if (!err) {
		err = try_storage(probe);
		if (err)
			log_error("this kernel cannot create socket storage: %s", strerror(-err));
		if (!err)
			return probe;
	}
	*exit_code = report_failure(err);
	probe_free(probe);
	return NULL;
}

void probe_free(struct probe *probe)
{
	if (!probe)
		return;
	if (probe->shared)
		probe_attach(probe, 0);
	while (probe->n_objects)
		bpf_object__close(probe->objects[--probe->n_objects]);
	free(probe);
}

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
	return bpf_object__find_map_fd_by_name(probe->objects[0], name);
}

static bool attachable(const struct program *p)
{
	return !p->reason && bpf_program__type(p->bpf) == BPF_PROG_TYPE_TRACING &&
	       bpf_program__expected_attach_type(p->bpf) == BPF_TRACE_RAW_TP;
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
	const struct category *category = category_find(p->object);

	return category ? category->wants & wants : wants != 0;
}

static void detach_unwanted(struct probe *probe, uint64_t wants)
{
	for (size_t i = 0; i < probe->n_programs; i++) {
		struct program *p = &probe->programs[i];

		if (!p->link || wanted(p, wants))
			continue;
		bpf_link__destroy(p->link);
		p->link = NULL;
	}
	probe->wants = wants;
	probe->shared->attached = wants != 0;
}

int probe_attach(struct probe *probe, uint64_t wants)
{
	int err;

	if (wants && !probe->wants)
		new_session(probe);
	for (size_t i = 0; i < probe->n_programs; i++) {
		struct program *p = &probe->programs[i];

		if (p->link || !attachable(p) || !wanted(p, wants))
			continue;
		p->link = bpf_program__attach(p->bpf);
		if (p->link)
			continue;
		err = -errno;
		log_error("attaching %s: %s", bpf_program__section_name(p->bpf), strerror(-err));
		detach_unwanted(probe, probe->wants);
		return err;
	}
	detach_unwanted(probe, wants);
	return 0;
}

size_t probe_hooks(const struct probe *probe, const char *category, struct probe_hook *hooks,
		   size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < probe->n_programs && n < max; i++) {
		const struct program *p = &probe->programs[i];

		if (strcmp(p->object, "socket") && strcmp(p->object, category))
			continue;
		hooks[n++] = (struct probe_hook){
			.hook = bpf_program__section_name(p->bpf),
			.reason = p->reason,
		};
	}
	return n;
}

bool probe_offers(const struct probe *probe, const char *category)
{
	const struct category *row = category_find(category);
	const char *object = row && row->elf ? category : "socket";

	for (size_t i = 0; i < probe->n_programs; i++) {
		const struct program *p = &probe->programs[i];

		if (!strcmp(p->object, object) && attachable(p))
			return true;
	}
	return false;
}

struct bpf_program *probe_program(const struct probe *probe, const char *name)
{
	return bpf_object__find_program_by_name(probe->objects[0], name);
}

int probe_grace(struct probe *probe)
{
	__u32 zero = 0, inner = (__u32)probe_map(probe, "grace_value");

	return bpf_map_update_elem(probe_map(probe, "grace"), &zero, &inner, BPF_ANY) ? -errno : 0;
}
