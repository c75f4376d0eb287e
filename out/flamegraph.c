/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the flame graph page: page.html with the profile spliced in as JSON where the marker stands.
 *
 * The page re-aggregates by any label in the browser, so it gets the samples, not a finished graph. They
 * are made small first. A frame of the page is a (function name, object, kind): addresses and lines of
 * one function fall together. Stacks are sorted root first, and each says only how many frames it shares
 * with the one before, which is a prefix tree without pointers:
 *
 *	frames     [name, object, source file, line, flags, ...] strings by index; where it begins, 0: unknown
 *	stacks     [shared, n, frame * n,              ...]   root first, sorted
 *	labelsets  [[key, value, ...], ...]                   a value is a string's index, or text if it was a number
 *	samples    [stacks further than the last, labelset, weight, ...]
 *	strings    [...]                                      only those in use, numbered as they were met
 *
 * The JSON sits in a <script type="application/json">, so the one way out of it would be "</script": no
 * `<` is ever written plainly. All text is data to the page, never markup.
 */
#include "out/profile.h"
#include "out/writer.h"
#include "page.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char marker[] = "@PROFILE_JSON@";

/* Bits of a frame's flags; page.html knows them as well. */
enum {
	FRAME_KERNEL = 1,
	FRAME_MARK = 2,
	FRAME_INLINED = 4, /* somewhere */
	FRAME_CALLED = 8,  /* somewhere not inlined */
};

struct frame {
	uint32_t name, object, file, line, flags;
};

/* A stack as the page sees it: frames root first, inlined functions expanded. */
struct page_stack {
	uint32_t *frames;
	uint32_t count, original;
};

struct page {
	const struct profile *p;
	struct stream *stream;
	struct frame *frames;
	uint32_t n_frames;
	uint32_t *table; /* open addressing, frame index + 1 */
	size_t table_mask;
	uint32_t *line_frame; /* per line of each location, from location_first[location] */
	size_t *location_first;
	struct page_stack *stacks; /* sorted */
	uint32_t *stack_frames;    /* what their frames point into */
	uint32_t *stack_rank;      /* original stack -> its place among the distinct ones */
	uint32_t *string_id;       /* string -> its number in the page + 1 */
	uint32_t *used_strings;
	uint32_t n_used_strings;
};

static void json_string(struct stream *s, const char *text)
{
	stream_puts(s, "\"");
	while (*text) {
		uint32_t c;
		size_t n = utf8_decode(text, &c);
		char escaped[8];

		/* U+2028 and U+2029 end a line in older JavaScript; DEL and C1 controls only confuse. */
		if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == '"' ||
		    c == '\\' || c == '<' || c == '>' || c == '&' || c == UTF8_REPLACEMENT) {
			snprintf(escaped, sizeof(escaped), "\\u%04x", (unsigned int)c);
			stream_puts(s, escaped);
		} else {
			stream_write(s, text, n);
		}
		text += n;
	}
	stream_puts(s, "\"");
}

static void json_number(struct page *g, const char *before, uint64_t number)
{
	stream_puts(g->stream, before);
	stream_number(g->stream, number);
}

static uint32_t page_string(struct page *g, uint32_t string)
{
	if (!g->string_id[string]) {
		g->used_strings[g->n_used_strings++] = string;
		g->string_id[string] = g->n_used_strings;
	}
	return g->string_id[string] - 1;
}

/* --- frames --- */

static uint32_t frame_intern(struct page *g, const struct frame *wanted)
{
	const uint32_t kind = FRAME_KERNEL | FRAME_MARK;
	size_t slot = (wanted->name * 0x9e3779b1u) ^ (wanted->object * 0x85ebca6bu) ^
		      (wanted->flags & kind);

	for (;; slot++) {
		uint32_t *entry = &g->table[slot & g->table_mask];
		struct frame *frame;

		if (!*entry) {
			g->frames[g->n_frames] = *wanted;
			*entry = ++g->n_frames;
			return g->n_frames - 1;
		}
		frame = &g->frames[*entry - 1];
		if (frame->name == wanted->name && frame->object == wanted->object &&
		    !((frame->flags ^ wanted->flags) & kind)) {
			frame->flags |= wanted->flags;
			if (!frame->line && wanted->line) {
				frame->file = wanted->file;
				frame->line = wanted->line;
			}
			return *entry - 1;
		}
	}
}

static void location_frames(struct page *g, const struct profile_location *location, uint32_t *out)
{
	const struct profile *p = g->p;

	for (uint32_t i = 0; i < location->n_lines; i++) {
		const struct profile_function *function =
			&p->functions[p->lines[location->first_line + i].function];
		struct frame frame = {.name = function->name,
				      .file = function->file,
				      .line = function->start_line};

		if (location->mapping != PROFILE_NONE)
			frame.object = p->mappings[location->mapping].file;
		if (location->kind == PROFILE_KERNEL)
			frame.flags |= FRAME_KERNEL;
		if (location->kind == PROFILE_MARK)
			frame.flags |= FRAME_MARK;
		frame.flags |= i + 1 < location->n_lines ? FRAME_INLINED : FRAME_CALLED;
		out[i] = frame_intern(g, &frame);
	}
}

