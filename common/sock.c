// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "sock.h"

#define BACKLOG 128 /* clients that wait for accept; more are refused by the kernel */

static int address(struct sockaddr_un *sun, const char *path)
{
	size_t length = strlen(path);

	if (!length || length >= sizeof(sun->sun_path))
		return -ENAMETOOLONG;
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path, path, length + 1);
	return 0;
}

int sock_connect(const char *path)
{
	const struct timeval wait = {.tv_sec = SOCK_WAIT_S};
	struct sockaddr_un sun;
	int fd, err = address(&sun, path);

	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* without SO_SNDTIMEO, a full backlog holds connect(2) for ever */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) ||
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun))) {
		err = errno == EAGAIN ? -ETIMEDOUT : -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* Two that start together must not unlink each other's socket. Returns the lock's fd. */
static int lock_path(const char *path)
{
	char name[sizeof(((struct sock_listener *)NULL)->path) + sizeof(".lock")];
	int fd, err;

	snprintf(name, sizeof(name), "%s.lock", path);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	err = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
	close(fd);
	return err;
}

/* Makes room at path: 0 when it is free. */
static int remove_stale(const char *path)
{
	struct stat st;
	int fd;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = sock_connect(path);
	if (fd >= 0) {
		close(fd);
		return -EADDRINUSE;
	}
	if (fd != -ECONNREFUSED)
		return fd;
	return unlink(path) ? -errno : 0;
}

static int give_to_group(const char *path, gid_t group, mode_t mode)
{
	if (group == (gid_t)-1 || !lchown(path, (uid_t)-1, group))
		return 0;
	if (errno != EPERM)
		return -errno;
	return (mode >> 3 & 7) == (mode & 7) ? 0 : SOCK_NOT_MEMBER;
}

int sock_listen(struct sock_listener *listener, const char *path, mode_t mode, gid_t group)
{
	struct sockaddr_un sun;
	int fd = -1, lock, err;
	struct stat st;
	mode_t umask_was;

	err = address(&sun, path);
	if (err)
		return err;
	lock = lock_path(path);
	if (lock < 0)
		return lock;
	err = remove_stale(path);
	if (err)
		goto out;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		err = -errno;
		goto out;
	}
	umask_was = umask(0777 & ~mode);
	err = bind(fd, (struct sockaddr *)&sun, sizeof(sun)) ? -errno : 0;
	umask(umask_was);
	if (err)
		goto out;
	err = give_to_group(path, group, mode);
	if (!err && (lstat(path, &st) || listen(fd, BACKLOG)))
		err = -errno;
	if (err) {
		unlink(path);
		goto out;
	}
	listener->fd = fd;
	listener->lock = lock;
	memcpy(listener->path, sun.sun_path, sizeof(listener->path));
	listener->device = st.st_dev;
	listener->inode = st.st_ino;
	return 0;
out:
	if (fd >= 0)
		close(fd);
	close(lock);
	return err;
}

static int option(int fd, int name)
{
	int value = 0;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &size) ? -errno : value;
}

int sock_take(struct sock_listener *listener, int fd)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	socklen_t size = sizeof(sun) - 1; /* a longest path has no end */
	int domain = option(fd, SO_DOMAIN), flags;

	if (domain < 0)
		return domain;
	if (domain != AF_UNIX || option(fd, SO_TYPE) != SOCK_STREAM)
		return SOCK_NOT_STREAM;
	if (option(fd, SO_ACCEPTCONN) != 1)
		return SOCK_NOT_LISTENING;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC) ||
	    getsockname(fd, (struct sockaddr *)&sun, &size))
		return -errno;
	if (!sun.sun_path[0])
		sun.sun_path[0] = '@'; /* as abstract names are written */
	listener->fd = fd;
	listener->lock = -1;
	snprintf(listener->path, sizeof(listener->path), "%s", sun.sun_path);
	return 0;
}

void sock_close(struct sock_listener *listener)
{
	struct stat st;

	if (listener->fd < 0)
		return;
	if (listener->lock >= 0 && !lstat(listener->path, &st) && st.st_dev == listener->device &&
	    st.st_ino == listener->inode)
		unlink(listener->path);
	close(listener->fd);
	if (listener->lock >= 0)
		close(listener->lock);
	listener->fd = -1;
}
