// SPDX-License-Identifier: GPL-2.0-only
// Appends whole lines, page by page; rotates without a moment at which the name is missing.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "logfile.h"

#define MODE 0640
#define NEW  ".new" /* suffix of what is not complete yet */
/* Bytes of ,offset="..."} 1 and the newline. They are less, so that no line fills its page. */
#define TAIL_MAX 40

static int write_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno != EINTR)
			return -errno;
		data += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* A new file under the name with NEW behind it; or -errno. */
static int create(int dir, const char *name)
{
	char temporary[NAME_MAX];
	int fd;

	snprintf(temporary, sizeof(temporary), "%s" NEW, name);
	if (unlinkat(dir, temporary, 0) && errno != ENOENT)
		return -errno;
	fd = openat(dir, temporary, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, MODE);
	return fd < 0 ? -errno : fd;
}

/* To its own name, or away. */
static int finish(int dir, const char *name, int err)
{
	char temporary[NAME_MAX];

	snprintf(temporary, sizeof(temporary), "%s" NEW, name);
	if (!err && renameat(dir, temporary, dir, name))
		err = -errno;
	if (err)
		unlinkat(dir, temporary, 0);
	return err;
}

/* The head into the line's buffer. */
static void put_head(struct logfile *file)
{
	file->line.used = file->line.line = 0;
	file->line.err = 0;
	prom_head(&file->line, file->metric, "gauge", file->help);
}

/* NAME becomes NAME.1, and so on; but NAME itself stays until another one takes its place. */
static int shift(const struct logfile *file)
{
	char older[NAME_MAX], newer[NAME_MAX];

	for (unsigned i = LOGFILE_OLD; i > 1; i--) {
		snprintf(older, sizeof(older), "%s.%u", file->name, i);
		snprintf(newer, sizeof(newer), "%s.%u", file->name, i - 1);
		if (renameat(file->dir, newer, file->dir, older) && errno != ENOENT)
			return -errno;
	}
	snprintf(newer, sizeof(newer), "%s.1", file->name);
	if (!linkat(file->dir, file->name, file->dir, newer, 0) || errno == ENOENT)
		return 0;
	/* no links on this file system */
	return renameat(file->dir, file->name, file->dir, newer) ? -errno : 0;
}

/* A file with nothing but the head, in place of the one that is there. */
static int start_anew(struct logfile *file)
{
	int err, fd = create(file->dir, file->name);

	if (fd < 0)
		return fd;
	put_head(file);
	err = write_all(fd, file->line.data, file->line.used);
	if (!err)
		err = shift(file);
	err = finish(file->dir, file->name, err);
	if (err) {
		close(fd);
		return err;
	}
	if (file->fd >= 0)
		close(file->fd);
	file->fd = fd;
	file->size = file->line.used;
	return 0;
}

/* Does the file begin with the head? */
static bool has_head(struct logfile *file, int fd)
{
	char data[LOGFILE_PAGE];
	ssize_t n = pread(fd, data, sizeof(data), 0);

	put_head(file);
	return n >= (ssize_t)file->line.used && !memcmp(data, file->line.data, file->line.used);
}

/* Cuts off what is behind the last newline; -errno, or its size. A line is not longer than a page.
 */
static int64_t repair(int fd, int64_t size)
{
	char data[LOGFILE_PAGE];
	int64_t from = size > (int64_t)sizeof(data) ? size - (int64_t)sizeof(data) : 0;
	ssize_t n = pread(fd, data, sizeof(data), from);
	const char *last;

	if (n < 0)
		return -errno;
	last = memrchr(data, '\n', (size_t)n);
	if (!last)
		return -EBADMSG;
	if (last + 1 - data == n)
		return size;
	size = from + (last + 1 - data);
	return ftruncate(fd, size) ? -errno : size;
}

