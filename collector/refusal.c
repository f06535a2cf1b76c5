// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "refusal.h"

#define LOCKDOWN "/sys/kernel/security/lockdown" /* "none integrity [confidentiality]" */

enum {
	NEEDED_MAJOR = 6,
	NEEDED_MINOR = 1,
};

void refusal_of_btf(struct refusal *refusal, int err)
{
	refusal->exit_code = err == -ENOMEM ? 1 : 78;
	refusal->reason = "this kernel has no BTF";
	strcpy(refusal->detail, "/sys/kernel/btf/vmlinux");
}

static bool is_locked_down(void)
{
	char line[64] = "";
	FILE *file = fopen(LOCKDOWN, "re");

	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		*line = '\0';
	fclose(file);
	return strstr(line, "[confidentiality]");
}

static bool is_old(const char *release)
{
	int major, minor;

	if (sscanf(release, "%d.%d", &major, &minor) != 2)
		return false;
	return major < NEEDED_MAJOR || (major == NEEDED_MAJOR && minor < NEEDED_MINOR);
}

static void say_not_permitted(struct refusal *refusal)
{
	refusal->exit_code = 77;
	refusal->reason = "loading BPF programs is not permitted";
	strcpy(refusal->detail, "it takes root, or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN");
}

void refusal_of_loading(struct refusal *refusal, const char *otherwise, int err)
{
	struct utsname kernel = {};

	uname(&kernel);
	refusal->exit_code = err == -ENOMEM ? 1 : 78;
	if (err == -EPERM) {
		say_not_permitted(refusal);
	} else if (err != -ENOMEM && is_locked_down()) {
		refusal->reason = "this kernel is locked down";
		strcpy(refusal->detail,
		       "lockdown=confidentiality forbids BPF programs to read its memory");
	} else if (err != -ENOMEM && is_old(kernel.release)) {
		refusal->reason = "this kernel is too old for netwatch's BPF programs";
		snprintf(refusal->detail, sizeof(refusal->detail),
			 "Linux %d.%d or newer is needed, this is %s", NEEDED_MAJOR, NEEDED_MINOR,
			 kernel.release);
	} else if (err == -EACCES) { /* the verifier's word too, as above, or an LSM's */
		say_not_permitted(refusal);
	} else {
		refusal->reason = otherwise;
		snprintf(refusal->detail, sizeof(refusal->detail), "%s", strerror(-err));
	}
}
