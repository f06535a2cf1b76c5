// SPDX-License-Identifier: GPL-2.0-only
/* The table of categories and the schema say the same, and so do the kernel side's numbers. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "cmocka_all.h"
#include "collector/category.h"
#include "collector/http/head.h"
#include "common/kernel_side.h"
#include "collector/wire.h"
#include "common/names.h"
#include "netwatch.pb-c.h"

#include "bpf/retransmit.h"

static bool is_category(const ProtobufCFieldDescriptor *field)
{
	return field->type == PROTOBUF_C_TYPE_MESSAGE && strcmp(field->name, "time") &&
	       strcmp(field->name, "connection");
}

static void test_rows_are_members_of_event(void **state)
{
	(void)state;
	assert_int_equal(n_categories, NW_CATEGORIES);
	for (size_t i = 0; i < n_categories; i++) {
		const struct category *row = categories[i];
		const ProtobufCFieldDescriptor *field;

		assert_non_null(row);
		field = protobuf_c_message_descriptor_get_field_by_name(
			&netwatch__event__descriptor, row->name);
		if (!field || !is_category(field))
			fail_msg("netwatch.Event has no category \"%s\"", row->name);
		assert_int_equal(row->field, field->id);
		assert_int_equal(field->type, PROTOBUF_C_TYPE_MESSAGE);
		assert_ptr_equal(category_find(row->name), row);
		assert_true(!row->write != !row->maker);
		assert_true(row->wants && row->wants < 1ULL << NW_WANTS);
	}
}

static void test_members_of_event_are_rows(void **state)
{
	const ProtobufCMessageDescriptor *event = &netwatch__event__descriptor;
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < event->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &event->fields[i];

		if (!is_category(field) || !strcmp(field->name, "lost"))
			continue;
		if (!category_find(field->name))
			fail_msg("category \"%s\" has no row", field->name);
		n++;
	}
	assert_int_equal(n, n_categories);
}

/* Some hook is needed, or nothing could say whether the kernel offers it. */
static void test_hooks(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_categories; i++) {
		const struct category_hook *hook = categories[i]->hooks;
		unsigned needed = 0;

		assert_non_null(hook);
		for (; hook->name; hook++) {
			assert_non_null(strchr(hook->name, '/'));
			needed += !hook->without;
		}
		if (!needed)
			fail_msg("%s needs no hook", categories[i]->name);
	}
}

/* `check` shows every category, so the list of all names has those of this collector. */
static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_categories; i++)
		assert_non_null(names_category(categories[i]->name));
	for (size_t i = 0; i < names_n_categories; i++)
		assert_ptr_equal(names_category(names_categories[i]), names_categories[i]);
	assert_null(names_category("lost"));
	assert_null(names_category(""));
}

