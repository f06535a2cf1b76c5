// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loopback TCP traffic whose CPU time can be compared: one thread of one process holds both
 * ends of each connection, in a network namespace of its own, so that nearly all that a
 * segment costs, the receive side and attached BPF programs included, is this thread's time.
 *
 * traffic PORT [CPU] reads one command per line and answers each with one line of JSON:
 *
 *   rr N     N ping-pongs of 64 bytes on one connection
 *   crr N    N times connect, 64 bytes each way, close
 *   bulk N   N times 64 KiB, on one connection
 *   idle N   N connections more are held open until this process ends
 *   stats    the kernel measures the run time of BPF programs until this process ends;
 *            tells what an empty program is charged
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bpfstats.h"

#define MESSAGE_BYTES 64
#define BULK_BYTES    65536
#define BUFFER_BYTES  (8 * BULK_BYTES) /* of sockets, so that one thread can be both ends */
#define OPS_MAX	      4000000	       /* of one command; more is an error */

struct traffic {
	struct sockaddr_in address;
	int listener;
	uint32_t *ns; /* CPU time of each operation of the command that runs */
};

static int64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int write_file(const char *path, const char *text)
{
	ssize_t size = strlen(text);
	int fd, r = 0;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, size) != size)
		r = -errno;
	close(fd);
	return r;
}

/*
 * Needs CAP_SYS_ADMIN. With all ports usable, a port comes again only after more than a
 * second, when the kernel lets a new connection take the place of its TIME_WAIT.
 */
static int enter_own_netns(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd, r = 0;

	if (unshare(CLONE_NEWNET))
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCSIFFLAGS, &request))
		r = -errno;
	close(fd);
	if (r)
		return r;
	return write_file("/proc/sys/net/ipv4/ip_local_port_range", "1024 65535");
}

static int pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

static int traffic_listen(struct traffic *t, uint16_t port)
{
	t->address = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	t->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (t->listener < 0)
		return -errno;
	if (bind(t->listener, (struct sockaddr *)&t->address, sizeof(t->address)) ||
	    listen(t->listener, 16))
		return -errno;
	return 0;
}

