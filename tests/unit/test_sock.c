// SPDX-License-Identifier: GPL-2.0-only
/* The UNIX socket: stale ones are replaced, served ones and other files are not. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "common/sock.h"

#define NO_GROUP ((gid_t)-1)

static char dir[] = "/tmp/netwatch-test-sock.XXXXXX";
static char path[sizeof(dir) + 8]; /* of the socket */

static int make_dir(void **state)
{
	(void)state;
	strcpy(strrchr(dir, '.'), ".XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/socket", dir);
	return 0;
}

static int remove_dir(void **state)
{
	char command[sizeof(dir) + 16];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(name, &st), 0);
	return st.st_mode;
}

static bool is_there(const char *name)
{
	struct stat st;

	return !lstat(name, &st);
}

/* A listening socket of somebody who knows nothing of locks. */
static int listen_plainly(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(sun.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void check_serves(const struct sock_listener *listener)
{
	int client = sock_connect(listener->path), server = accept(listener->fd, NULL, NULL);

	assert_true(client >= 0);
	assert_true(server >= 0);
	assert_int_equal(fcntl(client, F_GETFD), FD_CLOEXEC);
	assert_false(fcntl(client, F_GETFL) & O_NONBLOCK);
	close(client);
	close(server);
}

static void test_listen_and_close(void **state)
{
	struct sock_listener listener;

	(void)state;
	assert_int_equal(sock_connect(path), -ENOENT);
	assert_int_equal(sock_listen(&listener, path, 0666, NO_GROUP), 0);
	assert_string_equal(listener.path, path);
	assert_int_equal(fcntl(listener.fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(listener.lock, F_GETFD), FD_CLOEXEC);
	assert_true(fcntl(listener.fd, F_GETFL) & O_NONBLOCK);
	check_serves(&listener);
	sock_close(&listener);
	assert_int_equal(listener.fd, -1);
	sock_close(&listener);
	assert_false(is_there(path));
	assert_int_equal(sock_listen(&listener, path, 0666, NO_GROUP), 0);
	check_serves(&listener);
	sock_close(&listener);
}

static void test_mode(void **state)
{
	static const mode_t modes[] = {0666, 0660, 0600, 0777};
	struct sock_listener listener;
	mode_t before = umask(0027);

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(sock_listen(&listener, path, modes[i], NO_GROUP), 0);
		assert_int_equal(mode_of(path), S_IFSOCK | modes[i]);
		sock_close(&listener);
	}
	assert_int_equal(umask(before), 0027); /* put back */
}

static void test_group(void **state)
{
	struct sock_listener listener;
	struct stat st;

	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(sock_listen(&listener, path, 0660, 4711), 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_gid, 4711);
	assert_int_equal(st.st_uid, 0);
	sock_close(&listener);
}

/* Who may not give the socket away: that matters only if the group may do more than others. */
static void test_group_of_others(void **state)
{
	static const mode_t indifferent[] = {0666, 0600, 0622};
	struct sock_listener listener;
	struct stat st;

	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(chown(dir, 4712, 4712), 0);
	assert_int_equal(seteuid(4712), 0);
	assert_int_equal(sock_listen(&listener, path, 0660, 4711), SOCK_NOT_MEMBER);
	assert_false(is_there(path));
	for (size_t i = 0; i < sizeof(indifferent) / sizeof(indifferent[0]); i++) {
		assert_int_equal(sock_listen(&listener, path, indifferent[i], 4711), 0);
		assert_int_equal(lstat(path, &st), 0);
		assert_int_equal(st.st_uid, 4712);
		assert_int_not_equal(st.st_gid, 4711);
		sock_close(&listener);
	}
	assert_int_equal(seteuid(0), 0);
}

static void test_stale_socket_is_replaced(void **state)
{
	struct sock_listener listener;

	(void)state;
	close(listen_plainly());
	assert_true(S_ISSOCK(mode_of(path)));
	assert_int_equal(sock_connect(path), -ECONNREFUSED);
	assert_int_equal(sock_listen(&listener, path, 0600, NO_GROUP), 0);
	assert_int_equal(mode_of(path), S_IFSOCK | 0600);
	check_serves(&listener);
	sock_close(&listener);
}

static void test_second_is_refused(void **state)
{
	struct sock_listener first, second = {.fd = 4711};

	(void)state;
	assert_int_equal(sock_listen(&first, path, 0666, NO_GROUP), 0);
	assert_int_equal(sock_listen(&second, path, 0600, NO_GROUP), -EADDRINUSE);
	assert_int_equal(second.fd, 4711);
	assert_int_equal(mode_of(path), S_IFSOCK | 0666);
	check_serves(&first);
	sock_close(&first);
}

static void test_socket_of_others_is_kept(void **state)
{
	struct sock_listener listener;
	int fd = listen_plainly();

	(void)state;
	assert_int_equal(sock_listen(&listener, path, 0666, NO_GROUP), -EADDRINUSE);
	assert_true(is_there(path));
	close(fd);
}

static void test_other_files_are_kept(void **state)
{
	struct sock_listener listener;
	char target[sizeof(path) + 8];
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	(void)state;
	close(fd);
	assert_int_equal(sock_listen(&listener, path, 0666, NO_GROUP), -EEXIST);
	assert_int_equal(mode_of(path), S_IFREG | 0600);
	unlink(path);

	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(sock_listen(&listener, path, 0666, NO_GROUP), -EEXIST);
	rmdir(path);

	snprintf(target, sizeof(target), "%s.target", path);
	assert_int_equal(symlink(target, path), 0); /* dangling */
	assert_int_equal(sock_listen(&listener, path, 0666, NO_GROUP), -EEXIST);
	assert_true(S_ISLNK(mode_of(path)));
	assert_false(is_there(target));
	unlink(path);

	close(listen_plainly());
	assert_int_equal(rename(path, target), 0);
	assert_int_equal(symlink(target, path), 0); /* to a stale socket */
	assert_int_equal(sock_listen(&listener, path, 0666, NO_GROUP), -EEXIST);
	assert_true(S_ISLNK(mode_of(path)) && S_ISSOCK(mode_of(target)));
}

static void test_lock_is_no_symlink(void **state)
{
	struct sock_listener listener;
	char lock[sizeof(path) + 8], target[sizeof(path) + 8];

	(void)state;
	snprintf(lock, sizeof(lock), "%s.lock", path);
	snprintf(target, sizeof(target), "%s.target", path);
	assert_int_equal(symlink(target, lock), 0);
	assert_int_equal(sock_listen(&listener, path, 0666, NO_GROUP), -ELOOP);
	assert_false(is_there(target));
	assert_false(is_there(path));
}

/* At the end only our own file goes. */
static void test_close_keeps_what_is_not_ours(void **state)
{
	struct sock_listener listener;
	int fd;

	(void)state;
	assert_int_equal(sock_listen(&listener, path, 0666, NO_GROUP), 0);
	unlink(path);
	fd = listen_plainly();
	sock_close(&listener);
	assert_true(is_there(path));
	close(fd);
	unlink(path);

	assert_int_equal(sock_listen(&listener, path, 0666, NO_GROUP), 0);
	unlink(path);
	sock_close(&listener); /* gone already */
}

static void test_length_of_path(void **state)
{
	struct sock_listener listener = {.fd = 4711};
	char name[200];
	int n = snprintf(name, sizeof(name), "%s/", dir);

	(void)state;
	memset(name + n, 's', sizeof(name) - (size_t)n);
	name[107] = '\0'; /* the longest that the kernel takes */
	assert_int_equal(sock_listen(&listener, name, 0666, NO_GROUP), 0);
	assert_string_equal(listener.path, name);
	check_serves(&listener);
	sock_close(&listener);
	assert_false(is_there(name));

	listener.fd = 4711;
	name[107] = 's';
	name[108] = '\0';
	assert_int_equal(sock_listen(&listener, name, 0666, NO_GROUP), -ENAMETOOLONG);
	assert_int_equal(sock_connect(name), -ENAMETOOLONG);
	name[108] = 's';
	name[199] = '\0';
	assert_int_equal(sock_listen(&listener, name, 0666, NO_GROUP), -ENAMETOOLONG);
	assert_int_equal(sock_connect(name), -ENAMETOOLONG);
	assert_true(sock_listen(&listener, "", 0666, NO_GROUP) < 0);
	assert_true(sock_connect("") < 0);
	assert_int_equal(listener.fd, 4711);
}

static void test_no_such_folder(void **state)
{
	struct sock_listener listener;
	char name[sizeof(path) + 8];

	(void)state;
	snprintf(name, sizeof(name), "%s/socket", path);
	assert_int_equal(sock_listen(&listener, name, 0666, NO_GROUP), -ENOENT);
	assert_int_equal(sock_connect(name), -ENOENT);
}

/* One that a service manager passes: it serves, and its file stays when it is closed. */
static void test_take(void **state)
{
	struct sock_listener listener = {.fd = -1};
	int fd = listen_plainly();

	(void)state;
	assert_int_equal(sock_take(&listener, fd), 0);
	assert_int_equal(listener.fd, fd);
	assert_string_equal(listener.path, path);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	check_serves(&listener);
	sock_close(&listener);
	assert_true(is_there(path));
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* And nothing else: what it is not for is named, and stays as it was. */
static void test_take_nothing_else(void **state)
{
	static const struct {
		int domain, type, expected;
	} rows[] = {
		{AF_UNIX, SOCK_STREAM, SOCK_NOT_LISTENING}, {AF_UNIX, SOCK_DGRAM, SOCK_NOT_STREAM},
		{AF_UNIX, SOCK_SEQPACKET, SOCK_NOT_STREAM}, {AF_INET, SOCK_STREAM, SOCK_NOT_STREAM},
		{AF_INET6, SOCK_DGRAM, SOCK_NOT_STREAM},
	};
	struct sock_listener listener = {.fd = -1};
	int file = open("/dev/null", O_RDWR);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = socket(rows[i].domain, rows[i].type, 0);

		assert_true(fd >= 0);
		assert_int_equal(sock_take(&listener, fd), rows[i].expected);
		assert_int_equal(fcntl(fd, F_GETFD), 0);
		close(fd);
	}
	assert_int_equal(sock_take(&listener, file), -ENOTSOCK);
	close(file);
	assert_int_equal(sock_take(&listener, file), -EBADF);
	assert_int_equal(listener.fd, -1);
}

/* No descriptor is left behind by what failed. */
static void test_no_leak(void **state)
{
	struct sock_listener listener;
	int before = dup(0), after;

	(void)state;
	close(before);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	for (int i = 0; i < 10; i++) {
		assert_true(sock_connect(path) < 0);
		assert_true(sock_listen(&listener, path, 0666, NO_GROUP) < 0);
	}
	unlink(path);
	assert_int_equal(sock_listen(&listener, path, 0666, NO_GROUP), 0);
	sock_close(&listener);
	after = dup(0);
	close(after);
	assert_int_equal(after, before);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_listen_and_close),
		TEST(test_mode),
		TEST(test_group),
		TEST(test_group_of_others),
		TEST(test_stale_socket_is_replaced),
		TEST(test_second_is_refused),
		TEST(test_socket_of_others_is_kept),
		TEST(test_other_files_are_kept),
		TEST(test_lock_is_no_symlink),
		TEST(test_close_keeps_what_is_not_ours),
		TEST(test_length_of_path),
		TEST(test_no_such_folder),
		TEST(test_take),
		TEST(test_take_nothing_else),
		TEST(test_no_leak),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
