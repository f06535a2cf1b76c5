// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kernel_side.h"
#include "probe.h"
#include "walk.h"

#define ROWS_AT_ONCE 64

/* Cookies of the sockets seen: several processes may hold one. Open addressing, at most half full.
 */
struct seen {
	uint64_t *cookie; /* 0: empty */
	size_t size;	  /* a power of two */
	size_t n;
};

struct walk {
	struct seen seen;
	void (*row)(const struct nw_row *row, void *arg); /* NULL: rows are not wanted */
	void *arg;
};

static size_t place_of(const struct seen *seen, uint64_t cookie)
{
	size_t i = (cookie * 0x9e3779b97f4a7c15ULL >> 20) & (seen->size - 1);

	while (seen->cookie[i] && seen->cookie[i] != cookie)
		i = (i + 1) & (seen->size - 1);
	return i;
}

static int grow(struct seen *seen)
{
	struct seen larger = {.size = seen->size ? 2 * seen->size : 1024, .n = seen->n};

	larger.cookie = calloc(larger.size, sizeof(*larger.cookie));
	if (!larger.cookie)
		return -ENOMEM;
	for (size_t i = 0; i < seen->size; i++) {
		if (seen->cookie[i])
			larger.cookie[place_of(&larger, seen->cookie[i])] = seen->cookie[i];
	}
	free(seen->cookie);
	*seen = larger;
	return 0;
}

/* 1: it is new; 0: it was seen before; -ENOMEM. */
static int see(struct seen *seen, uint64_t cookie)
{
	size_t i;

	if (2 * (seen->n + 1) > seen->size && grow(seen))
		return -ENOMEM;
	i = place_of(seen, cookie);
	if (seen->cookie[i])
		return 0;
	seen->cookie[i] = cookie;
	seen->n++;
	return 1;
}

static int take_rows(struct walk *walk, const struct nw_row *rows, size_t n)
{
	for (size_t i = 0; walk->row && i < n; i++) {
		int new = see(&walk->seen, rows[i].connection.cookie);

		if (new < 0)
			return new;
		if (new)
			walk->row(&rows[i], walk->arg);
	}
	return 0;
}

/* Reads all rows of an open iterator. A read may end within a row. */
static int read_rows(int fd, struct walk *walk)
{
	struct nw_row rows[ROWS_AT_ONCE];
	size_t have = 0, whole;
	ssize_t n;
	int err;

	while ((n = read(fd, (char *)rows + have, sizeof(rows) - have)) != 0) {
		/* EAGAIN: many files and no socket among them; the iterator goes on. */
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return -errno;
		have += (size_t)n;
		whole = have / sizeof(rows[0]);
		err = take_rows(walk, rows, whole);
		if (err)
			return err;
		have -= whole * sizeof(rows[0]);
		memmove(rows, &rows[whole], have);
	}
	return 0;
}

/*
 * map: whose elements it iterates over; NULL: none. Links of iterators live only as long as
 * the walk: an idle collector holds none.
 */
static int iterate(struct probe *probe, const char *program, const char *map, struct walk *walk)
{
	union bpf_iter_link_info info = {.map.map_fd = 0};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts);
	struct bpf_link *link;
	int fd, err;

	if (map) {
		info.map.map_fd = (__u32)probe_map(probe, map);
		opts.link_info = &info;
		opts.link_info_len = sizeof(info);
	}
	link = bpf_program__attach_iter(probe_program(probe, program), &opts);
	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	err = fd < 0 ? -errno : read_rows(fd, walk);
	if (fd >= 0)
		close(fd);
	bpf_link__destroy(link);
	return err;
}

int walk_sockets(struct probe *probe, void (*row)(const struct nw_row *row, void *arg), void *arg)
{
	struct walk walk = {.row = row, .arg = arg};
	int err = iterate(probe, "nw_walk_files", NULL, &walk);

	if (!err)
		err = iterate(probe, "nw_walk_storage", "sockets", &walk);
	free(walk.seen.cookie);
	return err;
}

int walk_forget(struct probe *probe)
{
	struct walk nothing = {.row = NULL};

	return iterate(probe, "nw_forget", "sockets", &nothing);
}