/* Goes on with an earlier run's file. 0: it does; 1: it is none of ours; -errno. */
static int go_on(struct logfile *file)
{
	int64_t size;
	struct stat st;
	int err, fd;

	fd = openat(file->dir, file->name, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 1 : -errno;
	err = fstat(fd, &st) ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
	if (!err && !has_head(file, fd))
		err = 1;
	size = err ? err : repair(fd, st.st_size);
	if (size == -EBADMSG)
		err = 1;
	else if (size < 0)
		err = (int)size;
	if (err) {
		close(fd);
		return err;
	}
	file->fd = fd;
	file->size = (uint64_t)size;
	return 0;
}

int logfile_open(struct logfile *file, int dir, const char *name, const char *metric,
		 const char *help, uint64_t limit)
{
	int err;

	*file = (struct logfile){
		.dir = dir, .fd = -1, .name = name, .metric = metric, .help = help, .limit = limit};
	err = output_init(&file->line, -1);
	if (!err)
		err = go_on(file);
	return err == 1 ? start_anew(file) : err;
}

int logfile_close(struct logfile *file)
{
	int err = file->fd >= 0 ? logfile_flush(file) : 0;

	if (file->fd >= 0 && close(file->fd) && !err)
		err = -errno;
	file->fd = -1;
	output_deinit(&file->line);
	return err;
}

int logfile_flush(struct logfile *file)
{
	int err = write_all(file->fd, file->page, file->used);

	/* a part of it may be there */
	if (err)
		return ftruncate(file->fd, (off_t)file->size) ? -errno : err;
	file->size += file->used;
	file->used = 0;
	return 0;
}

/* Bytes up to the next border. */
static size_t room(const struct logfile *file)
{
	return LOGFILE_PAGE - (file->size + file->used) % LOGFILE_PAGE;
}

/* A comment that takes what is left of the page, at least its newline. */
static void fill(struct logfile *file, size_t left)
{
	char *to = file->page + file->used;

	memset(to, ' ', left);
	to[0] = '#';
	to[left - 1] = '\n';
	file->used += left;
}

/* Makes room for size bytes before the next border. */
static int make_room(struct logfile *file, size_t size)
{
	size_t left = room(file);
	int err = 0;

	if (left < size) {
		fill(file, left);
		err = logfile_flush(file);
	}
	if (!err && file->size + file->used + size > file->limit) {
		err = logfile_flush(file);
		if (!err)
			err = start_anew(file);
	}
	return err;
}

void logfile_begin(struct logfile *file, struct prom *prom)
{
	file->line.used = file->line.line = 0;
	file->line.err = 0;
	prom_begin(prom, &file->line, file->metric, "");
}

int logfile_end(struct logfile *file, struct prom *prom)
{
	size_t size = file->line.used + TAIL_MAX;
	char line[LOGFILE_PAGE];
	int err;

	if (file->line.err || size > LOGFILE_PAGE)
		return -EMSGSIZE;
	/* a new file's head is made where the line is */
	memcpy(line, file->line.data, file->line.used);
	size = file->line.used;
	err = make_room(file, size + TAIL_MAX);
	if (err)
		return err;
	file->line.used = 0;
	output_bytes(&file->line, line, size);
	prom_number(prom, "offset", file->size + file->used);
	prom_value(prom, 1);
	memcpy(file->page + file->used, file->line.data, file->line.used);
	file->used += file->line.used;
	return 0;
}

int logfile_whole_begin(struct logfile_whole *file, int dir, const char *name)
{
	int err, fd = create(dir, name);

	if (fd < 0)
		return fd;
	file->dir = dir;
	file->name = name;
	err = output_init(&file->output, fd);
	if (!err)
		return 0;
	close(fd);
	return finish(dir, name, err);
}

int logfile_whole_end(struct logfile_whole *file, int err)
{
	if (!err)
		err = output_flush(&file->output);
	if (close(file->output.fd) && !err)
		err = -errno;
	output_deinit(&file->output);
	return finish(file->dir, file->name, err);
}
