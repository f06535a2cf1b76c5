// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "category/tcpinfo.h"
#include "iterator.h"
#include "jiffies.h"
#include "probe.h"

/* An element for this socket alone, so that the iterator finds it. */
static int mark(const struct probe *probe, int fd)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info);
	int map = probe_map(probe, "reports"), err = 0;
	void *value;

	if (map < 0 || bpf_obj_get_info_by_fd(map, &info, &size))
		return map < 0 ? map : -errno;
	value = calloc(1, info.value_size);
	if (!value)
		return -ENOMEM;
	if (bpf_map_update_elem(map, &fd, value, BPF_ANY))
		err = -errno;
	free(value);
	return err;
}

static int read_rto(const struct probe *probe, uint32_t *rto)
{
	struct iterator iterator;
	int err = iterator_open(&iterator, probe, "nw_read_rto", "reports");
	ssize_t n;

	if (err)
		return err;
	n = read(iterator.fd, rto, sizeof(*rto));
	err = n < 0 ? -errno : n == sizeof(*rto) ? 0 : -ENODATA;
	iterator_close(&iterator);
	return err;
}

int jiffies_measure(const struct probe *probe)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err = fd < 0 ? -errno : 0;
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);
	uint32_t rto = 0;

	if (!err)
		err = mark(probe, fd);
	if (!err)
		err = read_rto(probe, &rto);
	if (!err && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size))
		err = -errno;
	if (!err)
		tcpinfo_set_jiffies(rto, info.tcpi_rto);
	if (fd >= 0)
		close(fd);
	return err;
}
