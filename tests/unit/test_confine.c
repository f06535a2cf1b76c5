// SPDX-License-Identifier: GPL-2.0-only
/* What a confined process can still do and what not, in all its threads. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/sockios.h>

#include "cmocka_all.h"
#include "collector/confine.h"

#define ALLOWED 0
#define FAILS	1 /* the exit code of a process in which something was not as it must be */

static int pair[2];
static int event;

static long try_socket(int domain, int type)
{
	return syscall(SYS_socket, domain, type, 0);
}

static long try_bpf(enum bpf_cmd command)
{
	union bpf_attr attr;

	memset(&attr, 0xff, sizeof(attr)); /* no such descriptor, no such type */
	return syscall(SYS_bpf, command, &attr, sizeof(attr));
}

static long try_mmap(int protection)
{
	void *memory = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? -1 : 0;
}

static long try_mprotect(int protection)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(memory, 4096, protection);
}

static long try_ioctl(unsigned long request)
{
	char room[64] = "lo";

	return ioctl(pair[0], request, room);
}

/* errno of what was tried, with ALLOWED where it was done, or failed for another reason. */
static int refused(long result)
{
	return result < 0 && errno == EPERM ? EPERM : ALLOWED;
}

struct attempt {
	const char *name;
	long (*call)(void);
	int expected;
};

#define CALL(name, expression)             \
	static long call_##name(void)      \
	{                                  \
		return (long)(expression); \
	}

CALL(inet, try_socket(AF_INET, SOCK_STREAM))
CALL(unix, try_socket(AF_UNIX, SOCK_STREAM))
CALL(netlink, try_socket(AF_NETLINK, SOCK_RAW))
CALL(packet, try_socket(AF_PACKET, SOCK_RAW))
CALL(open, openat(AT_FDCWD, "/dev/null", O_RDONLY))
CALL(execve, execl("/bin/true", "true", NULL))
CALL(fork, syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0))
CALL(kill, kill(getpid(), 0))
CALL(setns, syscall(SYS_setns, -1, 0))
CALL(unshare, syscall(SYS_unshare, 0))
CALL(ptrace, syscall(SYS_ptrace, PTRACE_ATTACH, 0, 0, 0))
CALL(recvmsg, syscall(SYS_recvmsg, pair[0], NULL, 0)) /* descriptors of others */
CALL(interface, try_ioctl(SIOCGIFFLAGS))
CALL(executable, try_mmap(PROT_READ | PROT_EXEC))
CALL(made_executable, try_mprotect(PROT_READ | PROT_EXEC))
CALL(prog_load, try_bpf(BPF_PROG_LOAD))
CALL(map_create, try_bpf(BPF_MAP_CREATE))
CALL(btf_load, try_bpf(BPF_BTF_LOAD))
CALL(prog_by_id, try_bpf(BPF_PROG_GET_FD_BY_ID))
CALL(obj_get, try_bpf(BPF_OBJ_GET))
CALL(obj_pin, try_bpf(BPF_OBJ_PIN))
CALL(prog_attach, try_bpf(BPF_PROG_ATTACH))
CALL(fionread, try_ioctl(FIONREAD))
CALL(map_update, try_bpf(BPF_MAP_UPDATE_ELEM))
CALL(link_create, try_bpf(BPF_LINK_CREATE))
CALL(iter_create, try_bpf(BPF_ITER_CREATE))
CALL(memory, try_mmap(PROT_READ | PROT_WRITE))
CALL(accept, accept4(pair[0], NULL, NULL, 0))
CALL(send, send(pair[0], "x", 1, MSG_DONTWAIT))

#define REFUSED(name)                     \
	{                                 \
#name, call_##name, EPERM \
	}
#define KEPT(name)                          \
	{                                   \
#name, call_##name, ALLOWED \
	}

static const struct attempt attempts[] = {
	REFUSED(inet),	      REFUSED(unix),	   REFUSED(netlink),
	REFUSED(packet),      REFUSED(open),	   REFUSED(execve),
	REFUSED(fork),	      REFUSED(kill),	   REFUSED(setns),
	REFUSED(unshare),     REFUSED(ptrace),	   REFUSED(recvmsg),
	REFUSED(interface),   REFUSED(executable), REFUSED(made_executable),
	REFUSED(prog_load),   REFUSED(map_create), REFUSED(btf_load),
	REFUSED(prog_by_id),  REFUSED(obj_get),	   REFUSED(obj_pin),
	REFUSED(prog_attach), KEPT(fionread),	   KEPT(map_update),
	KEPT(link_create),    KEPT(iter_create),   KEPT(memory),
	KEPT(accept),	      KEPT(send),
};

#define N (sizeof(attempts) / sizeof(attempts[0]))

/* Tells by the exit code, since a filter is for ever. */
static int exit_code_of(int (*body)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child)
		_exit(body());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int confine_here(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || confine();
}

static int all_attempts(void)
{
	for (size_t i = 0; i < N; i++) {
		if (refused(attempts[i].call()) == attempts[i].expected)
			continue;
		fprintf(stderr, "%s\n", attempts[i].name);
		return FAILS;
	}
	return 0;
}

static int body_of_confined(void)
{
	return confine_here() ? FAILS : all_attempts();
}

/* Without the filter none of the attempts is refused so, or they would tell nothing. */
static int body_of_free(void)
{
	static const char *const ends_us[] = {"execve", "fork"};

	for (size_t i = 0; i < N; i++) {
		const struct attempt *a = &attempts[i];

		if (strcmp(a->name, ends_us[0]) && strcmp(a->name, ends_us[1]) &&
		    refused(a->call()) != ALLOWED && !geteuid()) {
			fprintf(stderr, "%s\n", a->name);
			return FAILS;
		}
	}
	return 0;
}

static void *run_thread(void *arg)
{
	uint64_t one;

	(void)arg;
	if (read(event, &one, sizeof(one)) != sizeof(one))
		return (void *)FAILS;
	return (void *)(intptr_t)all_attempts();
}

static int body_of_threads(void)
{
	const uint64_t one = 1;
	pthread_t thread;
	void *result;

	event = eventfd(0, 0);
	if (event < 0 || pthread_create(&thread, NULL, run_thread, NULL) || confine_here() ||
	    write(event, &one, sizeof(one)) != sizeof(one) || pthread_join(thread, &result))
		return FAILS;
	return (int)(intptr_t)result;
}

static void test_confined(void **state)
{
	(void)state;
	assert_int_equal(exit_code_of(body_of_confined), 0);
}

static void test_not_confined(void **state)
{
	(void)state;
	assert_int_equal(exit_code_of(body_of_free), 0);
}

static void test_thread_of_before(void **state)
{
	(void)state;
	assert_int_equal(exit_code_of(body_of_threads), 0);
}

static int begin(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_confined),
		cmocka_unit_test(test_confined),
		cmocka_unit_test(test_thread_of_before),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
