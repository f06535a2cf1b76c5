// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "color.h"
#include "output.h"
#include "text.h"
#include "top_draw.h"
#include "top_table.h"
#include "top_values.h"

#define HOME	  "\033[H"
#define REST	  "\033[K" /* erases from here to the end of the line, */
#define BELOW	  "\033[J" /* and of the screen */
#define WRONG	  "\033[31m"
#define LOOK	  "\033[33m"
#define NOTES_MAX 160

static const char help[] = "q quit   < > sort by   r reverse   p pause   up down scroll   ? help";

struct drawing {
	struct output *output;
	const struct top_picture *picture;
	unsigned width, lines; /* lines that are left */
	int err;
};

static size_t begin_line(struct drawing *drawing)
{
	if (!drawing->err)
		drawing->err = output_begin(drawing->output);
	return drawing->output->used;
}

/* Ends the line that was begun at start. At the last column a REST would take what stands there. */
static void end_line(struct drawing *drawing, size_t start)
{
	struct output *output = drawing->output;
	bool terminal = drawing->picture->lines;

	top_columns_cut(output, start, drawing->width);
	if (terminal && text_width(output->data + start, output->used - start) < drawing->width)
		output_text(output, REST);
	drawing->lines--;
	if (!terminal || drawing->lines)
		output_char(output, '\n');
	if (!drawing->err)
		drawing->err = output_end(output);
}

static void put_note(struct output *output, const char *color, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void put_note(struct output *output, const char *color, const char *format, ...)
{
	char text[NOTES_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	color = color_is_on() ? color : NULL;
	output_text(output, "  ");
	output_text(output, color ? color : "");
	output_text(output, text);
	output_text(output, color ? COLOR_END : "");
}

static void put_clock(char text[9], time_t at)
{
	struct tm local;

	if (!localtime_r(&at, &local) || !strftime(text, 9, "%H:%M:%S", &local))
		*text = '\0';
}

static void put_rate(struct output *output, const char *name, double rate)
{
	output_text(output, "  ");
	output_text(output, name);
	output_char(output, ' ');
	top_values_scaled(output, rate);
	output_text(output, "/s");
}

static void put_losses(struct output *output, const struct top_sums *sums)
{
	const char *color = sums->lost || sums->gaps ? WRONG : NULL;

	if (sums->gaps)
		put_note(output, color, "lost %" PRIu64 ", gaps %" PRIu64, sums->lost, sums->gaps);
	else
		put_note(output, color, "lost %" PRIu64, sums->lost);
	if (sums->untold)
		put_note(output, WRONG, "no room for %" PRIu64, sums->untold);
}

/* What is cut in a narrow terminal comes last. */
static void put_sums(struct output *output, const struct top_picture *picture)
{
	const struct top_sums *sums = picture->sums;
	const char *separator = ": ";
	char clock[9];

	put_clock(clock, time(NULL));
	output_text(output, clock);
	if (picture->down) {
		put_clock(clock, picture->down);
		put_note(output, WRONG, "DISCONNECTED since %s, waiting for the collector", clock);
	}
	if (picture->paused)
		put_note(output, LOOK, "PAUSED");
	put_note(output, NULL, "%s", picture->scope);
	put_rate(output, "recv", sums->received);
	put_rate(output, "sent", sums->sent);
	put_rate(output, "retr", sums->retransmits);
	put_losses(output, sums);
	put_note(output, NULL, "by %s%s", top_column_words[picture->sort],
		 picture->reverse ? ", reversed" : "");
	put_note(output, NULL, "%zu connections", sums->connections);
	for (unsigned i = 0; i < TOP_STATES; i++) {
		if (!sums->by_state[i])
			continue;
		output_text(output, separator);
		output_text(output, top_columns_state(i));
		output_char(output, ' ');
		output_unsigned(output, sums->by_state[i]);
		separator = ", ";
	}
}

static void draw_head(struct drawing *drawing)
{
	const struct top_picture *picture = drawing->picture;
	size_t start = begin_line(drawing);

	put_sums(drawing->output, picture);
	end_line(drawing, start);
	if (!drawing->lines)
		return;
	start = begin_line(drawing);
	top_columns_titles(drawing->output, picture->sort);
	end_line(drawing, start);
}

static void draw_help(struct drawing *drawing)
{
	size_t start = begin_line(drawing);

	output_text(drawing->output, help);
	end_line(drawing, start);
}

int top_draw(struct output *output, const struct top_picture *picture, size_t *visible)
{
	bool terminal = picture->lines;
	unsigned taken = (picture->header ? 2 : 0) + (picture->help ? 1 : 0);
	struct drawing drawing = {
		.output = output,
		.picture = picture,
		.width = terminal ? picture->columns : TOP_UNLIMITED,
		.lines = picture->lines,
	};
	size_t count = picture->count - picture->first;

	if (terminal && count > (picture->lines > taken ? picture->lines - taken : 0))
		count = picture->lines > taken ? picture->lines - taken : 0;
	*visible = count;
	top_columns_layout(picture->rows + picture->first, count, drawing.width);
	if (terminal)
		output_text(output, HOME);
	if (picture->header)
		draw_head(&drawing);
	for (size_t i = 0; i < count && !drawing.err; i++) {
		size_t start = begin_line(&drawing);

		top_columns_row(output, picture->rows[picture->first + i]);
		end_line(&drawing, start);
	}
	if (picture->help && (!terminal || drawing.lines))
		draw_help(&drawing);
	if (terminal && drawing.lines)
		output_text(output, BELOW);
	return drawing.err;
}
