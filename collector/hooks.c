// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "hooks.h"
#include "netfilter.h"

#define HIDE	      "NETWATCH_HIDE_HOOKS"
#define ARGS	      "args_"
#define RODATA	      ".rodata"
#define HOOK_NAME_MAX 128

static const char *try_function(const struct btf *btf, const char *name, enum bpf_attach_type type);
static const char *try_cgroup(const struct btf *btf, const char *name, enum bpf_attach_type type);
static const char *try_netfilter(const struct btf *btf, const char *name,
				 enum bpf_attach_type type);

/* A hook is there when the kernel's BTF has a type by which libbpf finds it. */
static const struct kind {
	const char *section;
	const char *type; /* of this prefix; NULL: BTF does not say */
	__u32 btf_kind;
	const char *refusal;
	/* is it usable, beyond being there; NULL: yes */
	const char *(*try)(const struct btf *btf, const char *name, enum bpf_attach_type type);
	enum bpf_attach_type attach_type;
} kinds[] = {
	{"tp_btf/", "btf_trace_", BTF_KIND_TYPEDEF, "this kernel has no such tracepoint", NULL, 0},
	{"iter/", "bpf_iter_", BTF_KIND_FUNC, "this kernel has no such iterator", NULL, 0},
	{"fentry/", "", BTF_KIND_FUNC, "this kernel has no such function", try_function,
	 BPF_TRACE_FENTRY},
	{"fexit/", "", BTF_KIND_FUNC, "this kernel has no such function", try_function,
	 BPF_TRACE_FEXIT},
	{"cgroup_skb/", NULL, 0, NULL, try_cgroup, 0},
	{NETFILTER_SECTION, NULL, 0, NULL, try_netfilter, 0},
};

static const char *try_function(const struct btf *btf, const char *name, enum bpf_attach_type type)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = type);
	const char *refusal = NULL;
	int program, link, id = btf__find_by_name_kind(btf, name, BTF_KIND_FUNC);

	opts.attach_btf_id = (__u32)id;
	program = bpf_prog_load(BPF_PROG_TYPE_TRACING, NULL, "GPL", insns, 2, &opts);
	if (program < 0)
		return "this kernel refuses programs on functions";
	link = bpf_raw_tracepoint_open(NULL, program);
	if (link < 0)
		refusal = "this kernel refuses programs on this function";
	else
		close(link);
	close(program);
	return refusal;
}

int hooks_open_cgroup(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	const struct mntent *entry;
	int fd = -ENOENT;

	if (!mounts)
		return -errno;
	while (fd < 0 && (entry = getmntent(mounts))) {
		if (strcmp(entry->mnt_type, "cgroup2"))
			continue;
		fd = open(entry->mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	endmntent(mounts);
	return fd;
}

static const char *try_cgroup(const struct btf *btf, const char *name, enum bpf_attach_type type)
{
	int fd = hooks_open_cgroup();

	(void)btf;
	(void)name;
	(void)type;
	if (fd < 0)
		return "no cgroup v2 hierarchy is mounted";
	close(fd);
	return NULL;
}

static const char *try_netfilter(const struct btf *btf, const char *name, enum bpf_attach_type type)
{
	(void)btf;
	(void)type;
	return netfilter_refusal(name);
}

static bool is_hidden(const char *section)
{
	const char *list = geteuid() ? NULL : getenv(HIDE);
	size_t length = strlen(section);

	for (; list && *list; list += strcspn(list, ","), list += *list == ',') {
		if (strcspn(list, ",") == length && !strncmp(list, section, length))
			return true;
	}
	return false;
}

const char *hooks_refusal(const struct btf *btf, const char *section)
{
	char type[HOOK_NAME_MAX];

	if (is_hidden(section))
		return "hidden by " HIDE;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct kind *kind = &kinds[i];
		const char *name = section + strlen(kind->section);

		if (strncmp(section, kind->section, strlen(kind->section)))
			continue;
		snprintf(type, sizeof(type), "%s%s", kind->type ? kind->type : "", name);
		if (kind->type && btf__find_by_name_kind(btf, type, kind->btf_kind) < 0)
			return kind->refusal;
		return kind->try ? kind->try(btf, name, kind->attach_type) : NULL;
	}
	return NULL;
}

/* Of a tracepoint; the first one of its prototype is not the caller's. */
static int tracepoint_arguments(const struct btf *btf, const char *name)
{
	char type[HOOK_NAME_MAX];
	const struct btf_type *t;
	int id;

	snprintf(type, sizeof(type), "btf_trace_%s", name);
	id = btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF);
	if (id < 0)
		return -ENOENT;
	t = btf__type_by_id(btf, btf__type_by_id(btf, (__u32)id)->type); /* a pointer */
	t = btf__type_by_id(btf, t->type);
	return btf_is_func_proto(t) && btf_vlen(t) ? btf_vlen(t) - 1 : -EINVAL;
}