static void test_no_such_category(void **state)
{
	static const char *const names[] = {"", "lost", "Conn", "con", "conn ", "time", "event"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_null(category_find(names[i]));
}

static void test_options_of_conn(void **state)
{
	const struct category *conn = category_find("conn");
	Netwatch__Subscribe subscribe = NETWATCH__SUBSCRIBE__INIT;

	(void)state;
	assert_non_null(conn);
	assert_int_equal(conn->wants, 1ULL << NW_WANT_CONN);
	assert_int_equal(conn->options(&subscribe), 0);
	subscribe.closed = 1; /* not has_closed */
	assert_int_equal(conn->options(&subscribe), 0);
	subscribe.has_closed = 1;
	assert_int_equal(conn->options(&subscribe), 1ULL << NW_WANT_CONN_CLOSE);
	subscribe.closed = 0;
	assert_int_equal(conn->options(&subscribe), 0);
}

/* What category tcpinfo tells is counted by the programs of this one. */
static void test_who_needs_retransmit(void **state)
{
	const struct category *row = category_find("retransmit");

	(void)state;
	assert_non_null(row);
	assert_int_equal(row->wants, 1ULL << NW_WANT_RETRANSMIT);
	assert_true(row->also & 1ULL << NW_WANT_TCPINFO);
}

static void check_number(const ProtobufCEnumDescriptor *descriptor, const char *name, int number)
{
	const ProtobufCEnumValue *value =
		protobuf_c_enum_descriptor_get_value_by_name(descriptor, name);

	if (!value || value->value != number)
		fail_msg("%s.%s is not %d", descriptor->name, name, number);
}

struct number {
	const char *name;
	int number;
};

static void check_numbers(const ProtobufCEnumDescriptor *descriptor, const struct number *numbers,
			  size_t n)
{
	assert_int_equal(descriptor->n_value_names, n);
	for (size_t i = 0; i < n; i++)
		check_number(descriptor, numbers[i].name, numbers[i].number);
}

#define CHECK_NUMBERS(descriptor, ...)                                                    \
	do {                                                                              \
		static const struct number numbers[] = {__VA_ARGS__};                     \
                                                                                          \
		check_numbers(descriptor, numbers, sizeof(numbers) / sizeof(numbers[0])); \
	} while (0)

/* Numbers of records go to the wire as they are. */
static void test_numbers_of_records(void **state)
{
	(void)state;
	CHECK_NUMBERS(&netwatch__conn__stage__descriptor, {"EXISTING", NW_CONN_EXISTING},
		      {"OPEN", NW_CONN_OPEN}, {"ESTABLISHED", NW_CONN_ESTABLISHED},
		      {"FAILED", NW_CONN_FAILED}, {"CLOSE", NW_CONN_CLOSE});
	CHECK_NUMBERS(&netwatch__conn__closer__descriptor, {"LOCAL", NW_CLOSED_LOCAL},
		      {"REMOTE", NW_CLOSED_REMOTE}, {"RESET_SENT", NW_CLOSED_RESET_SENT},
		      {"RESET_RECEIVED", NW_CLOSED_RESET_RECEIVED}, {"TIMEOUT", NW_CLOSED_TIMEOUT});
	CHECK_NUMBERS(&netwatch__http__kind__descriptor, {"REQUEST", HTTP_REQUEST},
		      {"RESPONSE", HTTP_RESPONSE});
	CHECK_NUMBERS(&netwatch__role__descriptor, {"CLIENT", NW_ROLE_CLIENT},
		      {"SERVER", NW_ROLE_SERVER});
	CHECK_NUMBERS(&netwatch__tcp__state__descriptor, {"ESTABLISHED", TCP_ESTABLISHED},
		      {"SYN_SENT", TCP_SYN_SENT}, {"SYN_RECV", TCP_SYN_RECV},
		      {"FIN_WAIT1", TCP_FIN_WAIT1}, {"FIN_WAIT2", TCP_FIN_WAIT2},
		      {"TIME_WAIT", TCP_TIME_WAIT}, {"CLOSE", TCP_CLOSE},
		      {"CLOSE_WAIT", TCP_CLOSE_WAIT}, {"LAST_ACK", TCP_LAST_ACK},
		      {"LISTEN", TCP_LISTEN}, {"CLOSING", TCP_CLOSING}, {"NEW_SYN_RECV", 12});
	CHECK_NUMBERS(&netwatch__retransmit__cause__descriptor, {"FAST", NW_CAUSE_FAST},
		      {"TIMEOUT", NW_CAUSE_TIMEOUT}, {"TAIL_LOSS_PROBE", NW_CAUSE_TAIL_LOSS_PROBE},
		      {"SYN", NW_CAUSE_SYN}, {"SYN_ACK", NW_CAUSE_SYN_ACK},
		      {"SLOW_START", NW_CAUSE_SLOW_START});
	/* 0 would be a value that is absent. */
	CHECK_NUMBERS(&netwatch__ca__state__descriptor, {"OPEN", TCP_CA_Open + 1},
		      {"DISORDER", TCP_CA_Disorder + 1}, {"CWR", TCP_CA_CWR + 1},
		      {"RECOVERY", TCP_CA_Recovery + 1}, {"LOSS", TCP_CA_Loss + 1});
}

static void test_head_alone_is_refused(void **state)
{
	struct nw_record head = {.time_ns = 0};
	uint8_t buffer[64];

	(void)state;
	for (size_t i = 0; i < n_categories; i++) {
		struct wire w = {.data = buffer, .size = sizeof(buffer)};

		if (categories[i]->write)
			assert_false(categories[i]->write(&w, &head, sizeof(head)));
		else
			assert_false(categories[i]->maker->take(&head, sizeof(head), NULL, NULL));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_are_members_of_event),
		cmocka_unit_test(test_members_of_event_are_rows),
		cmocka_unit_test(test_hooks),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_no_such_category),
		cmocka_unit_test(test_options_of_conn),
		cmocka_unit_test(test_who_needs_retransmit),
		cmocka_unit_test(test_numbers_of_records),
		cmocka_unit_test(test_head_alone_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
