// SPDX-License-Identifier: GPL-2.0-only
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/btf.h>

#include "hooks.h"

#define HIDE "NETWATCH_HIDE_HOOKS"

/* A hook is there when the kernel's BTF has a type by which libbpf finds it. */
static const struct kind {
	const char *section;
	const char *type;
	__u32 btf_kind;
	const char *refusal;
} kinds[] = {
	{"tp_btf/", "btf_trace_", BTF_KIND_TYPEDEF, "this kernel has no such tracepoint"},
	{"iter/", "bpf_iter_", BTF_KIND_FUNC, "this kernel has no such iterator"},
};

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
	char type[128];

	if (is_hidden(section))
		return "hidden by " HIDE;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct kind *kind = &kinds[i];
		size_t length = strlen(kind->section);

		if (strncmp(section, kind->section, length))
			continue;
		snprintf(type, sizeof(type), "%s%s", kind->type, section + length);
		if (btf__find_by_name_kind(btf, type, kind->btf_kind) < 0)
			return kind->refusal;
	}
	return NULL;
}
