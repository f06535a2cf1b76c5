// SPDX-License-Identifier: GPL-2.0-only
// The files of log: heads, whole lines inside of pages, rotation, what a crash or a full disk left.
#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/logfile.h"

#define NAME  "x.log"
#define HEAD  "# HELP x Text.\n# TYPE x gauge\n"
#define LIMIT LOGFILE_SIZE_MIN

static char path[64];
static int dir;

static int open_it(struct logfile *file)
{
	return logfile_open(file, dir, NAME, "x", "Text.", LIMIT);
}

static int add(struct logfile *file, const char *value, size_t length)
{
	struct prom prom;

	logfile_begin(file, &prom);
	prom_text(&prom, "v", value, length, PROM_CUT_MAX);
	return logfile_end(file, &prom);
}

static char *content(const char *name)
{
	static char data[2 * LIMIT];
	int fd = openat(dir, name, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, data, sizeof(data) - 1);
	assert_true(n >= 0);
	close(fd);
	data[n] = '\0';
	return data;
}

static void put_content(const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static bool exists(const char *name)
{
	return !faccessat(dir, name, F_OK, 0);
}

static void lines(void **state)
{
	struct logfile file;

	(void)state;
	assert_int_equal(open_it(&file), 0);
	assert_string_equal(content(NAME), HEAD);
	assert_int_equal(add(&file, "a", 1), 0);
	assert_int_equal(add(&file, "b", 1), 0);
	assert_string_equal(content(NAME), HEAD);
	assert_int_equal(logfile_flush(&file), 0);
	assert_string_equal(content(NAME), HEAD "x{v=\"a\",offset=\"30\"} 1\n"
						"x{v=\"b\",offset=\"53\"} 1\n");
	assert_int_equal(logfile_close(&file), 0);
}

/* What the file says about itself: each line begins where its label says, and crosses no page. */
static void check_places(const char *text)
{
	const char *line = text + strlen(HEAD), *end;
	unsigned long offset;

	assert_memory_equal(text, HEAD, strlen(HEAD));
	for (; *line; line = end + 1) {
		end = strchr(line, '\n');
		assert_non_null(end);
		assert_int_equal((line - text) / LOGFILE_PAGE, (end - text) / LOGFILE_PAGE);
		if (*line == '#' || line == end)
			continue;
		assert_memory_equal(end - 3, "} 1", 3);
		assert_int_equal(sscanf(strstr(line, "offset="), "offset=\"%lu\"", &offset), 1);
		assert_int_equal(offset, line - text);
	}
}

/* Lines of every length, flushed at any time. */
static void pages(void **state)
{
	char value[PROM_CUT_MAX];
	struct logfile file;

	(void)state;
	memset(value, 'v', sizeof(value));
	assert_int_equal(open_it(&file), 0);
	for (unsigned i = 0; i < 400; i++) {
		assert_int_equal(add(&file, value, i * 37 % 1000), 0);
		if (i % 7 == 0)
			assert_int_equal(logfile_flush(&file), 0);
	}
	assert_int_equal(logfile_close(&file), 0);
	check_places(content(NAME));
	for (unsigned i = 1; exists(i == 1 ? NAME ".1" : NAME ".2") && i < 3; i++)
		check_places(content(i == 1 ? NAME ".1" : NAME ".2"));
}

/* A page that is exactly full is followed by the next. */
static void full_page(void **state)
{
	struct logfile file;
	char value[PROM_CUT_MAX];

	(void)state;
	memset(value, 'v', sizeof(value));
	for (size_t last = 900; last < 1100; last++) {
		unlinkat(dir, NAME, 0);
		assert_int_equal(open_it(&file), 0);
		assert_int_equal(add(&file, value, 1500), 0);
		assert_int_equal(add(&file, value, 1400), 0);
		assert_int_equal(add(&file, value, last), 0);
		for (unsigned i = 0; i < 5; i++)
			assert_int_equal(add(&file, value, 1000), 0);
		assert_int_equal(logfile_close(&file), 0);
		check_places(content(NAME));
	}
}

static void too_long(void **state)
{
	char value[PROM_CUT_MAX];
	struct logfile file;

	(void)state;
	memset(value, '"', sizeof(value));
	assert_int_equal(open_it(&file), 0);
	assert_int_equal(add(&file, value, sizeof(value)), -EMSGSIZE);
	assert_int_equal(add(&file, "a", 1), 0);
	assert_int_equal(logfile_close(&file), 0);
	assert_string_equal(content(NAME), HEAD "x{v=\"a\",offset=\"30\"} 1\n");
}

static void rotation(void **state)
{
	char value[1000], name[16];
	struct logfile file;
	struct stat st;

	(void)state;
	memset(value, 'v', sizeof(value));
	assert_int_equal(open_it(&file), 0);
	for (unsigned i = 0; i < 8 * LIMIT / sizeof(value); i++) {
		snprintf(value, 9, "%08u", i);
		assert_int_equal(add(&file, value, sizeof(value)), 0);
	}
	assert_int_equal(logfile_close(&file), 0);
	check_places(content(NAME));
	for (unsigned i = 1; i <= LOGFILE_OLD; i++) {
		snprintf(name, sizeof(name), NAME ".%u", i);
		assert_int_equal(fstatat(dir, name, &st, 0), 0);
		assert_true(st.st_size <= LIMIT && st.st_size > LIMIT / 2);
		check_places(content(name));
	}
	snprintf(name, sizeof(name), NAME ".%u", LOGFILE_OLD + 1);
	assert_false(exists(name));
	assert_false(exists(NAME ".new"));
}

static void restart(void **state)
{
	struct logfile file;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(open_it(&file), 0);
		assert_int_equal(add(&file, "a", 1), 0);
		assert_int_equal(logfile_close(&file), 0);
	}
	assert_string_equal(content(NAME), HEAD "x{v=\"a\",offset=\"30\"} 1\n"
						"x{v=\"a\",offset=\"53\"} 1\n");
	assert_false(exists(NAME ".1"));
}