static int make_frames(struct page *g)
{
	const struct profile *p = g->p;
	size_t n_lines = 0;

	g->location_first = malloc((p->n_locations + 1) * sizeof(*g->location_first));
	if (!g->location_first)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_locations; i++) {
		g->location_first[i] = n_lines;
		n_lines += p->locations[i].n_lines;
	}
	for (g->table_mask = 64; g->table_mask < 2 * n_lines; g->table_mask *= 2)
		;
	g->table = calloc(g->table_mask, sizeof(*g->table));
	g->table_mask--;
	g->frames = malloc((n_lines + 1) * sizeof(*g->frames));
	g->line_frame = malloc((n_lines + 1) * sizeof(*g->line_frame));
	if (!g->table || !g->frames || !g->line_frame)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_locations; i++)
		location_frames(g, &p->locations[i], g->line_frame + g->location_first[i]);
	return 0;
}

/* --- stacks --- */

static int compare_stacks(const void *a, const void *b)
{
	const struct page_stack *x = a, *y = b;
	uint32_t shorter = x->count < y->count ? x->count : y->count;

	for (uint32_t i = 0; i < shorter; i++)
		if (x->frames[i] != y->frames[i])
			return x->frames[i] < y->frames[i] ? -1 : 1;
	return (x->count > y->count) - (x->count < y->count);
}

static void expand_stack(const struct page *g, uint32_t index, struct page_stack *out)
{
	const struct profile *p = g->p;
	const struct profile_stack *stack = &p->stacks[index];

	out->original = index;
	out->count = 0;
	for (uint32_t i = stack->count; i-- > 0;) {
		uint32_t location = p->frames[stack->first + i];

		for (uint32_t j = p->locations[location].n_lines; j-- > 0;)
			out->frames[out->count++] = g->line_frame[g->location_first[location] + j];
	}
}

static int make_stacks(struct page *g)
{
	const struct profile *p = g->p;
	size_t n = 0;
	uint32_t *next, rank = 0;

	for (size_t i = 0; i < p->n_stacks; i++)
		for (uint32_t j = 0; j < p->stacks[i].count; j++)
			n += p->locations[p->frames[p->stacks[i].first + j]].n_lines;
	g->stacks = malloc((p->n_stacks + 1) * sizeof(*g->stacks));
	g->stack_rank = malloc((p->n_stacks + 1) * sizeof(*g->stack_rank));
	next = g->stack_frames = malloc((n + 1) * sizeof(*g->stack_frames));
	if (!g->stacks || !g->stack_rank || !g->stack_frames)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_stacks; i++) {
		g->stacks[i].frames = next;
		expand_stack(g, (uint32_t)i, &g->stacks[i]);
		next += g->stacks[i].count;
	}
	qsort(g->stacks, p->n_stacks, sizeof(*g->stacks), compare_stacks);
	for (size_t i = 0; i < p->n_stacks; i++) {
		if (i && compare_stacks(&g->stacks[i - 1], &g->stacks[i]))
			rank++;
		g->stack_rank[g->stacks[i].original] = rank;
	}
	return 0;
}

/* --- JSON --- */

static void put_head(struct page *g)
{
	const struct profile *p = g->p;
	struct stream *s = g->stream;

	stream_puts(s, "{\"command\":");
	json_string(s, p->command ? p->command : "");
	json_number(g, ",\"period_ns\":", p->period_ns);
	json_number(g, ",\"time_ms\":", p->time_ns / 1000000);
	json_number(g, ",\"duration_ns\":", p->duration_ns);
	stream_puts(s, ",\n\"comments\":[");
	for (size_t i = 0; i < p->n_comments; i++) {
		stream_puts(s, i ? ",\n" : "\n");
		json_string(s, p->comments[i]);
	}
	stream_puts(s, "]");
}

static void put_frames(struct page *g)
{
	stream_puts(g->stream, ",\n\"frames\":[");
	for (uint32_t i = 0; i < g->n_frames; i++) {
		const struct frame *frame = &g->frames[i];

		json_number(g, i ? "," : "", page_string(g, frame->name));
		json_number(g, ",", page_string(g, frame->object));
		json_number(g, ",", page_string(g, frame->file));
		json_number(g, ",", frame->line);
		json_number(g, ",", frame->flags);
	}
	stream_puts(g->stream, "]");
}

