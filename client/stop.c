// SPDX-License-Identifier: GPL-2.0-only
// The end of the program as three states, moved on by signals alone.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "stop.h"

#define GRACE_S 1 /* for what is still on its way */

static volatile sig_atomic_t state, last, by_terminal;
static sigset_t inherited, outside, ours; /* signal masks: at first, while waiting, and else */
static bool pipe_ignored;		  /* by us */

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (number != SIGALRM || state == STOP_NO) {
		last = number == SIGALRM ? SIGTERM : number;
		by_terminal = number != SIGALRM && info->si_code == SI_KERNEL;
	}
	if (state < STOP_NOW)
		state++;
	alarm(GRACE_S); /* again and again: one that comes just before a system call is not lost */
}

void stop_init(void)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	static const int numbers[] = {SIGINT, SIGTERM, SIGALRM};

	sigemptyset(&ours);
	sigemptyset(&action.sa_mask);
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaddset(&ours, numbers[i]);
		sigaddset(&action.sa_mask, numbers[i]);
	}
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
	sigprocmask(SIG_BLOCK, &ours, &inherited);
	outside = inherited;
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigdelset(&outside, numbers[i]);
}

enum stop stop_state(void)
{
	return (enum stop)state;
}

void stop_ask(void)
{
	if (state != STOP_NO)
		return;
	state = STOP_ASKED;
	alarm(GRACE_S);
}

void stop_after(uint64_t milliseconds)
{
	struct itimerval timer = {
		.it_value.tv_sec = (time_t)(milliseconds / 1000),
		.it_value.tv_usec = (suseconds_t)(milliseconds % 1000 * 1000),
	};

	if (state == STOP_NO)
		setitimer(ITIMER_REAL, &timer, NULL);
}

int stop_take_signal(bool *send)
{
	int number = last;

	last = 0;
	*send = !by_terminal;
	return number;
}

void stop_keep_blocked(const sigset_t *signals)
{
	sigorset(&outside, &outside, signals);
	sigprocmask(SIG_BLOCK, signals, NULL);
}

const sigset_t *stop_inherited(void)
{
	return &inherited;
}

void stop_ignore_pipe(void)
{
	struct sigaction action;

	sigaction(SIGPIPE, NULL, &action);
	pipe_ignored = action.sa_handler != SIG_IGN;
	signal(SIGPIPE, SIG_IGN);
}

void stop_by_pipe(void)
{
	if (pipe_ignored)
		signal(SIGPIPE, SIG_DFL);
	raise(SIGPIPE);
}

void stop_defaults(sigset_t *signals)
{
	sigemptyset(signals);
	if (pipe_ignored)
		sigaddset(signals, SIGPIPE);
}

int stop_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	struct timespec time = {timeout / 1000, timeout % 1000 * 1000000L};
	int ready = ppoll(fds, count, timeout < 0 ? NULL : &time, &outside);

	if (ready < 0)
		return -errno;
	/* ppoll lets no signal in while there is always something to read */
	sigprocmask(SIG_SETMASK, &outside, NULL);
	sigprocmask(SIG_BLOCK, &ours, NULL);
	return ready;
}

int stop_open(const char *path, int flags, mode_t mode)
{
	int fd, err;

	do {
		sigprocmask(SIG_SETMASK, &outside, NULL);
		fd = state == STOP_NO ? open(path, flags, mode) : -1;
		err = state == STOP_NO ? errno : ECANCELED;
		sigprocmask(SIG_BLOCK, &ours, NULL);
	} while (fd < 0 && err == EINTR);
	return fd < 0 ? -err : fd;
}

ssize_t stop_write(int fd, const void *data, size_t size)
{
	ssize_t n;
	int err;

	do {
		sigprocmask(SIG_SETMASK, &outside, NULL);
		n = write(fd, data, size);
		err = errno;
		sigprocmask(SIG_BLOCK, &ours, NULL);
	} while (n < 0 && err == EINTR && state != STOP_NOW);
	if (n >= 0)
		return n;
	return err == EINTR ? -ECANCELED : -err;
}