/* Of a crash. */
static void cut_line(void **state)
{
	struct logfile file;

	(void)state;
	put_content(NAME, HEAD "x{v=\"a\",offset=\"30\"} 1\nx{v=\"b");
	assert_int_equal(open_it(&file), 0);
	assert_int_equal(logfile_close(&file), 0);
	assert_string_equal(content(NAME), HEAD "x{v=\"a\",offset=\"30\"} 1\n");
}

/* The seed's file, an empty one, and half a head give way. */
static void foreign(void **state)
{
	static const char *const texts[] = {"packet{sock=\"0x1\"} 0\n", "", "# HELP x Te"};
	struct logfile file;

	(void)state;
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put_content(NAME, texts[i]);
		assert_int_equal(open_it(&file), 0);
		assert_int_equal(logfile_close(&file), 0);
		assert_string_equal(content(NAME), HEAD);
		assert_string_equal(content(NAME ".1"), texts[i]);
	}
}

/* A link that somebody laid there is not followed. */
static void no_links(void **state)
{
	struct logfile file;

	(void)state;
	put_content("other", "text\n");
	assert_int_equal(symlinkat("other", dir, NAME), 0);
	assert_int_equal(open_it(&file), -ELOOP);
	assert_int_equal(logfile_close(&file), 0);
	unlinkat(dir, NAME, 0);
	assert_int_equal(mkdirat(dir, NAME, 0700), 0);
	assert_int_not_equal(open_it(&file), 0);
	assert_int_equal(logfile_close(&file), 0);
	assert_int_equal(unlinkat(dir, NAME, AT_REMOVEDIR), 0);
	assert_string_equal(content("other"), "text\n");
	unlinkat(dir, "other", 0);
}

/* What a full disk takes of a line is taken back. */
static void full_disk(void **state)
{
	const struct rlimit small = {LIMIT / 2 + 100, RLIM_INFINITY};
	struct rlimit before;
	struct logfile file;
	char value[900];
	int err = 0;

	(void)state;
	memset(value, 'v', sizeof(value));
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(open_it(&file), 0);
	setrlimit(RLIMIT_FSIZE, &small);
	for (unsigned i = 0; i < 100 && !err; i++)
		err = add(&file, value, sizeof(value));
	assert_int_equal(err, -EFBIG);
	assert_int_equal(logfile_close(&file), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	check_places(content(NAME));
}

static void whole(void **state)
{
	struct logfile_whole file;

	(void)state;
	put_content(NAME, "before\n");
	assert_int_equal(logfile_whole_begin(&file, dir, NAME), 0);
	output_text(&file.output, "after\n");
	assert_string_equal(content(NAME), "before\n");
	assert_int_equal(logfile_whole_end(&file, 0), 0);
	assert_string_equal(content(NAME), "after\n");
	assert_int_equal(logfile_whole_begin(&file, dir, NAME), 0);
	assert_int_equal(logfile_whole_end(&file, -EIO), -EIO);
	assert_string_equal(content(NAME), "after\n");
	assert_false(exists(NAME ".new"));
}

static int setup(void **state)
{
	(void)state;
	strcpy(path, "/tmp/nw-logfile-XXXXXX");
	if (!mkdtemp(path))
		return -1;
	dir = open(path, O_RDONLY | O_DIRECTORY);
	return dir < 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {NAME,      NAME ".1", NAME ".2",
					    NAME ".3", NAME ".4", NAME ".new"};

	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(dir, names[i], 0);
	close(dir);
	return rmdir(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lines),	TEST(pages),	 TEST(full_page), TEST(too_long),
		TEST(rotation), TEST(restart),	 TEST(cut_line),  TEST(foreign),
		TEST(no_links), TEST(full_disk), TEST(whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
