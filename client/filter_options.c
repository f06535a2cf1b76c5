// SPDX-License-Identifier: GPL-2.0-only
// Filters: each kind of value in a function that checks it and puts it into its set.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cgroup.h"
#include "escape.h"
#include "filter_options.h"
#include "filter_set.h"
#include "log.h"
#include "number.h"
#include "ports.h"
#include "prefix.h"

#define COMM_MAX  15 /* bytes: the kernel cuts longer names */
#define PID_MAX	  4194304
#define NETNS_DIR "/run/netns"

const char filter_no_memory[] = "out of memory";

void *filter_grow(void *array, size_t *count, size_t size)
{
	char *grown;

	memcpy(&grown, array, sizeof(grown)); /* whatever it points to */
	grown = realloc(grown, (*count + 1) * size);
	if (!grown)
		return NULL;
	memcpy(array, &grown, sizeof(grown));
	return memset(grown + (*count)++ * size, 0, size);
}

void *filter_member(void *message, size_t target, const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage **member = (ProtobufCMessage **)((char *)message + target);

	if (!*member) {
		*member = malloc(type->sizeof_message);
		if (*member)
			protobuf_c_message_init(type, *member);
	}
	return *member;
}

static void *set_at(struct filter_options *filter, size_t target,
		    const ProtobufCMessageDescriptor *type)
{
	return filter_member(filter->message, target, type);
}

static const char *add_ports(struct filter_options *filter, size_t target, bool negate,
			     const char *text)
{
	Netwatch__PortSet *set = set_at(filter, target, &netwatch__port_set__descriptor);
	Netwatch__PortRange *range, **slot;
	uint16_t first, last;
	const char *reason = ports_parse(text, &first, &last);

	if (reason)
		return reason;
	range = malloc(sizeof(*range));
	slot = range ? FILTER_APPEND(set, negate) : NULL;
	if (!slot) {
		free(range);
		return filter_no_memory;
	}
	netwatch__port_range__init(range);
	range->has_first = true;
	range->first = first;
	range->has_last = last != first;
	range->last = last;
	*slot = range;
	return NULL;
}

static const char *add_prefix(struct filter_options *filter, size_t target, bool negate,
			      const char *text)
{
	Netwatch__PrefixSet *set = set_at(filter, target, &netwatch__prefix_set__descriptor);
	struct prefix prefix;
	const char *reason = prefix_parse(text, &prefix);
	Netwatch__Prefix *message, **slot;
	uint8_t *address;

	if (reason)
		return reason;
	message = malloc(sizeof(*message));
	address = malloc(prefix.size);
	slot = message && address ? FILTER_APPEND(set, negate) : NULL;
	if (!slot) {
		free(message);
		free(address);
		return filter_no_memory;
	}
	netwatch__prefix__init(message);
	memcpy(address, prefix.address, prefix.size);
	message->has_address = true;
	message->address.data = address;
	message->address.len = prefix.size;
	message->has_length = prefix.length != 8 * prefix.size;
	message->length = prefix.length;
	*slot = message;
	return NULL;
}

static const char *add_number(struct filter_options *filter, size_t target, bool negate,
			      uint64_t number)
{
	Netwatch__NumberSet *set = set_at(filter, target, &netwatch__number_set__descriptor);
	uint64_t *slot = FILTER_APPEND(set, negate);

	if (!slot)
		return filter_no_memory;
	*slot = number;
	return NULL;
}

static const char *add_pid(struct filter_options *filter, size_t target, bool negate,
			   const char *text)
{
	uint64_t pid;

	if (number_parse(text, strlen(text), 1, PID_MAX, &pid))
		return "1 to 4194304";
	return add_number(filter, target, negate, pid);
}

static const char *add_user(struct filter_options *filter, size_t target, bool negate,
			    const char *text)
{
	struct passwd *user;
	uint64_t uid;
	int err = number_parse(text, strlen(text), 0, UINT32_MAX - 1, &uid);

	if (!err)
		return add_number(filter, target, negate, uid);
	if (err == -ERANGE)
		return "0 to 4294967294";
	user = getpwnam(text);
	if (!user)
		return "no such user";
	return add_number(filter, target, negate, user->pw_uid);
}

