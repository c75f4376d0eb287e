/* SPDX-License-Identifier: Apache-2.0 */
/* See profile_build.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "profile_build.h"
#include "source_lines.h"

struct builder {
	struct aggregate *a;
	enum stack_parts parts;
	struct profile *p;
	struct profile_mapping *mappings;
	uint32_t *mapping_of; /* by object; the kernel's is behind the last */
	struct profile_location *locations;
	struct profile_function *functions;
	struct profile_line *lines;
	struct intern function_keys;
	struct source_lines source;
	struct profile_stack *stacks;
	uint32_t *frames;
	uint32_t user_mark;
};

static void *array(size_t n, size_t element)
{
	return calloc(n ? n : 1, element);
}

static enum profile_kind kind_of(const struct location *l)
{
	if (l->object == OBJECT_MARK)
		return PROFILE_MARK;
	return l->object == OBJECT_KERNEL ? PROFILE_KERNEL : PROFILE_USER;
}

static size_t object_slot(const struct builder *b, const struct location *l)
{
	return l->object == OBJECT_KERNEL ? b->a->processes->objects.n : l->object;
}

static void describe_mapping(struct builder *b, const struct location *l,
			     struct profile_mapping *m)
{
	const struct object *object;
	struct elf_segment first;

	*m = (struct profile_mapping){.start = l->vaddr, .limit = l->vaddr + 1};
	if (l->object == OBJECT_KERNEL) {
		m->file = aggregate_string(b->a, "[kernel.kallsyms]");
		m->has_functions = 1;
		return;
	}
	object = &b->a->processes->objects.list[l->object];
	m->file = aggregate_string(b->a, object->elf ? elf_object_path(object->elf) : object->name);
	if (!object->elf)
		return;
	m->build_id = aggregate_string(b->a, elf_object_build_id(object->elf));
	m->has_functions = elf_object_has_symbols(object->elf);
	if (elf_object_text(object->elf, &m->start, &m->limit) &&
	    elf_object_segment_of(object->elf, m->start, &first))
		m->offset = first.offset;
}

/* The mapping of a location; made at its first address, stretched to hold the others. */
static uint32_t mapping_for(struct builder *b, const struct location *l)
{
	uint32_t *slot = &b->mapping_of[object_slot(b, l)];
	struct profile_mapping *m;

	if (*slot == PROFILE_NONE) {
		*slot = b->p->n_mappings++;
		describe_mapping(b, l, &b->mappings[*slot]);
	}
	m = &b->mappings[*slot];
	if (l->vaddr >= m->limit)
		m->limit = l->vaddr + 1;
	if (l->vaddr && l->vaddr < m->start) {
		m->offset = 0;
		m->start = l->vaddr;
	}
	return *slot;
}

/* pprof's mapping[0]: what the first process runs, and lies lowest in it. Not object 0: of a command that is wireprof. */
static uint32_t first_object(const struct processes *p)
{
	const struct process *first = p->n ? p->list[0] : NULL;

	return first && first->n_mappings ? first->mappings[0].object : OBJECT_KERNEL;
}

static int add_line(struct builder *b, const struct source_line *from)
{
	struct profile_function f = {.name = from->name,
				     .system_name = from->system_name,
				     .file = from->file,
				     .start_line = from->start_line};
	uint32_t id = intern(&b->function_keys, &f, sizeof(f));

	if (id == INTERN_NONE)
		return -ENOMEM;
	b->functions[id] = f;
	b->lines[b->p->n_lines++] = (struct profile_line){.function = id, .line = from->line};
	return 0;
}

/* The lines of location i: as the source has them, else the one function that its symbol names. */
static int add_lines(struct builder *b, size_t i)
{
	const struct location *l = &b->a->locations[i];
	const struct source_line only = {.name = l->name, .system_name = l->system_name};
	int err = 0;

	if (!b->source.count || !b->source.count[i])
		return add_line(b, &only);
	for (size_t j = 0; j < b->source.count[i] && !err; j++)
		err = add_line(b, &b->source.list[b->source.first[i] + j]);
	return err;
}

static int build_locations(struct builder *b)
{
	size_t n = b->a->location_keys.n, n_lines = n + b->source.n;
	uint32_t main_object;

	b->locations = array(n, sizeof(*b->locations));
	b->functions = array(n_lines, sizeof(*b->functions));
	b->lines = array(n_lines, sizeof(*b->lines));
	b->mappings = array(b->a->processes->objects.n + 1, sizeof(*b->mappings));
	b->mapping_of = array(b->a->processes->objects.n + 1, sizeof(*b->mapping_of));
	if (!b->locations || !b->functions || !b->lines || !b->mappings || !b->mapping_of)
		return -ENOMEM;
	memset(b->mapping_of, 0xff, (b->a->processes->objects.n + 1) * sizeof(*b->mapping_of));
	main_object = first_object(b->a->processes);
	if (main_object < b->a->processes->objects.n)
		mapping_for(b, &(struct location){.object = main_object});
	for (size_t i = 0; i < n; i++) {
		const struct location *l = &b->a->locations[i];
		size_t first = b->p->n_lines;

		if (add_lines(b, i))
			return -ENOMEM;
		b->locations[i] = (struct profile_location){
			.mapping = kind_of(l) == PROFILE_MARK ? PROFILE_NONE : mapping_for(b, l),
			.first_line = first,
			.n_lines = b->p->n_lines - first,
			.address = l->vaddr,
			.kind = kind_of(l),
		};
	}
	b->p->n_locations = n;
	b->p->n_functions = b->function_keys.n;
	return 0;
}

