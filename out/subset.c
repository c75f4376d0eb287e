/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See subset.h. Two passes: what is used is marked, from the samples down to the strings; then
 * what is marked gets its new number, in the old order, and is copied.
 *
 *	samples -> stacks -> locations -> mappings, lines -> functions -> strings
 *	        -> labelsets -----------------------------------------> strings
 */
#include "out/subset.h"
#include "out/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct subset {
	struct profile p;
	const char **strings;
	char **copies; /* of strings that were cut or repaired */
	size_t n_copies;
	struct profile_mapping *mappings;
	struct profile_function *functions;
	struct profile_line *lines;
	struct profile_location *locations;
	uint32_t *frames;
	struct profile_stack *stacks;
	struct profile_label *labels;
	struct profile_labelset *labelsets;
	struct profile_sample *samples;
};

/* For each table an element's new number + 1, 0 where it is not used; while marking, 1 where it is.
 */
struct numbers {
	uint32_t *strings, *mappings, *functions, *locations, *stacks, *labelsets;
};

static int numbers_init(struct numbers *n, const struct profile *p)
{
	n->strings = calloc(p->n_strings + 1, sizeof(*n->strings));
	n->mappings = calloc(p->n_mappings + 1, sizeof(*n->mappings));
	n->functions = calloc(p->n_functions + 1, sizeof(*n->functions));
	n->locations = calloc(p->n_locations + 1, sizeof(*n->locations));
	n->stacks = calloc(p->n_stacks + 1, sizeof(*n->stacks));
	n->labelsets = calloc(p->n_labelsets + 1, sizeof(*n->labelsets));
	return n->strings && n->mappings && n->functions && n->locations && n->stacks &&
			       n->labelsets
		       ? 0
		       : -ENOMEM;
}

static void numbers_fini(struct numbers *n)
{
	free(n->strings);
	free(n->mappings);
	free(n->functions);
	free(n->locations);
	free(n->stacks);
	free(n->labelsets);
}

static struct profile_stack cut_stack(const struct profile_stack *stack, uint32_t frames)
{
	uint32_t over = stack->count > frames ? stack->count - frames : 0;

	return (struct profile_stack){stack->first + over, stack->count - over};
}

static void mark_location(const struct profile *p, struct numbers *n, uint32_t index)
{
	const struct profile_location *location = &p->locations[index];

	if (n->locations[index])
		return;
	n->locations[index] = 1;
	if (location->mapping != PROFILE_NONE) {
		n->mappings[location->mapping] = 1;
		n->strings[p->mappings[location->mapping].file] = 1;
		n->strings[p->mappings[location->mapping].build_id] = 1;
	}
	for (uint32_t i = 0; i < location->n_lines; i++) {
		uint32_t f = p->lines[location->first_line + i].function;

		n->functions[f] = 1;
		n->strings[p->functions[f].name] = 1;
		n->strings[p->functions[f].system_name] = 1;
		n->strings[p->functions[f].file] = 1;
	}
}

static void mark_labelset(const struct profile *p, struct numbers *n, uint32_t index)
{
	const struct profile_labelset *set = &p->labelsets[index];

	if (n->labelsets[index])
		return;
	n->labelsets[index] = 1;
	for (uint32_t i = 0; i < set->count; i++) {
		const struct profile_label *label = &p->labels[set->first + i];

		n->strings[label->key] = 1;
		n->strings[label->unit ? label->unit : label->value] = 1;
	}
}

static void mark(const struct profile *p, struct numbers *n, const struct profile_sample *samples,
		 size_t n_samples, uint32_t frames)
{
	n->strings[0] = 1;
	for (size_t i = 0; i < n_samples; i++) {
		struct profile_stack stack = cut_stack(&p->stacks[samples[i].stack], frames);

		mark_labelset(p, n, samples[i].labelset);
		if (n->stacks[samples[i].stack])
			continue;
		n->stacks[samples[i].stack] = 1;
		for (uint32_t j = 0; j < stack.count; j++)
			mark_location(p, n, p->frames[stack.first + j]);
	}
}

/* Gives out the new numbers of one table; returns how many. */
static size_t number(uint32_t *marks, size_t n)
{
	uint32_t used = 0;

	for (size_t i = 0; i < n; i++)
		if (marks[i])
			marks[i] = ++used;
	return used;
}

/* Memory for a table of the subset; its room is counted before anything is copied. */
#define TABLE(s, field, n)                                                                         \
	((s)->p.field = (const void *)((s)->field = calloc((n) + 1, sizeof(*(s)->field))))

static int allocate(struct subset *s, const struct profile *p, struct numbers *n, size_t n_samples,
		    uint32_t frames)
{
	size_t n_frames = 0, n_lines = 0, n_labels = 0;

	for (size_t i = 0; i < p->n_stacks; i++)
		if (n->stacks[i])
			n_frames += cut_stack(&p->stacks[i], frames).count;
	for (size_t i = 0; i < p->n_locations; i++)
		if (n->locations[i])
			n_lines += p->locations[i].n_lines;
	for (size_t i = 0; i < p->n_labelsets; i++)
		if (n->labelsets[i])
			n_labels += p->labelsets[i].count;
	s->p.n_strings = number(n->strings, p->n_strings);
	s->p.n_mappings = number(n->mappings, p->n_mappings);
	s->p.n_functions = number(n->functions, p->n_functions);
	s->p.n_locations = number(n->locations, p->n_locations);
	s->p.n_stacks = number(n->stacks, p->n_stacks);
	s->p.n_labelsets = number(n->labelsets, p->n_labelsets);
	s->copies = calloc(s->p.n_strings + 1, sizeof(*s->copies));
	if (!s->copies || !TABLE(s, strings, s->p.n_strings) || !TABLE(s, frames, n_frames) ||
	    !TABLE(s, mappings, s->p.n_mappings) || !TABLE(s, functions, s->p.n_functions) ||
	    !TABLE(s, locations, s->p.n_locations) || !TABLE(s, stacks, s->p.n_stacks) ||
	    !TABLE(s, labelsets, s->p.n_labelsets) || !TABLE(s, samples, n_samples) ||
	    !TABLE(s, lines, n_lines) || !TABLE(s, labels, n_labels))
		return -ENOMEM;
	return 0;
}

