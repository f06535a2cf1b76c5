// SPDX-License-Identifier: GPL-2.0-only
/* How a check is printed: golden text, hostile text, and what is absent. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "common/check.h"

#define COLUMNS 80

static char *text(const char *constant)
{
	return (char *)(uintptr_t)constant;
}

/* A check with one category that has two hooks, one that has none, and one facility. */
struct sample {
	Netwatch__Check check;
	Netwatch__CategoryCheck category[2], *categories[2];
	Netwatch__Facility hook[2], *hooks[2], facility, *facilities[1];
};

static void sample_init(struct sample *s)
{
	netwatch__check__init(&s->check);
	s->check.version = text("0.1.0");
	s->check.kernel = text("6.1.0-13-amd64");
	s->check.category = s->categories;
	s->check.n_category = 2;
	s->check.facility = s->facilities;
	s->check.n_facility = 1;
	for (int i = 0; i < 2; i++) {
		s->categories[i] = &s->category[i];
		netwatch__category_check__init(&s->category[i]);
		s->hooks[i] = &s->hook[i];
		netwatch__facility__init(&s->hook[i]);
	}
	s->facilities[0] = &s->facility;
	netwatch__facility__init(&s->facility);
	s->category[0].name = text("conn");
	s->category[0].has_available = s->category[0].available = 1;
	s->category[0].hook = s->hooks;
	s->category[0].n_hook = 2;
	s->hook[0].name = text("tp_btf/inet_sock_set_state");
	s->hook[0].has_usable = s->hook[0].usable = 1;
	s->hook[1].name = text("tp_btf/tcp_rcv_space_adjust");
	s->hook[1].has_usable = 1;
	s->hook[1].reason = text("this kernel has no such tracepoint");
	s->hook[1].without = text("it comes late");
	s->category[1].name = text("packet");
	s->category[1].has_available = 1;
	s->category[1].reason = text("not in this version");
	s->facility.name = text("BTF");
	s->facility.has_usable = s->facility.usable = 1;
}

static void expect(char *printed, const char *golden)
{
	assert_non_null(printed);
	assert_string_equal(printed, golden);
	free(printed);
}

static void table(void **state)
{
	struct sample s;

	(void)state;
	sample_init(&s);
	expect(check_table(&s.check),
	       "version     0.1.0\n"
	       "kernel      6.1.0-13-amd64\n"
	       "\n"
	       "CATEGORY    HERE HOOK                        USABLE, OR WHY NOT\n"
	       "conn        yes  tp_btf/inet_sock_set_state  yes\n"
	       "                 tp_btf/tcp_rcv_space_adjust this kernel has no such tracepoint;\n"
	       "                                             without it: it comes late\n"
	       "packet      no   not in this version\n"
	       "\n"
	       "FOR ALL CATEGORIES                           USABLE, OR WHY NOT\n"
	       "BTF                                          yes\n");
}

static void json(void **state)
{
	struct sample s;

	(void)state;
	sample_init(&s);
	expect(check_json(&s.check),
	       "{\"version\":\"0.1.0\",\"kernel\":\"6.1.0-13-amd64\",\"category\":["
	       "{\"name\":\"conn\",\"available\":true,\"hook\":["
	       "{\"name\":\"tp_btf/inet_sock_set_state\",\"usable\":true},"
	       "{\"name\":\"tp_btf/tcp_rcv_space_adjust\",\"usable\":false,"
	       "\"reason\":\"this kernel has no such tracepoint\",\"without\":\"it comes late\"}]},"
	       "{\"name\":\"packet\",\"available\":false,\"reason\":\"not in this version\"}],"
	       "\"facility\":[{\"name\":\"BTF\",\"usable\":true}]}\n");
}

/* Of a collector that says less: nothing is made up, and no field is needed. */
static void absent(void **state)
{
	Netwatch__Check nothing = NETWATCH__CHECK__INIT;
	Netwatch__CategoryCheck category = NETWATCH__CATEGORY_CHECK__INIT;
	Netwatch__CategoryCheck *categories[] = {&category, &category};
	Netwatch__Facility facility = NETWATCH__FACILITY__INIT;
	Netwatch__Facility *facilities[] = {&facility};

	(void)state;
	expect(check_json(&nothing), "{}\n");
	expect(check_table(&nothing), "version     -\n"
				      "kernel      -\n"
				      "\n"
				      "CATEGORY    HERE HOOK                USABLE, OR WHY NOT\n"
				      "\n"
				      "FOR ALL CATEGORIES                   USABLE, OR WHY NOT\n");
	category.hook = facilities;
	category.n_hook = 1;
	nothing.category = categories;
	nothing.n_category = 2;
	expect(check_json(&nothing), "{\"category\":[{\"hook\":[{}]},{\"hook\":[{}]}]}\n");
	category.n_hook = 0;
	nothing.facility = facilities;
	nothing.n_facility = 1;
	expect(check_table(&nothing), "version     -\n"
				      "kernel      -\n"
				      "\n"
				      "CATEGORY    HERE HOOK                USABLE, OR WHY NOT\n"
				      "-           no   -\n"
				      "-           no   -\n"
				      "\n"
				      "FOR ALL CATEGORIES                   USABLE, OR WHY NOT\n"
				      "-                                    no\n");
}

