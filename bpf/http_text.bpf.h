/* SPDX-License-Identifier: GPL-2.0-only */
/* What payload looks like: the beginning of a message, and the empty line that ends its head. */
#ifndef NETWATCH_HTTP_TEXT_BPF_H
#define NETWATCH_HTTP_TEXT_BPF_H

#include "netwatch.bpf.h"
#include "http.h"

#define PAD 16 /* bytes of zero behind what was captured, for whole words */

/* Four letters as they lie in memory. */
#define WORD(a, b, c, d) ((__u32)(a) | (__u32)(b) << 8 | (__u32)(c) << 16 | (__u32)(d) << 24)

/*
 * Methods of the IANA registry and others in use (of caches, UPnP and Icecast), and versions, by
 * their first four bytes.
 */
static __always_inline bool begins_message(__u32 word)
{
	switch (word) {
	case WORD('H', 'T', 'T', 'P'):
	case WORD('G', 'E', 'T', ' '):
	case WORD('P', 'O', 'S', 'T'):
	case WORD('H', 'E', 'A', 'D'):
	case WORD('P', 'U', 'T', ' '):
	case WORD('D', 'E', 'L', 'E'):
	case WORD('P', 'A', 'T', 'C'):
	case WORD('O', 'P', 'T', 'I'):
	case WORD('C', 'O', 'N', 'N'):
	case WORD('T', 'R', 'A', 'C'):
	case WORD('P', 'R', 'O', 'P'):
	case WORD('R', 'E', 'P', 'O'):
	case WORD('M', 'K', 'C', 'O'):
	case WORD('C', 'O', 'P', 'Y'):
	case WORD('M', 'O', 'V', 'E'):
	case WORD('L', 'O', 'C', 'K'):
	case WORD('U', 'N', 'L', 'O'):
	case WORD('S', 'E', 'A', 'R'):
	case WORD('A', 'C', 'L', ' '):
	case WORD('B', 'A', 'N', ' '):
	case WORD('B', 'A', 'S', 'E'):
	case WORD('B', 'I', 'N', 'D'):
	case WORD('C', 'H', 'E', 'C'):
	case WORD('L', 'A', 'B', 'E'):
	case WORD('L', 'I', 'N', 'K'):
	case WORD('M', '-', 'S', 'E'):
	case WORD('M', 'E', 'R', 'G'):
	case WORD('M', 'K', 'A', 'C'):
	case WORD('M', 'K', 'C', 'A'):
	case WORD('M', 'K', 'R', 'E'):
	case WORD('M', 'K', 'W', 'O'):
	case WORD('N', 'O', 'T', 'I'):
	case WORD('O', 'R', 'D', 'E'):
	case WORD('P', 'U', 'R', 'G'):
	case WORD('Q', 'U', 'E', 'R'):
	case WORD('R', 'E', 'B', 'I'):
	case WORD('S', 'O', 'U', 'R'):
	case WORD('S', 'U', 'B', 'S'):
	case WORD('U', 'N', 'B', 'I'):
	case WORD('U', 'N', 'C', 'H'):
	case WORD('U', 'N', 'L', 'I'):
	case WORD('U', 'N', 'S', 'U'):
	case WORD('U', 'P', 'D', 'A'):
	case WORD('V', 'E', 'R', 'S'):
	case WORD('P', 'R', 'I', ' '): /* of HTTP/2: the collector looks no further */
		return true;
	}
	return false;
}

/* The same where fewer than four bytes are there: could it become a message? */
static __always_inline bool may_begin_message(__u32 word, __u32 length)
{
	__u8 first = word;

	if (length >= sizeof(word))
		return begins_message(word);
	return first >= 'A' && first <= 'Z';
}

/* Of eight bytes at once: 0x80 where a byte is that one, 0 elsewhere. */
static __always_inline __u64 bytes_equal(__u64 bytes, __u8 byte)
{
	__u64 low = 0x7f7f7f7f7f7f7f7fULL, x = bytes ^ (0x0101010101010101ULL * byte);

	return ~(((x & low) + low) | x | low);
}

/* Of eight bytes, where "\n\r\n" or "\n\n" begins. */
static __always_inline __u64 empty_lines(const __u8 *at)
{
	__u64 lf = bytes_equal(*(const __u64 *)at, '\n'), next;

	if (!lf)
		return 0;
	next = *(const __u64 *)(at + 1);
	return lf & (bytes_equal(next, '\n') |
		     (bytes_equal(next, '\r') & bytes_equal(*(const __u64 *)(at + 2), '\n')));
}

/* Which byte has the lowest bit of those that empty_lines sets. */
static __always_inline __u32 first_byte(__u64 hit)
{
	__u64 ones = 0x0101010101010101ULL;

	return ((((hit & -hit) - 1) & ones) * ones >> 56) - 1;
}

/*
 * The place behind an empty line in n bytes, with PAD bytes of zero behind them; or 0. The empty
 * statements keep the compiler from splitting the loop: the verifier of Linux 6.1 would follow
 * paths that cannot be, on which nothing is returned.
 */