static int function_arguments(const struct btf *btf, const char *name)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_FUNC);

	if (id < 0)
		return -ENOENT;
	return btf_vlen(btf__type_by_id(btf, btf__type_by_id(btf, (__u32)id)->type));
}

/* Constants of an object: their section in its BTF, and its memory. */
struct constants {
	const struct btf *btf;
	const struct btf_type *section;
	char *memory;
	size_t size;
};

/* 1; 0: it has none; -ENOENT: no memory for them. */
static int find_constants(struct bpf_object *object, struct constants *c)
{
	struct bpf_map *map;
	const void *memory = NULL;
	int id;

	c->btf = bpf_object__btf(object);
	id = btf__find_by_name_kind(c->btf, RODATA, BTF_KIND_DATASEC);
	if (id < 0)
		return 0;
	bpf_object__for_each_map(map, object)
	{
		const char *name = bpf_map__name(map);

		if (strlen(name) >= strlen(RODATA) &&
		    !strcmp(name + strlen(name) - strlen(RODATA), RODATA))
			memory = bpf_map__initial_value(map, &c->size);
	}
	if (!memory)
		return -ENOENT;
	c->memory = (char *)(uintptr_t)memory;
	c->section = btf__type_by_id(c->btf, (__u32)id);
	return 1;
}

/* The i-th one; NULL: beyond the memory. */
static void *constant(const struct constants *c, int i, const char **name, size_t *size)
{
	const struct btf_var_secinfo *variable = &btf_var_secinfos(c->section)[i];

	*name = btf__name_by_offset(c->btf, btf__type_by_id(c->btf, variable->type)->name_off);
	*size = variable->size;
	return variable->offset + variable->size > c->size ? NULL : c->memory + variable->offset;
}

void *hooks_constant(struct bpf_object *object, const char *name, size_t size)
{
	struct constants c;
	const char *own;
	size_t have;

	if (find_constants(object, &c) != 1)
		return NULL;
	for (int i = 0; i < btf_vlen(c.section); i++) {
		void *memory = constant(&c, i, &own, &have);

		if (!strcmp(own, name))
			return have == size ? memory : NULL;
	}
	return NULL;
}

int hooks_count_arguments(const struct btf *btf, struct bpf_object *object)
{
	struct constants c;
	int found = find_constants(object, &c);

	for (int i = 0; found == 1 && i < btf_vlen(c.section); i++) {
		const char *name;
		size_t size;
		__u32 *memory = constant(&c, i, &name, &size);
		int n;

		if (strncmp(name, ARGS, strlen(ARGS)))
			continue;
		if (!memory || size != sizeof(*memory))
			return -EINVAL;
		n = tracepoint_arguments(btf, name + strlen(ARGS));
		if (n < 0)
			n = function_arguments(btf, name + strlen(ARGS));
		*memory = n < 0 ? 0 : (__u32)n;
	}
	return found < 0 ? found : 0;
}

void hooks_enumerate(const struct btf *btf, const char *name,
		     void (*each)(const char *name, uint32_t value, void *arg), void *arg)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_ENUM);
	const struct btf_type *type = id < 0 ? NULL : btf__type_by_id(btf, (__u32)id);
	const struct btf_enum *values = type ? btf_enum(type) : NULL;

	for (int i = 0; type && i < btf_vlen(type); i++)
		each(btf__name_by_offset(btf, values[i].name_off), (uint32_t)values[i].val, arg);
}
