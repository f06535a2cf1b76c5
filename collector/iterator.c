// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "iterator.h"
#include "probe.h"

/* Links live only as long as the run: an idle collector holds none. info: NULL: nothing to say. */
static int begin(struct iterator *iterator, const struct probe *probe, const char *program,
		 union bpf_iter_link_info *info)
{
	LIBBPF_OPTS(bpf_iter_attach_opts, opts);
	struct bpf_program *bpf = probe_program(probe, program);
	int err;

	iterator->fd = -1;
	if (!bpf)
		return -EOPNOTSUPP;
	if (info) {
		opts.link_info = info;
		opts.link_info_len = sizeof(*info);
	}
	iterator->link = bpf_program__attach_iter(bpf, &opts);
	if (!iterator->link)
		return -errno;
	iterator->fd = bpf_iter_create(bpf_link__fd(iterator->link));
	if (iterator->fd >= 0)
		return 0;
	err = -errno;
	bpf_link__destroy(iterator->link);
	return err;
}

int iterator_open(struct iterator *iterator, const struct probe *probe, const char *program,
		  const char *map)
{
	union bpf_iter_link_info info = {.map.map_fd = map ? (__u32)probe_map(probe, map) : 0};

	return begin(iterator, probe, program, map ? &info : NULL);
}

int iterator_open_cgroup(struct iterator *iterator, const struct probe *probe, const char *program,
			 uint64_t id)
{
	union bpf_iter_link_info info = {
		.cgroup = {.order = BPF_CGROUP_ITER_ANCESTORS_UP, .cgroup_id = id}};

	return begin(iterator, probe, program, &info);
}

void iterator_close(struct iterator *iterator)
{
	if (iterator->fd < 0)
		return;
	close(iterator->fd);
	bpf_link__destroy(iterator->link);
	iterator->fd = -1;
}
