// SPDX-License-Identifier: GPL-2.0-only
/* What is blamed when loading failed, by the error and the kernel's release. */
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include "cmocka_all.h"
#include "collector/refusal.h"

#define ELSE "something else"

static const char *release;

/* Instead of libc's. */
int uname(struct utsname *name)
{
	memset(name, 0, sizeof(*name));
	strcpy(name->release, release);
	return 0;
}

static const struct {
	const char *release;
	int err;
	int exit_code;
	const char *reason; /* part of it, as of the detail */
	const char *detail;
} cases[] = {
	{"5.10.0-32-cloud-amd64", -EINVAL, 78, "too old", "Linux 6.1 or newer"},
	{"5.10.0-32-cloud-amd64", -EINVAL, 78, "too old", "this is 5.10.0-32-cloud-amd64"},
	{"6.0.19", -EINVAL, 78, "too old", "Linux 6.1 or newer"},
	{"4.19", -E2BIG, 78, "too old", "Linux 6.1 or newer"},
	{"5.10.0", -EACCES, 78, "too old", "Linux 6.1 or newer"},
	{"5.10.0", -EPERM, 77, "not permitted", "CAP_BPF"},
	{"5.10.0", -ENOMEM, 1, ELSE, "Cannot allocate memory"},
	{"6.1.0-50-cloud-amd64", -EINVAL, 78, ELSE, "Invalid argument"},
	{"6.1", -EINVAL, 78, ELSE, "Invalid argument"},
	{"6.18.44", -EACCES, 77, "not permitted", "CAP_PERFMON"},
	{"7.0.1", -EPERM, 77, "not permitted", "CAP_NET_ADMIN"},
	{"10.0", -EINVAL, 78, ELSE, "Invalid argument"},
	{"6", -EINVAL, 78, ELSE, "Invalid argument"},
	{"", -EINVAL, 78, ELSE, "Invalid argument"},
};

static void test_of_loading(void **state)
{
	struct refusal refusal;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		release = cases[i].release;
		refusal_of_loading(&refusal, ELSE, cases[i].err);
		assert_int_equal(refusal.exit_code, cases[i].exit_code);
		assert_non_null(strstr(refusal.reason, cases[i].reason));
		assert_non_null(strstr(refusal.detail, cases[i].detail));
	}
}

/* As long as a release can be, it is told whole. */
static void test_long_release(void **state)
{
	struct utsname name;
	char longest[sizeof(name.release)];
	struct refusal refusal;

	(void)state;
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "5.4.", 4);
	longest[sizeof(longest) - 1] = '\0';
	release = longest;
	refusal_of_loading(&refusal, ELSE, -EINVAL);
	assert_non_null(strstr(refusal.detail, longest));
}

static void test_of_btf(void **state)
{
	struct refusal refusal;

	(void)state;
	refusal_of_btf(&refusal, -ESRCH);
	assert_int_equal(refusal.exit_code, 78);
	assert_non_null(strstr(refusal.reason, "BTF"));
	refusal_of_btf(&refusal, -ENOMEM);
	assert_int_equal(refusal.exit_code, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_loading),
		cmocka_unit_test(test_long_release),
		cmocka_unit_test(test_of_btf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