static void hostile_json(void **state)
{
	Netwatch__Check check = NETWATCH__CHECK__INIT;

	(void)state;
	check.version = text("\x1b[2J\"\\\n\x7f");
	check.kernel = text("\xff\xe2\x80\xae\xc2\x9b\xc3\xa9\xed\xa0\x80");
	expect(check_json(&check),
	       "{\"version\":\"\\u001b[2J\\\"\\\\\\u000a\\u007f\","
	       "\"kernel\":\"\\\\xff\\u202e\\u009b\xc3\xa9\\\\xed\\\\xa0\\\\x80\"}\n");
}

static void hostile_line(const char *hostile, const char *escaped)
{
	Netwatch__Check check = NETWATCH__CHECK__INIT;
	char *printed, *end;

	check.version = text(hostile);
	printed = check_table(&check);
	assert_non_null(printed);
	end = strchr(printed, '\n');
	assert_non_null(end);
	*end = '\0';
	assert_string_equal(printed + strlen("version     "), escaped);
	free(printed);
}

static void hostile_table(void **state)
{
	(void)state;
	hostile_line("\x1b]0;owned\x07", "\\x1b]0;owned\\x07");
	hostile_line("a\nb\rc\td\x7f", "a\\x0ab\\x0dc\\x09d\\x7f");
	hostile_line("\xff\xc3", "\\xff\\xc3");
	hostile_line("\xe2\x80\xae\xe2\x80\xa8", "\\u{202e}\\u{2028}");
	hostile_line("\xf0\x9f\x90\xa7 caf\xc3\xa9", "\xf0\x9f\x90\xa7 caf\xc3\xa9");
	hostile_line("\xc2\x9b", "\\x9b");
}

/* Code points of the widest line. */
static size_t widest(const char *lines)
{
	size_t width = 0, most = 0;

	for (; *lines; lines++) {
		width = *lines == '\n' ? 0 : width + ((*lines & 0xc0) != 0x80);
		most = width > most ? width : most;
	}
	return most;
}

static void check_width(const Netwatch__Check *check)
{
	char *printed = check_table(check);

	assert_non_null(printed);
	if (widest(printed) > COLUMNS)
		fail_msg("wider than %d columns:\n%s", COLUMNS, printed);
	free(printed);
}

/* Words of any length, up to what fits a column, at every place. */
static void lines_fit(void **state)
{
	char words[256];
	struct sample s;

	(void)state;
	for (size_t step = 2; step < 30; step++) {
		memset(words, 'w', sizeof(words));
		for (size_t i = step; i < sizeof(words); i += step)
			words[i] = ' ';
		words[sizeof(words) - 1] = '\0';
		for (size_t length = 0; length < 100; length++) {
			sample_init(&s);
			s.hook[1].reason = words + sizeof(words) - 1 - length;
			s.hook[1].without = s.hook[1].reason;
			s.category[1].reason = words;
			s.facility.usable = 0;
			s.facility.reason = words;
			check_width(&s.check);
		}
	}
}

/* Columns stay apart however long a name is, and in UTF-8 too. */
static void long_names(void **state)
{
	char name[200] = "";
	char *printed;
	struct sample s;

	(void)state;
	sample_init(&s);
	memset(name, 'n', sizeof(name) - 1);
	s.category[0].name = s.hook[0].name = s.facility.name = name;
	printed = check_table(&s.check);
	assert_non_null(printed);
	assert_non_null(strstr(printed, "n yes  nnn"));
	assert_non_null(strstr(printed, "n yes\n"));
	assert_non_null(strstr(printed, "\n                 tp_btf/tcp_rcv_space_adjust this"));
	free(printed);
	s.facility.name = text("\xc3\xa9\xc3\xa9\xc3\xa9");
	printed = check_table(&s.check);
	assert_non_null(printed);
	assert_non_null(strstr(
		printed,
		"\n\xc3\xa9\xc3\xa9\xc3\xa9                                          yes\n"));
	free(printed);
}

/* The JSON printer knows these kinds. A field of another one needs a case there. */
static void check_kinds(const ProtobufCMessageDescriptor *type)
{
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;

		if (field->type == PROTOBUF_C_TYPE_MESSAGE)
			check_kinds(field->descriptor);
		else if (field->type != PROTOBUF_C_TYPE_STRING &&
			 (field->type != PROTOBUF_C_TYPE_BOOL || repeated))
			fail_msg("%s.%s", type->name, field->name);
		assert_false(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF);
	}
}

static void kinds(void **state)
{
	(void)state;
	check_kinds(&netwatch__check__descriptor);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),	 cmocka_unit_test(json),
		cmocka_unit_test(absent),	 cmocka_unit_test(hostile_json),
		cmocka_unit_test(hostile_table), cmocka_unit_test(lines_fit),
		cmocka_unit_test(long_names),	 cmocka_unit_test(kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