static int open_pair(const struct traffic *t, int pair[2])
{
	const int on = 1;
	int r;

	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (pair[0] < 0)
		return -errno;
	if (setsockopt(pair[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
	    connect(pair[0], (const struct sockaddr *)&t->address, sizeof(t->address)))
		goto fail;
	pair[1] = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC);
	if (pair[1] >= 0)
		return 0;
fail:
	r = -errno;
	close(pair[0]);
	return r;
}

static void close_pair(const int pair[2])
{
	close(pair[0]);
	close(pair[1]);
}

static int send_over(int from, int to)
{
	char message[MESSAGE_BYTES] = {0};

	if (send(from, message, sizeof(message), MSG_NOSIGNAL) != sizeof(message) ||
	    recv(to, message, sizeof(message), MSG_WAITALL) != sizeof(message))
		return errno ? -errno : -EIO;
	return 0;
}

static int ping_pong(const int pair[2])
{
	int r;

	r = send_over(pair[0], pair[1]);
	return r ? r : send_over(pair[1], pair[0]);
}

static int run_rr(struct traffic *t, size_t count)
{
	int64_t before, after;
	int pair[2], r;

	r = open_pair(t, pair);
	before = now_ns(CLOCK_THREAD_CPUTIME_ID);
	for (size_t i = 0; i < count && !r; i++) {
		r = ping_pong(pair);
		after = now_ns(CLOCK_THREAD_CPUTIME_ID);
		t->ns[i] = after - before;
		before = after;
	}
	if (!r)
		close_pair(pair);
	return r;
}

static int set_buffers(const int pair[2])
{
	const int size = BUFFER_BYTES;

	if (setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(pair[1], SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		return -errno;
	return 0;
}

static int bulk_over(int from, int to)
{
	static char data[BULK_BYTES];

	if (send(from, data, sizeof(data), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(data) ||
	    recv(to, data, sizeof(data), MSG_WAITALL) != sizeof(data))
		return errno ? -errno : -EIO;
	return 0;
}

static int run_bulk(struct traffic *t, size_t count)
{
	int64_t before, after;
	int pair[2], r;

	r = open_pair(t, pair);
	if (r)
		return r;
	r = set_buffers(pair);
	before = now_ns(CLOCK_THREAD_CPUTIME_ID);
	for (size_t i = 0; i < count && !r; i++) {
		r = bulk_over(pair[0], pair[1]);
		after = now_ns(CLOCK_THREAD_CPUTIME_ID);
		t->ns[i] = after - before;
		before = after;
	}
	close_pair(pair);
	return r;
}

static int run_crr(struct traffic *t, size_t count)
{
	int64_t before, after;
	int pair[2], r = 0;

	before = now_ns(CLOCK_THREAD_CPUTIME_ID);
	for (size_t i = 0; i < count && !r; i++) {
		r = open_pair(t, pair);
		if (r)
			break;
		r = ping_pong(pair);
		close_pair(pair);
		after = now_ns(CLOCK_THREAD_CPUTIME_ID);
		t->ns[i] = after - before;
		before = after;
	}
	return r;
}

static const struct mode {
	const char *name;
	int (*run)(struct traffic *t, size_t count);
} modes[] = {
	{"rr", run_rr},
	{"crr", run_crr},
	{"bulk", run_bulk},
};

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void print_times(uint32_t *ns, size_t count, int64_t wall_ns)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += ns[i];
	qsort(ns, count, sizeof(*ns), compare);
	printf("{\"ops\":%zu,\"p10\":%u,\"p50\":%u,\"mean\":%.1f,\"wall\":%.1f}\n", count,
	       ns[count / 10], ns[count / 2], (double)sum / count, (double)wall_ns / count);
}

static int run_mode(struct traffic *t, const struct mode *mode, size_t count)
{
	int64_t start;
	int r;

	t->ns = calloc(count, sizeof(*t->ns));
	if (!t->ns)
		return -ENOMEM;
	start = now_ns(CLOCK_MONOTONIC);
	r = mode->run(t, count);
	if (!r)
		print_times(t->ns, count, now_ns(CLOCK_MONOTONIC) - start);
	free(t->ns);
	return r;
}

static int run_stats(void)
{
	double ns;
	int r;

	r = bpfstats_enable();
	if (!r)
		r = bpfstats_empty(&ns);
	if (!r)
		printf("{\"empty\":%.1f}\n", ns);
	return r;
}

static int run_idle(const struct traffic *t, size_t count)
{
	struct rlimit limit;
	int pair[2], r = 0;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	for (size_t i = 0; i < count && !r; i++)
		r = open_pair(t, pair);
	if (!r)
		printf("{\"idle\":%zu}\n", count);
	return r;
}

static int run_command(struct traffic *t, const char *line)
{
	char name[8];
	size_t count;

	if (!strcmp(line, "stats\n"))
		return run_stats();
	if (sscanf(line, "%7s %zu", name, &count) != 2 || !count || count > OPS_MAX)
		return -EINVAL;
	if (!strcmp(name, "idle"))
		return run_idle(t, count);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(name, modes[i].name))
			return run_mode(t, &modes[i], count);
	return -EINVAL;
}

static int set_up(struct traffic *t, int argc, char **argv)
{
	int r;

	if (argc < 2)
		return -EINVAL;
	r = enter_own_netns();
	if (!r)
		r = traffic_listen(t, atoi(argv[1]));
	if (!r && argc > 2)
		r = pin_to(atoi(argv[2]));
	return r;
}

int main(int argc, char **argv)
{
	struct traffic t = {.listener = -1};
	char line[64];
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	r = set_up(&t, argc, argv);
	if (r) {
		fprintf(stderr, "traffic: cannot set up: %s\n", strerror(-r));
		return 1;
	}
	while (fgets(line, sizeof(line), stdin)) {
		r = run_command(&t, line);
		if (r) {
			fprintf(stderr, "traffic: %.*s: %s\n", (int)strcspn(line, "\n"), line,
				strerror(-r));
			return 1;
		}
	}
	return 0;
}