static __always_inline int find_empty_line(const __u8 *data, __u32 n, const __u32 size)
{
	int found = 0;

	for (__u32 at = 0; at < size && at < n; at += 8) {
		__u64 hit = empty_lines(data + at);
		__u32 i = first_byte(hit) & 7;

		if (hit) {
			found = at + i + (data[at + i + 1] == '\r' ? 3 : 2);
			break;
		}
		asm volatile("" : "+r"(at), "+r"(found));
	}
	asm volatile("" : "+r"(found));
	return found;
}

#define LOWER	    0x2020202020202020ULL
#define CONTENT	    0x2d746e65746e6f63ULL /* "content-" */
#define LENGTH	    0x003a6874676e656cULL /* "length:" */
#define LENGTH_MASK 0x00ffffffffffffffULL
#define DIGITS_MAX  PAD

/* Of a number behind spaces, what is left of it in 32 bits. */
static __always_inline __u32 parse_number(const __u8 *data, __u32 at, const __u32 size)
{
	__u32 value = 0;

	if (at > size) /* and PAD has room for all digits */
		return 0;
	for (__u32 i = 0; i < DIGITS_MAX; i++) {
		__u8 c = data[at + i];

		if (c == ' ' && !value)
			continue;
		if (c < '0' || c > '9')
			break;
		value = value * 10 + c - '0';
	}
	return value;
}

/* Where the value of Content-Length begins, if it is in n bytes, else 0. */
static __always_inline int find_content_length(const __u8 *data, __u32 n, const __u32 size)
{
	int found = 0;

	for (__u32 at = 0; at < size && at < n; at += 8) {
		__u64 hit = bytes_equal(*(const __u64 *)(data + at), '\n');
		const __u8 *name = data + at + (first_byte(hit) & 7) + 1;

		if (hit && (*(const __u64 *)name | LOWER) == CONTENT &&
		    ((*(const __u64 *)(name + 8) | LOWER) & LENGTH_MASK) == LENGTH) {
			found = at + (first_byte(hit) & 7) + 1 + sizeof("content-length:") - 1;
			break;
		}
		asm volatile("" : "+r"(at), "+r"(found));
	}
	asm volatile("" : "+r"(found));
	return found;
}

/* No static functions, so that the verifier looks at each once, not at every call. */
struct small {
	__u8 data[NW_HTTP_SMALL + PAD];
};

struct medium {
	__u8 data[NW_HTTP_MEDIUM + PAD];
};

struct large {
	__u8 data[NW_HTTP_LARGE + PAD];
};

__noinline int nw_find_small(struct small *in, __u32 n)
{
	return in ? find_empty_line(in->data, n, NW_HTTP_SMALL) : 0;
}

__noinline int nw_find_medium(struct medium *in, __u32 n)
{
	return in ? find_empty_line(in->data, n, NW_HTTP_MEDIUM) : 0;
}

__noinline int nw_length_small(struct small *in, __u32 n)
{
	return in ? find_content_length(in->data, n, NW_HTTP_SMALL) : 0;
}

__noinline int nw_length_medium(struct medium *in, __u32 n)
{
	return in ? find_content_length(in->data, n, NW_HTTP_MEDIUM) : 0;
}

__noinline int nw_number_small(struct small *in, __u32 at)
{
	return in ? parse_number(in->data, at, NW_HTTP_SMALL) : 0;
}

__noinline int nw_number_medium(struct medium *in, __u32 at)
{
	return in ? parse_number(in->data, at, NW_HTTP_MEDIUM) : 0;
}

__noinline int nw_number_large(struct large *in, __u32 at)
{
	return in ? parse_number(in->data, at, NW_HTTP_LARGE) : 0;
}

/* A large piece is looked at in windows of the medium size, with PAD bytes of the next. */
#define WINDOWS (NW_HTTP_LARGE / NW_HTTP_MEDIUM)

/* Where the head ends or, for_length, where the value of Content-Length begins; or 0. */
static __always_inline __u32 find(void *data, __u32 n, const __u32 size, const bool for_length)
{
	if (size == NW_HTTP_SMALL)
		return for_length ? nw_length_small(data, n) : nw_find_small(data, n);
	for (__u32 i = 0; i < WINDOWS && i * NW_HTTP_MEDIUM < size; i++) {
		__u32 begin = i * NW_HTTP_MEDIUM, found;

		if (begin >= n)
			break;
		found = for_length ? nw_length_medium(data + begin, n - begin)
				   : nw_find_medium(data + begin, n - begin);
		if (found)
			return begin + found;
	}
	return 0;
}

/* That value, of a head of n bytes or of what there is of it; 0: it is not there. */
static __always_inline __u32 content_length(void *data, __u32 n, const __u32 size)
{
	__u32 at = find(data, n, size, true);

	if (!at)
		return 0;
	if (size == NW_HTTP_SMALL)
		return nw_number_small(data, at);
	return size == NW_HTTP_MEDIUM ? nw_number_medium(data, at) : nw_number_large(data, at);
}

#endif
