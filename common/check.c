// SPDX-License-Identifier: GPL-2.0-only
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "escape.h"

#define NAME_WIDTH 12
#define HERE_WIDTH 5
#define HOOK_MIN   20 /* narrowest column of hooks, with its gap */
#define HOOK_MAX   40 /* the widest; longer names push their row to the right */
#define LINE_WIDTH 80

/* ------------------------------------------------------------------- table */

struct table {
	FILE *file;
	unsigned column; /* of the line that is being written */
	unsigned hook;	 /* width of the column of hooks */
};

static void new_line(struct table *t)
{
	fputc('\n', t->file);
	t->column = 0;
}

static void spaces_to(struct table *t, unsigned column)
{
	if (t->column < column)
		fprintf(t->file, "%*s", (int)(column - t->column), "");
	t->column = t->column < column ? column : t->column;
}

/* Columns of text when escaped for a terminal; written unless file is NULL. */
static unsigned put_escaped(FILE *file, const char *text, size_t length)
{
	unsigned width = 0;

	for (size_t i = 0, n; i < length; i += n) {
		char unit[ESCAPE_MAX + 1];
		uint32_t rune;
		size_t size;

		n = escape_utf8(text + i, length - i, &rune);
		n = n ? n : 1;
		size = escape_terminal(unit, sizeof(unit), text + i, n);
		if (file)
			fwrite(unit, 1, size, file);
		width += (uint8_t)unit[0] < 0x80 ? (unsigned)size : 1;
	}
	return width;
}

static void put_text(struct table *t, const char *text)
{
	t->column += put_escaped(t->file, text, strlen(text));
}

/* Padded, and with a gap after it in any case. */
static void put_cell(struct table *t, const char *text, unsigned width)
{
	unsigned start = t->column;

	put_text(t, text && *text ? text : "-");
	if (t->column - start >= width)
		spaces_to(t, t->column + 1);
	else
		spaces_to(t, start + width);
}

/* Word by word; what does not fit in the line goes below the column `left`. */
static void put_words(struct table *t, const char *text, unsigned left)
{
	for (bool first = true; *text; first = false) {
		size_t length = strcspn(text, " ");
		unsigned width = put_escaped(NULL, text, length);

		if (!first && t->column + 1 + width > LINE_WIDTH) {
			new_line(t);
			spaces_to(t, left);
		} else if (!first) {
			spaces_to(t, t->column + 1);
		}
		t->column += put_escaped(t->file, text, length);
		text += length;
		text += strspn(text, " ");
	}
}

static void put_line(struct table *t, const char *name, const char *text)
{
	put_cell(t, name, NAME_WIDTH);
	put_text(t, text ? text : "-");
	new_line(t);
}

/* "yes", or why not and what that means. */
static void put_usable(struct table *t, const Netwatch__Facility *f)
{
	unsigned left = NAME_WIDTH + HERE_WIDTH + t->hook;
	const char *reason = f->reason ? f->reason : "no";
	char *both = NULL;

	if (f->usable)
		put_text(t, "yes");
	else if (!f->without || asprintf(&both, "%s; without it: %s", reason, f->without) < 0)
		put_words(t, reason, left);
	else
		put_words(t, both, left);
	free(both);
	new_line(t);
}

static void put_category(struct table *t, const Netwatch__CategoryCheck *category)
{
	put_cell(t, category->name, NAME_WIDTH);
	put_cell(t, category->available ? "yes" : "no", HERE_WIDTH);
	for (size_t i = 0; i < category->n_hook; i++) {
		spaces_to(t, NAME_WIDTH + HERE_WIDTH);
		put_cell(t, category->hook[i]->name, t->hook);
		put_usable(t, category->hook[i]);
	}
	if (category->n_hook)
		return;
	if (category->reason)
		put_words(t, category->reason, NAME_WIDTH + HERE_WIDTH);
	else
		put_text(t, "-");
	new_line(t);
}

static unsigned hook_width(const Netwatch__Check *check)
{
	unsigned width = HOOK_MIN;

	for (size_t i = 0; i < check->n_category; i++) {
		const Netwatch__CategoryCheck *category = check->category[i];

		for (size_t k = 0; k < category->n_hook; k++) {
			const char *name = category->hook[k]->name ?: "";
			unsigned own = put_escaped(NULL, name, strlen(name)) + 1;

			if (own > width && own <= HOOK_MAX)
				width = own;
		}
	}
	return width;
}

