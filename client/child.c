// SPDX-License-Identifier: GPL-2.0-only
// Starting, ending and waiting for COMMAND.
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "exit.h"
#include "log.h"
#include "stop.h"

extern char **environ;

static int spawn(pid_t *pid, char *const words[])
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t defaults;
	int err = posix_spawn_file_actions_init(&actions);

	if (err)
		return err;
	err = posix_spawnattr_init(&attributes);
	if (err)
		goto out;
	stop_defaults(&defaults);
	posix_spawnattr_setsigmask(&attributes, stop_inherited());
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	err = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	if (!err)
		err = posix_spawnp(pid, words[0], &actions, &attributes, words, environ);
	posix_spawnattr_destroy(&attributes);
out:
	posix_spawn_file_actions_destroy(&actions);
	return err;
}

/* Whether a file of that name is in PATH, as far as one may look. */
static bool is_in_path(const char *name)
{
	const char *dir = getenv("PATH");
	char path[PATH_MAX];

	for (; dir; dir = *dir ? dir + 1 : NULL) {
		int length = (int)strcspn(dir, ":");

		snprintf(path, sizeof(path), "%.*s/%s", length, length ? dir : ".", name);
		if (!access(path, F_OK))
			return true;
		dir += length;
	}
	return false;
}

int child_start(struct child *child, char *const words[])
{
	int err = spawn(&child->pid, words);

	/* A directory of PATH that is not for us says nothing about COMMAND. */
	if (err == EACCES && !strchr(words[0], '/') && !is_in_path(words[0]))
		err = ENOENT;

	if (!err) {
		child->fd = pidfd_open(child->pid, 0);
		if (child->fd >= 0)
			return 0;
		err = errno;
		kill(child->pid, SIGTERM);
		waitpid(child->pid, NULL, 0);
	}
	child->pid = 0;
	log_error("cannot run \"%s\": %s", words[0], strerror(err));
	child->status = err == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
	return child->status;
}

void child_pass_signal(struct child *child)
{
	bool send;
	int number = child->fd < 0 ? 0 : stop_take_signal(&send);

	if (!number)
		return;
	child->sent |= 1ull << number;
	if (send)
		pidfd_send_signal(child->fd, number, NULL, 0);
}

void child_reap(struct child *child)
{
	int status;

	if (waitpid(child->pid, &status, 0) != child->pid)
		status = 0; /* whoever started us ignores SIGCHLD: nobody knows */
	close(child->fd);
	child->fd = -1;
	if (WIFEXITED(status))
		child->status = WEXITSTATUS(status);
	else if (WIFSIGNALED(status) && !(child->sent >> WTERMSIG(status) & 1))
		child->status = EXIT_BY_SIGNAL + WTERMSIG(status);
}

void child_wait(struct child *child)
{
	while (child->fd >= 0) {
		struct pollfd end = {.fd = child->fd, .events = POLLIN};

		child_pass_signal(child);
		if (stop_poll(&end, 1, -1) > 0)
			child_reap(child);
	}
}