static void put_stacks(struct page *g)
{
	const struct page_stack *last = NULL;

	stream_puts(g->stream, ",\n\"stacks\":[");
	for (size_t i = 0; i < g->p->n_stacks; i++) {
		const struct page_stack *stack = &g->stacks[i];
		uint32_t shared = 0;

		if (last && !compare_stacks(last, stack))
			continue;
		while (last && shared < last->count && shared < stack->count &&
		       last->frames[shared] == stack->frames[shared])
			shared++;
		json_number(g, last ? "," : "", shared);
		json_number(g, ",", stack->count - shared);
		for (uint32_t j = shared; j < stack->count; j++)
			json_number(g, ",", stack->frames[j]);
		last = stack;
	}
	stream_puts(g->stream, "]");
}

static void put_labelset(struct page *g, const struct profile_labelset *set)
{
	const char *separator = "";

	for (uint32_t i = 0; i < set->count; i++) {
		const struct profile_label *label = &g->p->labels[set->first + i];
		char number[32];

		json_number(g, separator, page_string(g, label->key));
		if (label->unit) {
			snprintf(number, sizeof(number), ",\"%lld\"", (long long)label->number);
			stream_puts(g->stream, number);
		} else {
			json_number(g, ",", page_string(g, label->value));
		}
		separator = ",";
	}
}

static void put_labelsets(struct page *g)
{
	stream_puts(g->stream, ",\n\"labelsets\":[");
	for (size_t i = 0; i < g->p->n_labelsets; i++) {
		stream_puts(g->stream, i ? ",[" : "[");
		put_labelset(g, &g->p->labelsets[i]);
		stream_puts(g->stream, "]");
	}
	stream_puts(g->stream, "]");
}

static int compare_samples(const void *a, const void *b)
{
	const struct profile_sample *x = a, *y = b;

	if (x->stack != y->stack)
		return x->stack < y->stack ? -1 : 1;
	return (x->labelset > y->labelset) - (x->labelset < y->labelset);
}

static int put_samples(struct page *g)
{
	size_t n = g->p->n_samples;
	struct profile_sample *sorted = malloc((n + 1) * sizeof(*sorted));
	uint32_t last_stack = 0;
	const char *separator = "";

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		sorted[i] = g->p->samples[i];
		sorted[i].stack = g->stack_rank[sorted[i].stack];
	}
	qsort(sorted, n, sizeof(*sorted), compare_samples);
	stream_puts(g->stream, ",\n\"samples\":[");
	for (size_t i = 0, next; i < n; i = next) {
		uint64_t weight = 0;

		for (next = i; next < n && !compare_samples(&sorted[i], &sorted[next]); next++)
			weight += sorted[next].weight;
		json_number(g, separator, sorted[i].stack - last_stack);
		json_number(g, ",", sorted[i].labelset);
		json_number(g, ",", weight);
		last_stack = sorted[i].stack;
		separator = ",";
	}
	stream_puts(g->stream, "]");
	free(sorted);
	return 0;
}

static int put_json(struct page *g)
{
	int ret;

	put_head(g);
	put_frames(g);
	put_stacks(g);
	put_labelsets(g);
	ret = put_samples(g);
	if (ret)
		return ret;
	stream_puts(g->stream, ",\n\"strings\":[");
	for (uint32_t i = 0; i < g->n_used_strings; i++) {
		stream_puts(g->stream, i ? ",\n" : "\n");
		json_string(g->stream, g->p->strings[g->used_strings[i]]);
	}
	stream_puts(g->stream, "]}");
	return 0;
}

static int page_make(struct page *g)
{
	int ret = make_frames(g);

	if (!ret)
		ret = make_stacks(g);
	g->string_id = calloc(g->p->n_strings + 1, sizeof(*g->string_id));
	g->used_strings = malloc((g->p->n_strings + 1) * sizeof(*g->used_strings));
	if (!ret && (!g->string_id || !g->used_strings))
		ret = -ENOMEM;
	return ret;
}

static void page_free(struct page *g)
{
	if (!g)
		return;
	free(g->frames);
	free(g->table);
	free(g->line_frame);
	free(g->location_first);
	free(g->stacks);
	free(g->stack_frames);
	free(g->stack_rank);
	free(g->string_id);
	free(g->used_strings);
	free(g);
}

int flamegraph_put(const struct profile *p, struct stream *stream)
{
	const char *page = (const char *)page_html, *end = page + sizeof(page_html);
	const char *cut = memmem(page, sizeof(page_html), marker, sizeof(marker) - 1);
	struct page *g = calloc(1, sizeof(*g));
	int ret;

	assert(cut);
	if (!g)
		return -ENOMEM;
	g->p = p;
	g->stream = stream;
	ret = page_make(g);
	if (ret)
		goto out;
	stream_write(stream, page, (size_t)(cut - page));
	ret = put_json(g);
	if (ret)
		goto out;
	cut += sizeof(marker) - 1;
	stream_write(stream, cut, (size_t)(end - cut));
out:
	page_free(g);
	return ret;
}

int flamegraph_write(const struct profile *p, int fd)
{
	struct stream stream;
	int ret;

	stream_init(&stream, fd);
	ret = flamegraph_put(p, &stream);
	return ret ? ret : stream_flush(&stream);
}