static void put_table(FILE *file, const Netwatch__Check *check)
{
	struct table t = {.file = file, .hook = hook_width(check)};

	put_line(&t, "version", check->version);
	put_line(&t, "kernel", check->kernel);
	new_line(&t);
	put_cell(&t, "CATEGORY", NAME_WIDTH);
	put_cell(&t, "HERE", HERE_WIDTH);
	put_cell(&t, "HOOK", t.hook);
	put_text(&t, "USABLE, OR WHY NOT");
	new_line(&t);
	for (size_t i = 0; i < check->n_category; i++)
		put_category(&t, check->category[i]);
	new_line(&t);
	put_cell(&t, "FOR ALL CATEGORIES", NAME_WIDTH + HERE_WIDTH + t.hook);
	put_text(&t, "USABLE, OR WHY NOT");
	new_line(&t);
	for (size_t i = 0; i < check->n_facility; i++) {
		put_cell(&t, check->facility[i]->name, NAME_WIDTH + HERE_WIDTH + t.hook);
		put_usable(&t, check->facility[i]);
	}
}

/* -------------------------------------------------------------------- JSON */

static void put_string(FILE *file, const char *text)
{
	size_t length = strlen(text);

	fputc('"', file);
	for (size_t i = 0; i < length;) {
		char unit[ESCAPE_JSON_MAX], *end = unit;

		i += escape_json_unit(&end, text + i, length - i);
		fwrite(unit, 1, (size_t)(end - unit), file);
	}
	fputc('"', file);
}

static void put_message(FILE *file, const ProtobufCMessage *message);

/* A member as it stands in the struct, or one element of a list. */
static void put_value(FILE *file, const ProtobufCFieldDescriptor *field, const void *value)
{
	if (field->type == PROTOBUF_C_TYPE_BOOL)
		fputs(*(const protobuf_c_boolean *)value ? "true" : "false", file);
	else if (field->type == PROTOBUF_C_TYPE_STRING)
		put_string(file, *(char *const *)value);
	else
		put_message(file, *(const ProtobufCMessage *const *)value);
}

static void put_list(FILE *file, const ProtobufCFieldDescriptor *field, const void *list, size_t n)
{
	const void *const *elements = *(const void *const *const *)list;

	for (size_t i = 0; i < n; i++) {
		fputc(i ? ',' : '[', file);
		put_value(file, field, &elements[i]);
	}
	fputc(']', file);
}

/* How many there are of a field: of one that is not repeated, 0 or 1. */
static size_t count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const char *at = (const char *)message;

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)(const void *)(at + field->quantifier_offset);
	if (field->type == PROTOBUF_C_TYPE_BOOL)
		return *(const protobuf_c_boolean *)(const void *)(at + field->quantifier_offset);
	return *(void *const *)(const void *)(at + field->offset) != NULL;
}

/* Knows the kinds of fields that Check has: bool, string, message; only messages and strings
 * are repeated. */
static void put_message(FILE *file, const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	char separator = '{';

	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		const void *member = (const char *)message + field->offset;
		size_t n = count(message, field);

		if (!n)
			continue;
		fprintf(file, "%c\"%s\":", separator, field->name);
		separator = ',';
		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			put_list(file, field, member, n);
		else
			put_value(file, field, member);
	}
	fputs(separator == '{' ? "{}" : "}", file);
}

static void put_json(FILE *file, const Netwatch__Check *check)
{
	put_message(file, &check->base);
	fputc('\n', file);
}

/* --------------------------------------------------------------- interface */

static char *print(const Netwatch__Check *check,
		   void (*put)(FILE *file, const Netwatch__Check *check))
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	bool failed;

	if (!file)
		return NULL;
	put(file, check);
	failed = ferror(file);
	if (!fclose(file) && !failed)
		return text;
	free(text);
	return NULL;
}

char *check_table(const Netwatch__Check *check)
{
	return print(check, put_table);
}

char *check_json(const Netwatch__Check *check)
{
	return print(check, put_json);
}
