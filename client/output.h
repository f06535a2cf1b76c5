/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lines on their way to stdout: one large buffer that is written out before the program
 * waits. A line is either out as a whole or not at all, unless writing fails.
 */
#ifndef NETWATCH_OUTPUT_H
#define NETWATCH_OUTPUT_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define OUTPUT_SIZE	  (4 * 1024 * 1024)
#define OUTPUT_LINE_MAX	  (2 * 1024 * 1024) /* a longer line is an error */
#define OUTPUT_NUMBER_MAX 20		    /* bytes of 64 bits as a decimal number with its sign */

struct output {
	int fd;
	uint64_t written; /* bytes, so far */
	char *data;	  /* OUTPUT_SIZE bytes */
	size_t used;
	size_t line; /* where the line begins that is being written */
	int err;     /* why this line cannot be printed, or 0 */
};

/* 0 or -ENOMEM. fd is not closed. */
int output_init(struct output *output, int fd);
void output_deinit(struct output *output);

/* Brackets a line. Begin makes room; end takes it back when it cannot be printed. 0, output->err,
 * or as output_flush.
 */
int output_begin(struct output *output);
int output_end(struct output *output);

/* Takes back what was written since output_begin. */
static inline void output_undo(struct output *output)
{
	output->used = output->line;
	output->err = 0;
}

/*
 * Writes all out. 0; -errno of write(2); -ECANCELED when stop.h says that it is time to
 * go while the reader of a pipe takes nothing.
 */
int output_flush(struct output *output);

/* The last flush of a command that has nothing else to wait for: its exit status. */
int output_finish(struct output *output);

/* Columns of the terminal that fd is, or 0. */
unsigned output_columns(int fd);

/* Where to write up to size bytes, of which output_take takes those up to end. NULL: no room. */
static inline char *output_room(struct output *output, size_t size)
{
	if (__builtin_expect(OUTPUT_SIZE - output->used < size, 0)) {
		output->err = -EMSGSIZE;
		return NULL;
	}
	return output->data + output->used;
}

static inline void output_take(struct output *output, const char *end)
{
	output->used = (size_t)(end - output->data);
}

static inline void output_bytes(struct output *output, const void *bytes, size_t size)
{
	char *to = output_room(output, size);

	if (!to)
		return;
	memcpy(to, bytes, size);
	output->used += size;
}

static inline void output_char(struct output *output, char c)
{
	output_bytes(output, &c, 1);
}

static inline void output_text(struct output *output, const char *text)
{
	output_bytes(output, text, strlen(text));
}

void output_unsigned(struct output *output, uint64_t number);
void output_signed(struct output *output, int64_t number);
void output_spaces(struct output *output, size_t count);

/*
 * The same into room that is there, which is quicker for one piece after the other: at most
 * OUTPUT_NUMBER_MAX bytes, or exactly digits, with leading zeros. They return the end.
 */
char *output_put_unsigned(char *to, uint64_t number);
char *output_put_signed(char *to, int64_t number);
char *output_put_digits(char *to, uint64_t number, unsigned digits);

#endif