bool filter_is_utf8(const char *text, size_t size)
{
	uint32_t rune;

	for (size_t i = 0, n; i < size; i += n) {
		n = escape_utf8(text + i, size - i, &rune);
		if (!n)
			return false;
	}
	return true;
}

static const char *add_name(struct filter_options *filter, size_t target, bool negate,
			    const char *text)
{
	Netwatch__StringSet *set = set_at(filter, target, &netwatch__string_set__descriptor);
	size_t length = strnlen(text, COMM_MAX);
	char **slot, *copy;

	if (!filter_is_utf8(text, length))
		return "not UTF-8";
	if (text[length])
		log_warn("the kernel keeps %d bytes of a name: watching \"%.*s\"", COMM_MAX,
			 COMM_MAX, text);
	copy = strndup(text, length);
	slot = copy ? FILTER_APPEND(set, negate) : NULL;
	if (!slot) {
		free(copy);
		return filter_no_memory;
	}
	*slot = copy;
	return NULL;
}

/* NULL, or why path is no network namespace. */
static const char *find_namespace(const char *path, uint64_t *id)
{
	const char *reason = NULL;
	struct statfs fs;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || fstatfs(fd, &fs) || fstat(fd, &st))
		reason = strerror(errno);
	else if (fs.f_type != NSFS_MAGIC || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		reason = "it is none";
	else
		*id = st.st_ino;
	if (fd >= 0)
		close(fd);
	return reason;
}

static const char *add_namespace(struct filter_options *filter, size_t target, bool negate,
				 const char *text)
{
	const char *reason = NULL;
	char path[PATH_MAX];
	uint64_t id;

	if (number_parse(text, strlen(text), 1, UINT32_MAX, &id)) {
		snprintf(path, sizeof(path), "%s%s", strchr(text, '/') ? "" : NETNS_DIR "/", text);
		reason = find_namespace(path, &id);
	}
	return reason ? reason : add_number(filter, target, negate, id);
}

/* Only at the end it is known whether it has to exist here. */
static const char *add_cgroup(struct filter_options *filter, size_t target, bool negate,
			      const char *text)
{
	char *path = strdup(text);
	struct filter_cgroup *slot =
		path ? filter_grow(&filter->cgroups, &filter->cgroup_count, sizeof(*slot)) : NULL;

	(void)target;
	if (!slot) {
		free(path);
		return filter_no_memory;
	}
	*slot = (struct filter_cgroup){.path = path, .negate = negate};
	return NULL;
}

static const char *choose(struct filter_choice *choice, bool negate, unsigned value)
{
	*(negate ? &choice->none : &choice->any) |= 1u << value;
	return NULL;
}

const char *const filter_role_words[] = {"client", "server", NULL};

static const char *add_role(struct filter_options *filter, size_t target, bool negate,
			    const char *text)
{
	static const Netwatch__Role roles[] = {NETWATCH__ROLE__CLIENT, NETWATCH__ROLE__SERVER};

	(void)target;
	for (unsigned i = 0; filter_role_words[i]; i++) {
		if (!strcmp(text, filter_role_words[i]))
			return choose(&filter->role, negate, roles[i]);
	}
	return "client or server";
}

/* The option has no argument: its target is the family. */
static const char *add_family(struct filter_options *filter, size_t target, bool negate,
			      const char *text)
{
	(void)text;
	return choose(&filter->family, negate, (unsigned)target);
}

const struct filter_kind filter_ports = {"port", add_ports};
const struct filter_kind filter_prefixes = {"address", add_prefix};
const struct filter_kind filter_pids = {"pid", add_pid};
const struct filter_kind filter_names = {"name", add_name};
const struct filter_kind filter_users = {"user", add_user};
const struct filter_kind filter_roles = {"role", add_role};
const struct filter_kind filter_families = {"family", add_family};
const struct filter_kind filter_namespaces = {"network namespace", add_namespace};
const struct filter_kind filter_cgroups = {"cgroup", add_cgroup};

