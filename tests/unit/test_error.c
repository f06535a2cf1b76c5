// SPDX-License-Identifier: GPL-2.0-only
/* The reasons that the category tells are those that the protocol's comment and the manual list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "collector/category/error.h"
#include "common/kernel_side.h"

#define PROTOCOL "proto/netwatch.proto"
#define MANUAL	 "doc/netwatch.1"
#define NAME	 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

static const char *const kinds[] = {
	[NW_ERROR_SEQUENCE] = "SEQUENCE: ",
	[NW_ERROR_CHECKSUM] = "CHECKSUM: ",
	[NW_ERROR_DROP] = "DROP: ",
};

static char *read_all(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	if (!file)
		fail_msg("%s: cannot be opened", path);
	if (getdelim(&text, &size, '\0', file) < 0)
		fail_msg("%s: cannot be read", path);
	fclose(file);
	return text;
}

/* The comment on TcpError.reason, as one line. */
static char *read_comment(void)
{
	char *text = read_all(PROTOCOL), *comment, *out;
	char *end = strstr(strstr(text, "message TcpError"), "  optional string reason");
	char *begin = end - 2;

	while (begin > text && strncmp(begin, "\n  optional", 11))
		begin--;
	*end = '\0';
	comment = out = strdup(begin + 1);
	for (const char *p = strstr(comment, "  // "); p && *p;) {
		if (!strncmp(p, "\n  // ", 6)) {
			*out++ = ' ';
			p += 6;
		} else {
			*out++ = *p++;
		}
	}
	*out = '\0';
	free(text);
	return comment;
}

/* The next name of a list that ends with a full stop; NULL: there is none. */
static char *next_name(char **list)
{
	char *name = *list;
	size_t length = strspn(name, NAME);

	if (!length)
		return NULL;
	*list = name[length] == ',' ? name + length + 2 : name + length;
	name[length] = '\0';
	return name;
}

static void test_protocol_lists_the_reasons(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
		char *comment = read_comment(), *list;
		const char *reason;
		unsigned own;

		list = kinds[kind] ? strstr(comment, kinds[kind]) : NULL;
		if (!list) {
			assert_null(kinds[kind]);
			free(comment);
			continue;
		}
		list += strlen(kinds[kind]);
		for (size_t i = 0; (reason = error_reason(i, &own)); i++) {
			char *named = own == kind ? next_name(&list) : NULL;

			if (own == kind && (!named || strcmp(named, reason)))
				fail_msg("%s%s instead of %s", kinds[kind], named, reason);
		}
		assert_null(next_name(&list));
		free(comment);
	}
}

static void test_manual_names_them(void **state)
{
	char *page = read_all(MANUAL);
	const char *reason;
	char line[64];
	unsigned kind;

	(void)state;
	for (size_t i = 0; (reason = error_reason(i, &kind)); i++) {
		snprintf(line, sizeof(line), "\n.BR %s ", reason);
		if (!strstr(page, line))
			fail_msg("%s does not name %s", MANUAL, reason);
	}
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_protocol_lists_the_reasons),
		cmocka_unit_test(test_manual_names_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