static bool frame_wanted(const struct builder *b, uint32_t location)
{
	enum profile_kind kind = b->locations[location].kind;

	if (b->parts == STACKS_USER_ONLY)
		return kind != PROFILE_KERNEL;
	if (b->parts == STACKS_KERNEL_ONLY)
		return kind == PROFILE_KERNEL;
	return true;
}

static int build_stacks(struct builder *b)
{
	size_t n_stacks = b->a->stacks.n, total = 0, size, at = 0;

	for (size_t i = 0; i < n_stacks; i++) {
		intern_key(&b->a->stacks, i, &size);
		total += size / sizeof(uint32_t) + 1;
	}
	b->stacks = array(n_stacks, sizeof(*b->stacks));
	b->frames = array(total, sizeof(*b->frames));
	if (!b->stacks || !b->frames)
		return -ENOMEM;
	for (size_t i = 0; i < n_stacks; i++) {
		const uint32_t *frames = intern_key(&b->a->stacks, i, &size);

		b->stacks[i].first = at;
		for (size_t f = 0; f < size / sizeof(uint32_t); f++)
			if (frame_wanted(b, frames[f]))
				b->frames[at++] = frames[f];
		if (at == b->stacks[i].first && b->parts == STACKS_KERNEL_ONLY)
			b->frames[at++] = b->user_mark;
		b->stacks[i].count = at - b->stacks[i].first;
	}
	b->p->n_stacks = n_stacks;
	b->p->n_frames = at;
	return 0;
}

static int build_samples(struct builder *b)
{
	struct aggregate *a = b->a;
	struct profile_label *labels;
	struct profile_labelset *sets;
	struct profile_sample *samples;
	size_t size, n_labels = 0;

	for (size_t i = 0; i < a->labelsets.n; i++) {
		intern_key(&a->labelsets, i, &size);
		n_labels += size / sizeof(*labels);
	}
	b->p->labels = labels = array(n_labels, sizeof(*labels));
	b->p->labelsets = sets = array(a->labelsets.n, sizeof(*sets));
	b->p->samples = samples = array(a->samples.n, sizeof(*samples));
	if (!labels || !sets || !samples)
		return -ENOMEM;
	n_labels = 0;
	for (size_t i = 0; i < a->labelsets.n; i++) {
		const void *key = intern_key(&a->labelsets, i, &size);

		memcpy(labels + n_labels, key, size);
		sets[i].first = n_labels;
		sets[i].count = size / sizeof(*labels);
		n_labels += sets[i].count;
	}
	for (size_t i = 0; i < a->samples.n; i++) {
		const uint32_t *key = intern_key(&a->samples, i, &size); /* struct sample_key */

		samples[i] = (struct profile_sample){key[0], key[1], a->weights[i]};
	}
	b->p->n_labels = n_labels;
	b->p->n_labelsets = a->labelsets.n;
	b->p->n_samples = a->samples.n;
	return 0;
}

static int build_strings(struct builder *b)
{
	const char **strings = array(b->a->strings.n, sizeof(*strings));

	if (!strings)
		return -ENOMEM;
	for (size_t i = 0; i < b->a->strings.n; i++)
		strings[i] = intern_key(&b->a->strings, i, NULL);
	b->p->strings = strings;
	b->p->n_strings = b->a->strings.n;
	return 0;
}

int profile_build(struct aggregate *a, enum stack_parts parts, bool inlines, struct profile *out)
{
	struct builder b = {.a = a, .parts = parts, .p = out};
	int err = 0;

	memset(out, 0, sizeof(*out));
	intern_init(&b.function_keys, UINT32_MAX);
	b.user_mark = aggregate_mark(a, MARK_USER);
	if (inlines)
		err = source_lines_read(a, &b.source);
	if (!err)
		err = build_locations(&b);
	if (!err)
		err = build_stacks(&b);
	if (!err)
		err = build_samples(&b);
	if (!err)
		err = build_strings(&b); /* last: the others make strings */
	out->mappings = b.mappings;
	out->functions = b.functions;
	out->lines = b.lines;
	out->locations = b.locations;
	out->stacks = b.stacks;
	out->frames = b.frames;
	free(b.mapping_of);
	source_lines_fini(&b.source);
	intern_fini(&b.function_keys);
	if (err)
		profile_free(out);
	return err;
}

void profile_free(struct profile *p)
{
	free((void *)p->strings);
	free((void *)p->mappings);
	free((void *)p->functions);
	free((void *)p->lines);
	free((void *)p->locations);
	free((void *)p->frames);
	free((void *)p->stacks);
	free((void *)p->labels);
	free((void *)p->labelsets);
	free((void *)p->samples);
	memset(p, 0, sizeof(*p));
}