int filter_options_init(struct filter_options *filter)
{
	*filter = (struct filter_options){.message = malloc(sizeof(*filter->message))};
	if (!filter->message)
		return -ENOMEM;
	netwatch__filter__init(filter->message);
	return 0;
}

void filter_options_deinit(struct filter_options *filter)
{
	if (filter->message)
		netwatch__filter__free_unpacked(filter->message, NULL);
	for (size_t i = 0; i < filter->cgroup_count; i++)
		free(filter->cgroups[i].path);
	free(filter->cgroups);
	*filter = (struct filter_options){.message = NULL};
}

const char *filter_options_add(struct filter_options *filter, const struct filter_kind *kind,
			       size_t target, bool negate, const char *list, const char **item)
{
	static char text[PATH_MAX];

	for (;;) {
		size_t length = strcspn(list, ",");
		const char *reason = "too long";

		if (length < sizeof(text))
			reason = length ? NULL : "it is empty";
		snprintf(text, sizeof(text), "%.*s", (int)length, list);
		if (!reason)
			reason = kind->add(filter, target, negate, text);
		if (reason) {
			*item = text;
			return reason;
		}
		if (!list[length])
			return NULL;
		list += length + 1;
	}
}

/* What remains of all values; the list of the message is left empty when that is all. */
static int settle(const struct filter_choice *choice, unsigned all, int **list, size_t *count)
{
	unsigned left = (choice->any ? choice->any : all) & ~choice->none;

	if (!left)
		return -EINVAL;
	for (unsigned value = 0; left != all && left >> value; value++) {
		int *slot = left >> value & 1 ? filter_grow(list, count, sizeof(**list)) : NULL;

		if (slot)
			*slot = (int)value;
		else if (left >> value & 1)
			return -ENOMEM;
	}
	return 0;
}

/* NULL, or the reason. */
static const char *find_cgroup(const char *path, uint64_t *id)
{
	int err = cgroup_id(path, id);

	if (!err)
		return NULL;
	if (err == -ENODEV)
		return "no cgroup2 file system is mounted";
	return err == -ENOTDIR ? "not a directory of the cgroup2 file system" : strerror(-err);
}

static const char *place_cgroup(struct filter_cgroup *cgroup)
{
	char *path = cgroup_below_root(cgroup->path);

	if (!path)
		return filter_no_memory;
	free(cgroup->path);
	cgroup->path = path;
	return NULL;
}

static const char *settle_cgroups(struct filter_options *filter, bool by_path)
{
	static char message[PATH_MAX + 128];

	for (size_t i = 0; i < filter->cgroup_count; i++) {
		struct filter_cgroup *cgroup = &filter->cgroups[i];
		const char *reason;
		uint64_t id = i + 1;

		reason = by_path ? place_cgroup(cgroup) : find_cgroup(cgroup->path, &id);
		if (reason) {
			snprintf(message, sizeof(message), "bad cgroup \"%s\" in --cgroup: %s",
				 cgroup->path, reason);
			return message;
		}
		reason = add_number(filter, offsetof(Netwatch__Filter, cgroup), cgroup->negate, id);
		if (reason)
			return reason;
	}
	return NULL;
}

const char *filter_options_finish(struct filter_options *filter, bool by_path)
{
	Netwatch__Filter *message = filter->message;
	int err =
		settle(&filter->family, 1u << NETWATCH__FAMILY__IPV4 | 1u << NETWATCH__FAMILY__IPV6,
		       (int **)&message->family, &message->n_family);

	if (err)
		return err == -ENOMEM ? filter_no_memory : "-4 and -6 together leave no family";
	err = settle(&filter->role, 1u << NETWATCH__ROLE__CLIENT | 1u << NETWATCH__ROLE__SERVER,
		     (int **)&message->role, &message->n_role);
	if (err)
		return err == -ENOMEM ? filter_no_memory
				      : "the --role options together leave no role";
	return settle_cgroups(filter, by_path);
}
