/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parser of heads against another one (libhttp-parser). Where the two differ it is on
 * purpose, in one of the ways of the tables below.
 */
#ifndef NETWATCH_TESTS_HTTP_ORACLE_H
#define NETWATCH_TESTS_HTTP_ORACLE_H

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Both have names for the two kinds. */
#define HTTP_REQUEST  THEIR_REQUEST
#define HTTP_RESPONSE THEIR_RESPONSE
#include <http_parser.h>
#undef HTTP_REQUEST
#undef HTTP_RESPONSE

#include "collector/http/head.h"
#include "collector/http/target.h"

/* What the other parser says. */
struct other {
	char url[12288], status[12288], field[12288], value[12288];
	char host[12288], user_agent[12288], content_type[12288];
	bool has_host, has_user_agent, has_content_type;
	bool in_value, complete;
	enum http_errno error;
	http_parser parser;
};

static struct other other;
static struct http_head head;

static void add(char *to, const char *text, size_t length)
{
	strncat(to, text, length); /* compared only where we found no NUL */
}

static void keep(char *to, const char *name)
{
	char *end = other.value + strlen(other.value);

	if (strcasecmp(other.field, name) || to[0])
		return;
	while (end > other.value && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	strcpy(to, other.value);
}

static void end_header(void)
{
	keep(other.host, "host");
	keep(other.user_agent, "user-agent");
	keep(other.content_type, "content-type");
	other.field[0] = other.value[0] = '\0';
	other.in_value = false;
}

static int on_url(http_parser *p, const char *text, size_t length)
{
	(void)p;
	add(other.url, text, length);
	return 0;
}

static int on_status(http_parser *p, const char *text, size_t length)
{
	(void)p;
	add(other.status, text, length);
	return 0;
}

static int on_field(http_parser *p, const char *text, size_t length)
{
	(void)p;
	if (other.in_value)
		end_header();
	add(other.field, text, length);
	return 0;
}

static int on_value(http_parser *p, const char *text, size_t length)
{
	(void)p;
	other.in_value = true;
	add(other.value, text, length);
	return 0;
}

static int on_complete(http_parser *p)
{
	end_header();
	other.complete = true;
	http_parser_pause(p, 1);
	return 0;
}

static void ask_other(const char *text, size_t length)
{
	static const http_parser_settings settings = {
		.on_url = on_url,
		.on_status = on_status,
		.on_header_field = on_field,
		.on_header_value = on_value,
		.on_headers_complete = on_complete,
	};

	other.url[0] = other.status[0] = other.field[0] = other.value[0] = '\0';
	other.host[0] = other.user_agent[0] = other.content_type[0] = '\0';
	other.in_value = other.complete = false;
	http_parser_init(&other.parser, HTTP_BOTH);
	http_parser_execute(&other.parser, &settings, text, length);
	other.error = HTTP_PARSER_ERRNO(&other.parser);
}

static bool same(struct http_text ours, const char *theirs)
{
	return strlen(theirs) == ours.length && !memcmp(head.text + ours.at, theirs, ours.length);
}

static const char *differing_request(void)
{
	size_t n = http_target_clean(other.url, strlen(other.url), false);
	char *at = strrchr(other.host, '@');

	other.url[n] = '\0';
	if (!same(head.method, http_method_str((enum http_method)other.parser.method)))
		return "method";
	if (!same(head.target, other.url))
		return "target";
	if (!same(head.host, at ? at + 1 : other.host))
		return "host";
	if (!same(head.user_agent, other.user_agent))
		return "user-agent";
	return NULL;
}

/* Both took the head: the name of something that is not the same, or NULL. */
static const char *differing(void)
{
	const http_parser *p = &other.parser;
	bool request = p->type == THEIR_REQUEST;

	if ((head.kind == HTTP_REQUEST) != request)
		return "kind";
	if (p->http_major != 1 || p->http_minor != head.minor)
		return "version";
	if (!same(head.content_type, other.content_type))
		return "content-type";
	if (head.has_length != (p->content_length != UINT64_MAX) ||
	    (head.has_length && head.length != p->content_length))
		return "content-length";
	if (head.chunked != !!(p->flags & F_CHUNKED))
		return "chunked";
	if (request)
		return differing_request();
	if (head.status != p->status_code)
		return "status";
	return same(head.reason, other.status) ? NULL : "reason";
}

/* They refuse what we take. */
static const struct {
	enum http_errno error;
	const char *why;
} they_refuse[] = {
	{HPE_INVALID_METHOD, "they know a list of methods, we take any in upper case"},
	{HPE_INVALID_CONSTANT, "the same, of one that begins with H"},
	{HPE_UNEXPECTED_CONTENT_LENGTH, "the same length twice (RFC 9112, 6.3 allows it)"},
	{HPE_INVALID_URL, "they look at each byte of an authority; a path is never refused"},
};

static bool may_refuse(void)
{
	if (other.error == HPE_INVALID_CONSTANT && head.text[head.method.at] != 'H')
		return false;
	if (other.error == HPE_INVALID_URL && head.text[head.target.at] == '/')
		return false;
	for (size_t i = 0; i < sizeof(they_refuse) / sizeof(they_refuse[0]); i++) {
		if (other.error == they_refuse[i].error)
			return true;
	}
	return false;
}

/* We refuse what they take. */
static const char *const we_refuse[HTTP_MALFORMATIONS] = {
	[HTTP_BARE_CR] = "a CR ends their status line, whatever follows",
	[HTTP_NUL] = "they do not look at values of most headers",
	[HTTP_CONTROL] = "the same",
	[HTTP_TARGET] = "to them what begins with * is a path, and an authority may end in /",
	[HTTP_NAME] = "a space may stand in their names",
	[HTTP_FOLDING] = "they join folded lines",
	[HTTP_CONTENT_LENGTH] = "an empty one goes on in a folded line",
	[HTTP_TRANSFER_ENCODING] = "such a body ends for them with the connection",
	[HTTP_HOST] = "they do not look at Host",
};

static bool is_version(const char *text, const char *before)
{
	size_t n = strlen(before);

	return !memcmp(text, before, n) && (text[n] == '0' || text[n] == '1');
}

/*
 * To us this is no HTTP: its first line neither ends, behind a target, with HTTP/1.0 or 1.1 nor is
 * `HTTP/1.1 200`, with nothing or a space behind it. They take any version, none, and any byte for
 * the slash; more spaces, fewer digits, a CR for the end of a status line, and CRs before the
 * first.
 */
static bool no_http_to_us(const char *text, size_t length)
{
	const char *end;

	while (length && (*text == '\r' || *text == '\n')) {
		if (*text == '\r' && length > 1 && text[1] != '\n')
			return true;
		text++;
		length--;
	}
	end = memchr(text, '\n', length);
	length = end ? (size_t)(end - text) : length;
	if (length && text[length - 1] == '\r')
		length--;
	if (length < 12)
		return true;
	if (!memcmp(text, "HTTP/", 5))
		return !is_version(text, "HTTP/1.") || text[8] != ' ' || text[9] < '1' ||
		       !isdigit(text[9]) || !isdigit(text[10]) || !isdigit(text[11]) ||
		       (length > 12 && text[12] != ' ');
	end = memchr(text, ' ', length);
	return !is_version(text + length - 9, " HTTP/1.") || end == text + length - 9;
}

/* What may not be so, or NULL. */
static const char *judge(enum http_progress ours, const char *text, size_t length)
{
	switch (ours) {
	case HTTP_COMPLETE:
		if (other.complete)
			return differing();
		return may_refuse() ? NULL : "they refuse it";
	case HTTP_MORE:
		return other.complete && !we_refuse[head.malformed] ? "they see an end" : NULL;
	case HTTP_MALFORMED:
		return other.complete && !we_refuse[head.malformed] ? "they take it" : NULL;
	case HTTP_NOT:
		return other.complete && !no_http_to_us(text, length) ? "to them it is HTTP" : NULL;
	case HTTP_TOO_LONG:
		break;
	}
	return NULL;
}

/* To them a method that begins with HT is a response without its version: nothing to compare. */
static bool begins_ht(const char *text, size_t length)
{
	while (length && (*text == '\r' || *text == '\n')) {
		text++;
		length--;
	}
	return length >= 5 && !memcmp(text, "HT", 2) && memcmp(text, "HTTP/", 5);
}

/* NULL, or what may not be so; both: they took it, and so did we. */
static inline const char *oracle_judge(const char *text, size_t length, bool *both)
{
	enum http_progress ours;
	size_t used;

	http_head_begin(&head);
	ours = http_head_feed(&head, text, length, &used);
	ask_other(text, length);
	*both = ours == HTTP_COMPLETE && other.complete;
	return begins_ht(text, length) ? NULL : judge(ours, text, length);
}

static inline void oracle_print(const char *problem, const char *text, size_t length)
{
	fprintf(stderr, "%s: malformed to us %d, to them %s\n", problem, head.malformed,
		http_errno_name(other.error));
	for (size_t i = 0; i < length; i++)
		fprintf(stderr, text[i] >= ' ' && text[i] < 0x7f ? "%c" : "\\x%02x",
			(uint8_t)text[i]);
	fputc('\n', stderr);
}

#endif
