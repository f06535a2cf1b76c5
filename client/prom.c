// SPDX-License-Identifier: GPL-2.0-only
// One line after the other of Prometheus' text format; whoever reads it never meets raw text.
#include "escape.h"
#include "output.h"
#include "prom.h"

#define SECOND_NS     1000000000
#define SECOND_DIGITS 9

void prom_head(struct output *output, const char *name, const char *type, const char *help)
{
	output_text(output, "# HELP ");
	output_text(output, name);
	output_char(output, ' ');
	output_text(output, help);
	output_text(output, "\n# TYPE ");
	output_text(output, name);
	output_char(output, ' ');
	output_text(output, type);
	output_char(output, '\n');
}

void prom_begin(struct prom *prom, struct output *output, const char *name, const char *suffix)
{
	*prom = (struct prom){.output = output};
	output_text(output, name);
	output_text(output, suffix);
}

void prom_open(struct prom *prom, const char *key)
{
	output_char(prom->output, prom->labels ? ',' : '{');
	output_text(prom->output, key);
	output_text(prom->output, "=\"");
	prom->labels = true;
}

void prom_close(struct prom *prom)
{
	output_char(prom->output, '"');
}

void prom_text(struct prom *prom, const char *key, const void *text, size_t length, size_t max)
{
	char safe[PROM_CUT_MAX + 1];
	size_t size, done = 0;

	size = escape_terminal(safe, (max < PROM_CUT_MAX ? max : PROM_CUT_MAX) + 1, text, length);
	prom_open(prom, key);
	while (done < size) {
		size_t plain = strcspn(safe + done, "\\\"");

		output_bytes(prom->output, safe + done, plain);
		done += plain;
		if (done == size)
			break;
		output_char(prom->output, '\\');
		output_char(prom->output, safe[done++]);
	}
	prom_close(prom);
}

void prom_word(struct prom *prom, const char *key, const char *word)
{
	if (word)
		prom_text(prom, key, word, strlen(word), PROM_TEXT_MAX);
}

void prom_number(struct prom *prom, const char *key, uint64_t number)
{
	prom_open(prom, key);
	output_unsigned(prom->output, number);
	prom_close(prom);
}

static void end_labels(struct prom *prom)
{
	output_text(prom->output, prom->labels ? "} " : " ");
}

void prom_value(struct prom *prom, uint64_t value)
{
	end_labels(prom);
	output_unsigned(prom->output, value);
	output_char(prom->output, '\n');
}

void prom_put_seconds(struct output *output, uint64_t nanoseconds)
{
	uint64_t rest = nanoseconds % SECOND_NS;
	unsigned digits = SECOND_DIGITS;
	char *to;

	output_unsigned(output, nanoseconds / SECOND_NS);
	for (; rest && rest % 10 == 0; rest /= 10)
		digits--;
	if (!rest)
		return;
	output_char(output, '.');
	to = output_room(output, digits);
	if (to)
		output_take(output, output_put_digits(to, rest, digits));
}

void prom_seconds(struct prom *prom, uint64_t nanoseconds)
{
	end_labels(prom);
	prom_put_seconds(prom->output, nanoseconds);
	output_char(prom->output, '\n');
}
