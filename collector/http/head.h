/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The head of an HTTP/1.0 or 1.1 message: start line and headers, up to the empty line. One
 * pass, which can be interrupted at every byte. Only what is shown or needed is kept: the
 * value of any other header is gone when its byte has been looked at.
 */
#ifndef NETWATCH_HTTP_HEAD_H
#define NETWATCH_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX	8192 /* bytes; what is longer is HTTP_TOO_LONG */
#define HTTP_METHOD_MAX 32   /* a longer word is no method, and what it begins no HTTP */
#define HTTP_NAME_MAX	17   /* "transfer-encoding": no header that matters has a longer name */

enum http_kind { HTTP_NONE, HTTP_REQUEST, HTTP_RESPONSE };

/*
 * Why a head cannot be trusted: whoever is laxer may see another message than its peer does
 * (RFC 9112, sections 2.2, 5.1, 5.2, 6.3 and 11.2).
 */
enum http_malformed {
	HTTP_WELL_FORMED,
	HTTP_BARE_CR,		/* a CR without LF */
	HTTP_NUL,		/* a byte of zero */
	HTTP_CONTROL,		/* another control character */
	HTTP_TARGET,		/* the request's target has a space, or none of the four forms */
	HTTP_NAME,		/* a header's name that is none, or a space before the colon */
	HTTP_FOLDING,		/* a line that begins with a space or a tab */
	HTTP_HOST,		/* more than one Host, or one with a space or a comma */
	HTTP_CONTENT_LENGTH,	/* not one number, or several that differ */
	HTTP_TRANSFER_ENCODING, /* chunked not once and last, or in HTTP/1.0 */
	HTTP_LENGTH_AND_CODING, /* Content-Length and Transfer-Encoding */
	HTTP_MALFORMATIONS,
};

enum http_progress {
	HTTP_MORE,	/* all bytes were taken, the head goes on */
	HTTP_COMPLETE,	/* the byte taken last is the head's last */
	HTTP_MALFORMED, /* with `malformed`; the start line can be told */
	HTTP_TOO_LONG,	/* HTTP_HEAD_MAX bytes, and no end */
	HTTP_NOT,	/* no HTTP/1.0 or 1.1 */
};

/* Bytes of http_head.text, as they came: not terminated, perhaps not UTF-8. */
struct http_text {
	uint16_t at;
	uint16_t length;
};

struct http_head {
	uint8_t kind;	   /* enum http_kind, known with the start line */
	uint8_t malformed; /* enum http_malformed; in the start line it is known at its end */
	uint8_t minor;	   /* of the version */
	uint16_t status;   /* RESPONSE */
	bool started;	   /* the start line is complete */
	bool http2;	   /* HTTP_NOT, since it is the preface of HTTP/2 */
	bool has_length;
	bool has_coding;				   /* Transfer-Encoding */
	bool chunked;					   /* and its last coding is chunked */
	uint64_t length;				   /* Content-Length */
	struct http_text method, target, host, user_agent; /* REQUEST */
	struct http_text reason;			   /* RESPONSE */
	struct http_text content_type;

	/* where it is */
	uint8_t state;
	uint8_t header;	  /* whose value comes: a row of the table in head.c */
	uint8_t position; /* in a status line */
	uint8_t name_length;
	uint8_t token_length;
	bool cr;	/* the last byte was a CR */
	bool any;	/* of this value a byte came that is no space */
	bool value_end; /* of a number: after it only spaces */
	bool host_seen, length_ok;
	uint16_t size; /* bytes taken */
	uint16_t used; /* bytes of text */
	struct http_text value;
	uint64_t number;
	char name[HTTP_NAME_MAX]; /* in lower case */
	char token[sizeof("chunked")];
	char text[HTTP_HEAD_MAX]; /* never more than came */
};

void http_head_begin(struct http_head *head);

/* Takes bytes, and says in *used how many, until the head ends in one of the ways above. */
enum http_progress http_head_feed(struct http_head *head, const char *data, size_t size,
				  size_t *used);

/* What bytes look like the beginning of: a method and a space, "HTTP/1.", or nothing. */
enum http_kind http_head_begins(const char *data, size_t size);

/*
 * Are they too few for that, but the beginning of a common method or of "HTTP/1."? (Of any word
 * it would show what is text.)
 */
bool http_head_may_begin(const char *data, size_t size);

/* True when something came that is not an empty line. */
bool http_head_begun(const struct http_head *head);

/*
 * No more comes: the rest is hidden, or too long. True when what came makes an event: the
 * start line; or, with cut_target, most of a target after a common method.
 */
bool http_head_cut(struct http_head *head, bool cut_target);

/* A copy without the part of text that is not used. */
void http_head_copy(struct http_head *to, const struct http_head *from);

/* The word for a kind of malformation, such as "BARE_CR"; NULL for HTTP_WELL_FORMED. */
const char *http_malformed_name(enum http_malformed malformed);

#endif
