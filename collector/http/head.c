// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "head.h"
#include "head_value.h"
#include "target.h"

enum state { BEGIN, METHOD, TARGET, STATUS, REASON, LINE, NAME, VALUE, STATES };

static const char version[] = " HTTP/1."; /* and one digit, at the end of a request line */

/* RFC 9110, 5.6.2. */
static bool is_token(uint8_t c)
{
	static const bool tokens[256] = {
		['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true,
		['#'] = true,	      ['$'] = true,	    ['%'] = true,	  ['&'] = true,
		['\''] = true,	      ['*'] = true,	    ['+'] = true,	  ['-'] = true,
		['.'] = true,	      ['^'] = true,	    ['_'] = true,	  ['`'] = true,
		['|'] = true,	      ['~'] = true,
	};

	return tokens[c];
}

/*
 * Of a method: the standard allows any token, but names in use are in upper case, and text that is
 * no HTTP seldom is.
 */
static bool is_method(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

static enum http_malformed bad_byte(uint8_t c)
{
	if (!c)
		return HTTP_NUL;
	return (c < 0x20 && c != '\t') || c == 0x7f ? HTTP_CONTROL : HTTP_WELL_FORMED;
}

static enum http_progress malformed(struct http_head *h, enum http_malformed why)
{
	h->malformed = (uint8_t)why;
	return HTTP_MALFORMED;
}

static void append(struct http_head *h, struct http_text *text, uint8_t c)
{
	h->text[h->used++] = (char)c;
	text->length++;
}

static enum http_progress in_begin(struct http_head *h, uint8_t c)
{
	if (!is_method(c))
		return HTTP_NOT;
	h->state = METHOD;
	append(h, &h->method, c);
	return HTTP_MORE;
}

static enum http_progress in_method(struct http_head *h, uint8_t c)
{
	if (c == ' ') {
		h->kind = HTTP_REQUEST;
		h->state = TARGET;
		h->target.at = h->used;
		return HTTP_MORE;
	}
	if (c == '/' && h->method.length == 4 && !memcmp(h->text, "HTTP", 4)) {
		h->kind = HTTP_RESPONSE;
		h->state = STATUS;
		h->method.length = 0;
		h->used = 0;
		return HTTP_MORE;
	}
	if (!is_method(c) || h->method.length == HTTP_METHOD_MAX)
		return HTTP_NOT;
	append(h, &h->method, c);
	return HTTP_MORE;
}

/* Up to the line's end, version included: only then it is known to be HTTP. */
static enum http_progress in_target(struct http_head *h, uint8_t c)
{
	if (!h->malformed)
		h->malformed = (uint8_t)(c == '\t' ? HTTP_CONTROL : bad_byte(c));
	append(h, &h->target, c);
	return HTTP_MORE;
}

/* "1.1 200", behind "HTTP/" */
static enum http_progress in_status(struct http_head *h, uint8_t c)
{
	static const char form[] = "1.# 900 ";
	char want = form[h->position];
	bool fits = want == '#'	  ? c == '0' || c == '1'
		    : want == '9' ? c >= '1' && c <= '9'
		    : want == '0' ? c >= '0' && c <= '9'
				  : c == (uint8_t)want;

	if (!fits)
		return HTTP_NOT;
	if (want == '#')
		h->minor = c - '0';
	else if (want == '9' || want == '0')
		h->status = (uint16_t)(h->status * 10 + c - '0');
	if (!form[++h->position]) {
		h->state = REASON;
		h->reason.at = h->used;
	}
	return HTTP_MORE;
}

static enum http_progress in_reason(struct http_head *h, uint8_t c)
{
	if (!h->malformed)
		h->malformed = (uint8_t)bad_byte(c);
	append(h, &h->reason, c);
	return HTTP_MORE;
}

static enum http_progress in_line(struct http_head *h, uint8_t c)
{
	if (c == ' ' || c == '\t')
		return malformed(h, HTTP_FOLDING);
	if (bad_byte(c))
		return malformed(h, bad_byte(c));
	if (!is_token(c))
		return malformed(h, HTTP_NAME);
	h->state = NAME;
	h->name[0] = http_lower(c);
	h->name_length = 1;
	return HTTP_MORE;
}

static enum http_progress in_name(struct http_head *h, uint8_t c)
{
	if (c == ':') {
		h->state = VALUE;
		http_value_begin(h);
		return h->malformed ? HTTP_MALFORMED : HTTP_MORE;
	}
	if (bad_byte(c))
		return malformed(h, bad_byte(c));
	if (!is_token(c))
		return malformed(h, HTTP_NAME);
	if (h->name_length < HTTP_NAME_MAX)
		h->name[h->name_length] = http_lower(c);
	if (h->name_length <= HTTP_NAME_MAX)
		h->name_length++; /* one more than fits: none that matters */
	return HTTP_MORE;
}

static enum http_progress in_value(struct http_head *h, uint8_t c)
{
	enum http_malformed why = bad_byte(c);

	if (!why)
		why = http_value_byte(h, c);
	return why ? malformed(h, why) : HTTP_MORE;
}

static enum http_progress started(struct http_head *h)
{
	h->started = true;
	h->state = LINE;
	return h->malformed ? HTTP_MALFORMED : HTTP_MORE;
}

static bool is_http2(const struct http_head *h)
{
	static const char preface[] = "PRI* HTTP/2.0"; /* method and rest of the line */

	return h->used == sizeof(preface) - 1 && !memcmp(h->text, preface, h->used);
}

static enum http_progress end_request(struct http_head *h)
{
	size_t tail = sizeof(version); /* with the digit */
	char *target = h->text + h->target.at;
	char digit;

	h->http2 = is_http2(h);
	if (h->target.length < tail || memcmp(target + h->target.length - tail, version, tail - 1))
		return HTTP_NOT;
	digit = h->text[h->used - 1];
	if (digit != '0' && digit != '1')
		return HTTP_NOT;
	h->minor = (uint8_t)(digit - '0');
	h->target.length = (uint16_t)(h->target.length - tail);
	if (!h->malformed &&
	    !http_target_valid(h->text, h->method.length, target, h->target.length))
		h->malformed = HTTP_TARGET;
	h->target.length =
		(uint16_t)(h->malformed ? 0 : http_target_clean(target, h->target.length, false));
	h->used = (uint16_t)(h->target.at + h->target.length);
	return started(h);
}

static enum http_progress end_status(struct http_head *h)
{
	if (h->state == STATUS && h->position != 7) /* a reason may be missing, with its space */
		return HTTP_NOT;
	if (h->malformed)
		h->reason.length = 0;
	return started(h);
}

static enum http_progress end_line(struct http_head *h)
{
	switch ((enum state)h->state) {
	case BEGIN:
		return HTTP_MORE; /* RFC 9112, 2.2: empty lines may come first */
	case METHOD:
		return HTTP_NOT;
	case TARGET:
		return end_request(h);
	case STATUS:
	case REASON:
		return end_status(h);
	case LINE:
		h->malformed = (uint8_t)http_framing(h);
		return h->malformed ? HTTP_MALFORMED : HTTP_COMPLETE;
	case NAME:
		return malformed(h, HTTP_NAME);
	case VALUE:
		h->state = LINE;
		h->malformed = (uint8_t)http_value_end(h);
		return h->malformed ? HTTP_MALFORMED : HTTP_MORE;
	case STATES:
		break;
	}
	return HTTP_NOT;
}

/* Of a start line it is told at its end, when it is known to be one. */
static enum http_progress bare_cr(struct http_head *h)
{
	if (h->state == TARGET || h->state == REASON) {
		h->malformed = h->malformed ? h->malformed : HTTP_BARE_CR;
		return HTTP_MORE;
	}
	return h->started ? malformed(h, HTTP_BARE_CR) : HTTP_NOT;
}

static enum http_progress take(struct http_head *h, uint8_t c)
{
	static enum http_progress (*const in[STATES])(struct http_head * h, uint8_t c) = {
		[BEGIN] = in_begin,   [METHOD] = in_method, [TARGET] = in_target,
		[STATUS] = in_status, [REASON] = in_reason, [LINE] = in_line,
		[NAME] = in_name,     [VALUE] = in_value,
	};
	bool after_cr = h->cr;

	h->cr = c == '\r';
	if (c == '\n')
		return end_line(h);
	if (after_cr) {
		enum http_progress progress = bare_cr(h);

		if (progress != HTTP_MORE)
			return progress;
	}
	return h->cr ? HTTP_MORE : in[h->state](h, c);
}

void http_head_begin(struct http_head *head)
{
	memset(head, 0, offsetof(struct http_head, text));
}

/* Most bytes are of values that nobody wants: those without a line's end in them. */
static size_t skip(struct http_head *h, const char *data, size_t size)
{
	size_t left = HTTP_HEAD_MAX - h->size, n = 0;

	if (h->state != VALUE || h->header || h->cr)
		return 0;
	size = size < left ? size : left;
	while (n < size && (uint8_t)data[n] >= ' ' && data[n] != 0x7f)
		n++;
	h->size = (uint16_t)(h->size + n);
	return n;
}

enum http_progress http_head_feed(struct http_head *head, const char *data, size_t size,
				  size_t *used)
{
	size_t i = 0;

	for (;;) {
		enum http_progress progress = HTTP_TOO_LONG;

		i += skip(head, data + i, size - i);
		if (i == size)
			break;
		if (head->size < HTTP_HEAD_MAX) {
			head->size++;
			progress = take(head, (uint8_t)data[i++]);
		}
		if (progress != HTTP_MORE) {
			*used = i;
			return progress;
		}
	}
	*used = i;
	return HTTP_MORE;
}

enum http_kind http_head_begins(const char *data, size_t size)
{
	size_t n = 0;

	if (size >= 7 && !memcmp(data, "HTTP/1.", 7))
		return HTTP_RESPONSE;
	if (size >= 2 && !memcmp(data, "\r\n", 2)) { /* as in `end_line` */
		data += 2;
		size -= 2;
	}
	while (n < size && n < HTTP_METHOD_MAX && is_method((uint8_t)data[n]))
		n++;
	return n && n < size && data[n] == ' ' ? HTTP_REQUEST : HTTP_NONE;
}

bool http_head_may_begin(const char *data, size_t size)
{
	static const char response[] = "HTTP/1.";

	return (size < sizeof(response) && !memcmp(data, response, size)) ||
	       http_method_begins(data, size);
}

bool http_head_begun(const struct http_head *head)
{
	return head->state != BEGIN;
}

/* What stands behind the target so far may only be the beginning of the version. */
static bool cut_version(struct http_head *h)
{
	const char *target = h->text + h->target.at;
	const char *space = memchr(target, ' ', h->target.length);
	size_t rest;

	if (!space)
		return true;
	rest = (size_t)(target + h->target.length - space);
	if (rest > sizeof(version) ||
	    memcmp(space, version, rest < sizeof(version) ? rest : rest - 1))
		return false;
	h->target.length = (uint16_t)(space - target);
	return true;
}

bool http_head_cut(struct http_head *head, bool cut_target)
{
	char *target = head->text + head->target.at;
	uint16_t length = head->target.length;

	if (head->started)
		return true;
	if (!cut_target || head->state != TARGET || head->malformed ||
	    !http_method_common(head->text, head->method.length) || !cut_version(head))
		return false;
	if (!http_target_valid(head->text, head->method.length, target, head->target.length))
		return false;
	head->target.length = (uint16_t)http_target_clean(target, head->target.length,
							  head->target.length == length);
	return true;
}

void http_head_copy(struct http_head *to, const struct http_head *from)
{
	memcpy(to, from, offsetof(struct http_head, text) + from->used);
}

const char *http_malformed_name(enum http_malformed malformed_)
{
	static const char *const names[HTTP_MALFORMATIONS] = {
		[HTTP_BARE_CR] = "BARE_CR",
		[HTTP_NUL] = "NUL",
		[HTTP_CONTROL] = "CONTROL",
		[HTTP_TARGET] = "TARGET",
		[HTTP_NAME] = "NAME",
		[HTTP_FOLDING] = "FOLDING",
		[HTTP_HOST] = "HOST",
		[HTTP_CONTENT_LENGTH] = "CONTENT_LENGTH",
		[HTTP_TRANSFER_ENCODING] = "TRANSFER_ENCODING",
		[HTTP_LENGTH_AND_CODING] = "LENGTH_AND_CODING",
	};

	return names[malformed_];
}