static int copy_strings(struct subset *s, const struct profile *p, const struct numbers *n,
			size_t max)
{
	for (size_t i = 0; i < p->n_strings; i++) {
		const char *text = p->strings[i];

		if (!n->strings[i])
			continue;
		if (!utf8_valid(text) || strlen(text) > max) {
			text = s->copies[s->n_copies++] = utf8_repaired(text, max);
			if (!text)
				return -ENOMEM;
		}
		s->strings[n->strings[i] - 1] = text;
	}
	return 0;
}

static void copy_code(struct subset *s, const struct profile *p, const struct numbers *n)
{
	for (size_t i = 0; i < p->n_mappings; i++) {
		struct profile_mapping *to;

		if (!n->mappings[i])
			continue;
		to = &s->mappings[n->mappings[i] - 1];
		*to = p->mappings[i];
		to->file = n->strings[to->file] - 1;
		to->build_id = n->strings[to->build_id] - 1;
	}
	for (size_t i = 0; i < p->n_functions; i++) {
		struct profile_function *to;

		if (!n->functions[i])
			continue;
		to = &s->functions[n->functions[i] - 1];
		*to = p->functions[i];
		to->name = n->strings[to->name] - 1;
		to->system_name = n->strings[to->system_name] - 1;
		to->file = n->strings[to->file] - 1;
	}
	for (size_t i = 0; i < p->n_locations; i++) {
		struct profile_location *to;

		if (!n->locations[i])
			continue;
		to = &s->locations[n->locations[i] - 1];
		*to = p->locations[i];
		if (to->mapping != PROFILE_NONE)
			to->mapping = n->mappings[to->mapping] - 1;
		to->first_line = (uint32_t)s->p.n_lines;
		for (uint32_t j = 0; j < to->n_lines; j++) {
			struct profile_line *line = &s->lines[s->p.n_lines++];

			*line = p->lines[p->locations[i].first_line + j];
			line->function = n->functions[line->function] - 1;
		}
	}
}

static void copy_stacks(struct subset *s, const struct profile *p, const struct numbers *n,
			uint32_t frames)
{
	for (size_t i = 0; i < p->n_stacks; i++) {
		struct profile_stack from;

		if (!n->stacks[i])
			continue;
		from = cut_stack(&p->stacks[i], frames);
		s->stacks[n->stacks[i] - 1] =
			(struct profile_stack){(uint32_t)s->p.n_frames, from.count};
		for (uint32_t j = 0; j < from.count; j++)
			s->frames[s->p.n_frames++] = n->locations[p->frames[from.first + j]] - 1;
	}
}

static void copy_labels(struct subset *s, const struct profile *p, const struct numbers *n)
{
	for (size_t i = 0; i < p->n_labelsets; i++) {
		const struct profile_labelset *from = &p->labelsets[i];

		if (!n->labelsets[i])
			continue;
		s->labelsets[n->labelsets[i] - 1] =
			(struct profile_labelset){(uint32_t)s->p.n_labels, from->count};
		for (uint32_t j = 0; j < from->count; j++) {
			struct profile_label *to = &s->labels[s->p.n_labels++];

			*to = p->labels[from->first + j];
			to->key = n->strings[to->key] - 1;
			if (to->unit)
				to->unit = n->strings[to->unit] - 1;
			else
				to->value = n->strings[to->value] - 1;
		}
	}
}

int subset_new(const struct profile *p, const struct profile_sample *samples, size_t n_samples,
	       const struct subset_limits *limits, struct subset **out)
{
	struct subset *s = calloc(1, sizeof(*s));
	struct numbers n = {0};
	int ret = -ENOMEM;

	if (!s || numbers_init(&n, p))
		goto done;
	s->p.period_ns = p->period_ns;
	s->p.time_ns = p->time_ns;
	s->p.duration_ns = p->duration_ns;
	s->p.command = p->command;
	mark(p, &n, samples, n_samples, limits->frames);
	ret = allocate(s, p, &n, n_samples, limits->frames);
	if (!ret)
		ret = copy_strings(s, p, &n, limits->string_bytes);
	if (ret)
		goto done;
	copy_code(s, p, &n);
	copy_stacks(s, p, &n, limits->frames);
	copy_labels(s, p, &n);
	for (size_t i = 0; i < n_samples; i++)
		s->samples[s->p.n_samples++] = (struct profile_sample){
			n.stacks[samples[i].stack] - 1, n.labelsets[samples[i].labelset] - 1,
			samples[i].weight};
done:
	numbers_fini(&n);
	if (ret)
		subset_free(s);
	else
		*out = s;
	return ret;
}

const struct profile *subset_profile(const struct subset *s)
{
	return &s->p;
}

void subset_free(struct subset *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_copies; i++)
		free(s->copies[i]);
	free(s->copies);
	free(s->strings);
	free(s->mappings);
	free(s->functions);
	free(s->lines);
	free(s->locations);
	free(s->frames);
	free(s->stacks);
	free(s->labels);
	free(s->labelsets);
	free(s->samples);
	free(s);
}
