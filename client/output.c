// SPDX-License-Identifier: GPL-2.0-only
// The output buffer, and numbers written into it without stdio.
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "exit.h"
#include "log.h"
#include "output.h"
#include "stop.h"

int output_init(struct output *output, int fd)
{
	*output = (struct output){.fd = fd, .data = malloc(OUTPUT_SIZE)};
	return output->data ? 0 : -ENOMEM;
}

void output_deinit(struct output *output)
{
	free(output->data);
	output->data = NULL;
}

int output_begin(struct output *output)
{
	if (OUTPUT_SIZE - output->used < OUTPUT_LINE_MAX) {
		int err = output_flush(output);

		if (err)
			return err;
	}
	output->line = output->used;
	output->err = 0;
	return 0;
}

int output_end(struct output *output)
{
	int err = output->err;

	if (err)
		output_undo(output);
	return err;
}

/* Where the line ends that is half out: done, when none is. */
static size_t line_end(const struct output *output, size_t done)
{
	const char *from = output->data + done - 1;
	const char *end = done ? memchr(from, '\n', output->used - done + 1) : NULL;

	return end ? (size_t)(end + 1 - output->data) : done;
}

int output_flush(struct output *output)
{
	size_t done = 0, end = output->used;

	while (done < end) {
		ssize_t n = stop_write(output->fd, output->data + done, end - done);

		if (n < 0)
			return (int)n;
		done += (size_t)n;
		output->written += (uint64_t)n;
		if (done < end && stop_state() == STOP_NOW)
			end = line_end(output, done); /* a reader who reads gets whole lines */
	}
	if (end < output->used)
		return -ECANCELED;
	output->used = output->line = 0;
	return 0;
}

int output_finish(struct output *output)
{
	int err = output->err ? output->err : output_flush(output);

	if (!err || err == -ECANCELED) /* we were told to go */
		return EXIT_OK;
	log_error("cannot write the output: %s", strerror(-err));
	return EXIT_OUTPUT;
}

unsigned output_columns(int fd)
{
	struct winsize size;

	return isatty(fd) && !ioctl(fd, TIOCGWINSZ, &size) ? size.ws_col : 0;
}

static unsigned count_digits(uint64_t number)
{
	static const uint64_t powers[] = {
		0,
		10,
		100,
		1000,
		10000,
		100000,
		1000000,
		10000000,
		100000000,
		1000000000,
		10000000000,
		100000000000,
		1000000000000,
		10000000000000,
		100000000000000,
		1000000000000000,
		10000000000000000,
		100000000000000000,
		1000000000000000000,
		10000000000000000000u,
	};
	/* log10(2) as a fraction: at most one too few */
	unsigned log10 = (64 - (unsigned)__builtin_clzll(number | 1)) * 1233 >> 12;

	return log10 + (number >= powers[log10]);
}

char *output_put_digits(char *to, uint64_t number, unsigned digits)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324"
				    "25262728293031323334353637383940414243444546474849"
				    "50515253545556575859606162636465666768697071727374"
				    "75767778798081828384858687888990919293949596979899";
	char *end = to + digits;

	for (; digits > 1; digits -= 2, number /= 100)
		memcpy(to + digits - 2, pairs + 2 * (number % 100), 2);
	if (digits)
		*to = (char)('0' + number % 10);
	return end;
}

char *output_put_unsigned(char *to, uint64_t number)
{
	return output_put_digits(to, number, count_digits(number));
}

char *output_put_signed(char *to, int64_t number)
{
	if (number >= 0)
		return output_put_unsigned(to, (uint64_t)number);
	*to++ = '-';
	return output_put_unsigned(to, -(uint64_t)number);
}

void output_unsigned(struct output *output, uint64_t number)
{
	char *to = output_room(output, OUTPUT_NUMBER_MAX);

	if (to)
		output_take(output, output_put_unsigned(to, number));
}

void output_signed(struct output *output, int64_t number)
{
	char *to = output_room(output, OUTPUT_NUMBER_MAX);

	if (to)
		output_take(output, output_put_signed(to, number));
}

void output_spaces(struct output *output, size_t count)
{
	char *to = output_room(output, count);

	if (!to)
		return;
	memset(to, ' ', count);
	output->used += count;
}
