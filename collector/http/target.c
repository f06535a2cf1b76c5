// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "target.h"

static const char *const methods[] = {"GET",	 "HEAD",    "POST",  "PUT",  "DELETE",
				      "CONNECT", "OPTIONS", "TRACE", "PATCH"};

bool http_method_common(const char *method, size_t length)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strlen(methods[i]) == length && !memcmp(methods[i], method, length))
			return true;
	}
	return false;
}

bool http_method_begins(const char *text, size_t length)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (length <= strlen(methods[i]) && !memcmp(methods[i], text, length))
			return true;
	}
	return false;
}

static bool is_connect(const char *method, size_t length)
{
	return length == 7 && !memcmp(method, "CONNECT", 7);
}

static bool is_alpha(char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* Length of a scheme at the start (RFC 3986, 3.1), 0 for none. */
static size_t scheme(const char *target, size_t length)
{
	size_t n = 0;

	while (n < length &&
	       (is_alpha(target[n]) ||
		(n && ((target[n] >= '0' && target[n] <= '9') || memchr("+-.", target[n], 3)))))
		n++;
	return n;
}

bool http_target_valid(const char *method, size_t method_length, const char *target, size_t length)
{
	size_t n;

	if (!length || memchr(target, ' ', length))
		return false;
	if (is_connect(method, method_length))
		return !memchr(target, '/', length);
	if (target[0] == '/')
		return true;
	if (target[0] == '*')
		return length == 1;
	n = scheme(target, length);
	return n && length >= n + 3 && !memcmp(target + n, "://", 3);
}

static size_t span(const char *text, size_t length, const char *ends)
{
	size_t n = 0;

	while (n < length && !strchr(ends, text[n]))
		n++;
	return n;
}

/* host, host:port or [address]:port; what has another colon may be half a password. */
static bool is_host(const char *text, size_t length)
{
	const char *bracket = memrchr(text, ']', length);
	size_t n = bracket ? (size_t)(bracket - text) + 1 : 0;

	if (bracket && text[0] != '[')
		return false;
	n += span(text + n, length - n, ":");
	for (n++; n < length; n++) {
		if (text[n] < '0' || text[n] > '9')
			return false;
	}
	return true;
}

/* How much of an authority at text is none of anybody's business. */
static size_t secret(const char *text, size_t length, bool cut)
{
	size_t n = span(text, length, "/?#&");
	const char *at = memrchr(text, '@', n);

	if (at)
		return (size_t)(at - text) + 1;
	if (cut && n == length)
		return n;
	if (is_host(text, n))
		return 0;
	/* A password with a '/' in it: everything up to the '@', or else this much. */
	at = memrchr(text, '@', span(text, length, "?#"));
	return at ? (size_t)(at - text) + 1 : n;
}

static size_t remove_secret(char *target, size_t at, size_t length, bool cut)
{
	size_t gone = secret(target + at, length - at, cut);

	if (gone)
		memmove(target + at, target + at + gone, length - at - gone);
	return length - gone;
}

size_t http_target_clean(char *target, size_t length, bool cut)
{
	char *next;
	size_t n = 0;

	if (length >= 2 && !memcmp(target, "//", 2)) {
		n = 2;
		length = remove_secret(target, n, length, cut);
	} else if (length && !memchr("/*", target[0], 2) && !memmem(target, length, "://", 3)) {
		length = remove_secret(target, 0, length, cut);
	}
	while ((next = memmem(target + n, length - n, "://", 3))) {
		n = (size_t)(next - target) + 3;
		length = remove_secret(target, n, length, cut);
	}
	return length;
}

size_t http_target_redact(char *out, size_t size, const char *target, size_t length)
{
	static const char redacted[] = "REDACTED";
	const size_t width = sizeof(redacted) - 1;
	size_t n = span(target, length, "?#"), used = n < size ? n : size - 1;

	memcpy(out, target, used);
	while (used < size - 1 && n < length) { /* target[n] is one of ?&;# */
		const char *parameter = target + n + 1;
		size_t rest = length - n - 1;
		size_t end = target[n] == '#' ? rest : span(parameter, rest, "&;#");
		size_t name = target[n] == '#' ? end : span(parameter, end, "=");
		size_t kept = 1 + (name < end ? name + 1 : 0);

		if (used + kept + (end ? width : 0) >= size)
			break;
		memcpy(out + used, target + n, kept);
		used += kept;
		if (end) {
			memcpy(out + used, redacted, width);
			used += width;
		}
		n += 1 + end;
	}
	out[used] = '\0';
	return used;
}
