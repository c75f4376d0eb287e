/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folded stacks, the line format that flamegraph.pl, speedscope, inferno and `sort | uniq` understand:
 *
 *	redis-server;main;aeProcessEvents;processCommand;sortCommand;[...]_[k] 42
 *
 * Root first. As stackcollapse-perf.pl does it, the command is the root and kernel frames end in _[k].
 * Stacks differ by address and by label set, lines only by names: so lines are made first, then sorted,
 * and equal ones summed. The text is the last thing to be rounded, so no fraction of a sample is lost
 * between label sets.
 */
#include "out/profile.h"
#include "out/writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct folded_line {
	size_t text; /* offset in the text of all lines, NUL-terminated */
	uint64_t weight;
};

struct folded {
	const struct profile *p;
	FILE *text; /* open_memstream: one growing block for all lines */
	char *block;
	size_t block_size;
	struct folded_line *lines;
	size_t n_lines;
};

/* A name must not contain what separates frames and lines. */
static void put_name(FILE *to, const char *name)
{
	if (!*name)
		name = "[unknown]";
	while (*name) {
		uint32_t c;
		size_t n = utf8_decode(name, &c);

		if (c == ';')
			putc(':', to);
		else if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029)
			putc('_', to);
		else if (c == UTF8_REPLACEMENT)
			fputs("\xef\xbf\xbd", to);
		else
			fwrite(name, 1, n, to);
		name += n;
	}
}

static void put_stack(struct folded *f, const struct profile_stack *stack, const char *comm)
{
	const struct profile *p = f->p;
	const char *separator = "";

	if (comm) {
		put_name(f->text, comm);
		separator = ";";
	}
	for (uint32_t i = stack->count; i-- > 0;) {
		const struct profile_location *location =
			&p->locations[p->frames[stack->first + i]];

		for (uint32_t j = location->n_lines; j-- > 0;) {
			uint32_t function = p->lines[location->first_line + j].function;

			fputs(separator, f->text);
			put_name(f->text, p->strings[p->functions[function].name]);
			if (location->kind == PROFILE_KERNEL)
				fputs("_[k]", f->text);
			separator = ";";
		}
	}
	if (!*separator) /* neither frames nor a command: still a sample */
		fputs("[unknown]", f->text);
	putc(0, f->text);
}

static int compare_pairs(const void *a, const void *b, void *context)
{
	const struct profile *p = context;
	const struct profile_sample *x = *(const struct profile_sample *const *)a;
	const struct profile_sample *y = *(const struct profile_sample *const *)b;

	if (x->stack != y->stack)
		return x->stack < y->stack ? -1 : 1;
	if (x->labelset != y->labelset) {
		const char *comm_x = label_string(p, x->labelset, "comm");
		const char *comm_y = label_string(p, y->labelset, "comm");

		return strcmp(comm_x ? comm_x : "", comm_y ? comm_y : "");
	}
	return 0;
}

/* One line for each pair of stack and command; the text is written once however many label sets there are. */
static int make_lines(struct folded *f)
{
	const struct profile *p = f->p;
	const struct profile_sample **sorted = malloc((p->n_samples + 1) * sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_samples; i++)
		sorted[i] = &p->samples[i];
	qsort_r(sorted, p->n_samples, sizeof(*sorted), compare_pairs, (void *)p);
	for (size_t i = 0; i < p->n_samples; i++) {
		const struct profile_sample *s = sorted[i];

		if (!i || compare_pairs(&sorted[i - 1], &sorted[i], (void *)p)) {
			f->lines[f->n_lines++].text = (size_t)ftello(f->text);
			put_stack(f, &p->stacks[s->stack], label_string(p, s->labelset, "comm"));
		}
		f->lines[f->n_lines - 1].weight += s->weight;
	}
	free(sorted);
	return 0;
}

static int compare_lines(const void *a, const void *b, void *context)
{
	const struct folded *f = context;
	const struct folded_line *x = a, *y = b;

	return strcmp(f->block + x->text, f->block + y->text);
}

static int write_lines(struct folded *f, int fd)
{
	struct profile_rounding rounding = {0};
	struct stream stream;

	stream_init(&stream, fd);
	qsort_r(f->lines, f->n_lines, sizeof(*f->lines), compare_lines, f);
	for (size_t i = 0, next; i < f->n_lines; i = next) {
		uint64_t weight = 0, count;

		for (next = i; next < f->n_lines; next++) {
			if (compare_lines(&f->lines[i], &f->lines[next], f))
				break;
			weight += f->lines[next].weight;
		}
		count = profile_round(&rounding, weight, 1);
		if (!count)
			continue;
		stream_puts(&stream, f->block + f->lines[i].text);
		stream_puts(&stream, " ");
		stream_number(&stream, count);
		stream_puts(&stream, "\n");
	}
	return stream_flush(&stream);
}

int folded_write(const struct profile *p, int fd)
{
	struct folded f = {.p = p};
	int ret = -ENOMEM;

	f.lines = calloc(p->n_samples + 1, sizeof(*f.lines));
	f.text = open_memstream(&f.block, &f.block_size);
	if (f.lines && f.text)
		ret = make_lines(&f);
	/* Running out of memory shows when the block is closed, or as a stream error before. */
	if (f.text && (ferror(f.text) | fclose(f.text)))
		ret = -ENOMEM;
	if (!ret)
		ret = write_lines(&f, fd);
	free(f.block);
	free(f.lines);
	return ret;
}
