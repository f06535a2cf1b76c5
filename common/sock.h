/* SPDX-License-Identifier: GPL-2.0-only */
/* The UNIX stream socket between collector and clients. */
#ifndef NETWATCH_SOCK_H
#define NETWATCH_SOCK_H

#include <stddef.h>
#include <sys/types.h>

#define SOCK_DEFAULT_PATH "/run/netwatch.sock"
#define SOCK_WAIT_S	  5 /* a server that accepts nothing for so long hangs */

/* The listening end, as sock_listen made it. */
struct sock_listener {
	int fd;	  /* non-blocking; -1 when closed */
	int lock; /* held as long as the program lives; -1: the file is somebody else's */
	char path[108];
	dev_t device; /* of the socket file, so that only ours is removed */
	ino_t inode;
};

enum {
	SOCK_NOT_MEMBER = 1,
	SOCK_NOT_STREAM,
	SOCK_NOT_LISTENING,
};

/*
 * Binds path with mode (permissions from the first moment on) and, unless group is
 * (gid_t)-1, with that group. Only root and members may give a file to a group: who may not
 * gets a socket of his own group, if mode lets the group do what others may, so that it makes
 * no difference; else SOCK_NOT_MEMBER. A socket that nobody serves is replaced. 0, or
 * -EADDRINUSE: somebody serves it, -EEXIST: path is there and no socket, -ENAMETOOLONG, -errno.
 */
int sock_listen(struct sock_listener *listener, const char *path, mode_t mode, gid_t group);

/*
 * Takes a socket that somebody else bound and passed on. 0, or SOCK_NOT_STREAM: it is no UNIX
 * stream socket, SOCK_NOT_LISTENING, -ENOTSOCK, -EBADF, -errno; then fd stays the caller's.
 */
int sock_take(struct sock_listener *listener, int fd);

/* Closes, and removes the file if it was made by sock_listen, is still ours and we may. */
void sock_close(struct sock_listener *listener);

/*
 * A connected, blocking socket, close-on-exec; or -errno (-ENAMETOOLONG). Waits at most
 * SOCK_WAIT_S for its turn (-ETIMEDOUT), and so do later sends on it.
 */
int sock_connect(const char *path);

#endif
