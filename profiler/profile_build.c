/* SPDX-License-Identifier: Apache-2.0 */
/* See profile_build.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "profile_build.h"

/* Numbers in the aggregation -> numbers in the profile, for what its samples use. */
struct numbering {
	uint32_t *of; /* PROFILE_NONE: not used */
	size_t room;
	uint32_t n;
};

struct builder {
	struct aggregate *a;
	const uint64_t *weights; /* by sample */
	enum stack_parts parts;
	struct profile *p;
	struct numbering stack_numbers, set_numbers, location_numbers, string_numbers;
	struct profile_mapping *mappings;
	uint32_t *mapping_of; /* by object; the kernel's is behind the last */
	struct profile_location *locations;
	struct profile_function *functions;
	struct profile_line *lines;
	size_t functions_room, lines_room;
	struct intern function_keys;
	const struct source_lines *source; /* NULL: none wanted */
	struct profile_stack *stacks;
	uint32_t *frames;
	uint32_t user_mark;
};

static void *array(size_t n, size_t element)
{
	return calloc(n ? n : 1, element);
}

static int numbering_init(struct numbering *n, size_t room)
{
	n->of = array(room, sizeof(*n->of));
	if (!n->of)
		return -ENOMEM;
	memset(n->of, 0xff, room * sizeof(*n->of));
	n->room = room;
	return 0;
}

static uint32_t number(struct numbering *n, uint32_t id)
{
	if (n->of[id] == PROFILE_NONE)
		n->of[id] = n->n++;
	return n->of[id];
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

	for (size_t i = 0; i < p->n && first->gone && !p->keep_first; i++)
		if (!p->list[i]->gone)
			first = p->list[i];

	return first && first->n_mappings ? first->mappings[0].object : OBJECT_KERNEL;
}

static int add_line(struct builder *b, const struct source_line *from)
{
	struct profile_function f = {.name = from->name,
				     .system_name = from->system_name,
				     .file = from->file,
				     .start_line = from->start_line};
	uint32_t id = intern(&b->function_keys, &f, sizeof(f));

	if (id == INTERN_NONE ||
	    array_reserve((void **)&b->functions, &b->functions_room, id, sizeof(f)) ||
	    array_reserve((void **)&b->lines, &b->lines_room, b->p->n_lines, sizeof(*b->lines)))
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

	if (!b->source || i >= b->source->n_locations || !b->source->count[i])
		return add_line(b, &only);
	for (size_t j = 0; j < b->source->count[i] && !err; j++)
		err = add_line(b, &b->source->list[b->source->first[i] + j]);
	return err;
}

static int build_location(struct builder *b, size_t i)
{
	const struct location *l = &b->a->locations[i];
	size_t first = b->p->n_lines;

	if (add_lines(b, i))
		return -ENOMEM;
	b->locations[b->location_numbers.of[i]] = (struct profile_location){
		.mapping = kind_of(l) == PROFILE_MARK ? PROFILE_NONE : mapping_for(b, l),
		.first_line = first,
		.n_lines = b->p->n_lines - first,
		.address = l->vaddr,
		.kind = kind_of(l),
	};
	return 0;
}

static int build_locations(struct builder *b)
{
	size_t n_objects = b->a->processes->objects.n + 1;
	uint32_t main_object = first_object(b->a->processes);

	b->locations = array(b->location_numbers.n, sizeof(*b->locations));
	b->mappings = array(n_objects, sizeof(*b->mappings));
	b->mapping_of = array(n_objects, sizeof(*b->mapping_of));
	if (!b->locations || !b->mappings || !b->mapping_of)
		return -ENOMEM;
	memset(b->mapping_of, 0xff, n_objects * sizeof(*b->mapping_of));
	if (main_object + 1 < n_objects)
		mapping_for(b, &(struct location){.object = main_object});
	for (size_t i = 0; i < b->location_numbers.room; i++)
		if (b->location_numbers.of[i] != PROFILE_NONE && build_location(b, i))
			return -ENOMEM;
	b->p->n_locations = b->location_numbers.n;
	b->p->n_functions = b->function_keys.n;
	return 0;
}

static bool frame_wanted(const struct builder *b, uint32_t location)
{
	enum profile_kind kind = kind_of(&b->a->locations[location]);

	if (b->parts == STACKS_USER_ONLY)
		return kind != PROFILE_KERNEL;
	if (b->parts == STACKS_KERNEL_ONLY)
		return kind == PROFILE_KERNEL;
	return true;
}

/* The frames of stack i, from frames[at] on. Returns where they end. */
static size_t build_stack(struct builder *b, uint32_t i, size_t at)
{
	struct profile_stack *stack = &b->stacks[b->stack_numbers.of[i]];
	size_t size;
	const uint32_t *frames = intern_key(&b->a->stacks, i, &size);

	stack->first = at;
	for (size_t f = 0; f < size / sizeof(uint32_t); f++)
		if (frame_wanted(b, frames[f]))
			b->frames[at++] = number(&b->location_numbers, frames[f]);
	if (at == stack->first && b->parts == STACKS_KERNEL_ONLY)
		b->frames[at++] = number(&b->location_numbers, b->user_mark);
	stack->count = at - stack->first;
	return at;
}

static int build_stacks(struct builder *b)
{
	size_t total = 0, size, at = 0;

	for (size_t i = 0; i < b->stack_numbers.room; i++) {
		if (b->stack_numbers.of[i] == PROFILE_NONE)
			continue;
		intern_key(&b->a->stacks, i, &size);
		total += size / sizeof(uint32_t) + 1;
	}
	b->stacks = array(b->stack_numbers.n, sizeof(*b->stacks));
	b->frames = array(total, sizeof(*b->frames));
	if (!b->stacks || !b->frames || numbering_init(&b->location_numbers, b->a->location_keys.n))
		return -ENOMEM;
	for (size_t i = 0; i < b->stack_numbers.room; i++)
		if (b->stack_numbers.of[i] != PROFILE_NONE)
			at = build_stack(b, i, at);
	b->p->n_stacks = b->stack_numbers.n;
	b->p->n_frames = at;
	return 0;
}

/* The samples that weigh something, and which stacks and sets of labels they use. */
static int build_samples(struct builder *b)
{
	struct aggregate *a = b->a;
	struct profile_sample *samples;
	size_t n = 0;

	for (size_t i = 0; i < a->samples.n; i++)
		n += !!b->weights[i];
	b->p->samples = samples = array(n, sizeof(*samples));
	if (!samples || numbering_init(&b->stack_numbers, a->stacks.n) ||
	    numbering_init(&b->set_numbers, a->labelsets.n))
		return -ENOMEM;
	for (size_t i = 0; i < a->samples.n; i++) {
		const uint32_t *key = intern_key(&a->samples, i, NULL); /* struct sample_key */

		if (b->weights[i])
			samples[b->p->n_samples++] = (struct profile_sample){
				number(&b->stack_numbers, key[0]),
				number(&b->set_numbers, key[1]),
				b->weights[i],
			};
	}
	return 0;
}

static int build_labels(struct builder *b)
{
	const struct intern *from = &b->a->labelsets;
	struct profile_labelset *sets;
	struct profile_label *labels;
	size_t size, n = 0;

	for (size_t i = 0; i < from->n; i++) {
		intern_key(from, i, &size);
		n += b->set_numbers.of[i] == PROFILE_NONE ? 0 : size / sizeof(*labels);
	}
	b->p->labels = labels = array(n, sizeof(*labels));
	b->p->labelsets = sets = array(b->set_numbers.n, sizeof(*sets));
	if (!labels || !sets)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < from->n; i++) {
		const void *key = intern_key(from, i, &size);

		if (b->set_numbers.of[i] == PROFILE_NONE)
			continue;
		memcpy(labels + n, key, size);
		sets[b->set_numbers.of[i]] = (struct profile_labelset){n, size / sizeof(*labels)};
		n += size / sizeof(*labels);
	}
	b->p->n_labels = n;
	b->p->n_labelsets = b->set_numbers.n;
	return 0;
}

static void use_string(struct builder *b, uint32_t *string)
{
	*string = *string < b->string_numbers.room ? number(&b->string_numbers, *string) : 0; /* there was no memory for it */
}

/* Strings of what is used get their numbers in the profile. */
static int build_strings(struct builder *b)
{
	const struct intern *from = &b->a->strings;
	const char **strings;

	if (numbering_init(&b->string_numbers, from->n))
		return -ENOMEM;
	number(&b->string_numbers, 0);
	for (size_t i = 0; i < b->p->n_mappings; i++) {
		use_string(b, &b->mappings[i].file);
		use_string(b, &b->mappings[i].build_id);
	}
	for (size_t i = 0; i < b->p->n_functions; i++) {
		use_string(b, &b->functions[i].name);
		use_string(b, &b->functions[i].system_name);
		use_string(b, &b->functions[i].file);
	}
	for (size_t i = 0; i < b->p->n_labels; i++) {
		struct profile_label *label = (struct profile_label *)&b->p->labels[i];

		use_string(b, &label->key);
		use_string(b, &label->value);
		use_string(b, &label->unit);
	}
	b->p->strings = strings = array(b->string_numbers.n, sizeof(*strings));
	if (!strings)
		return -ENOMEM;
	for (size_t i = 0; i < from->n; i++)
		if (b->string_numbers.of[i] != PROFILE_NONE)
			strings[b->string_numbers.of[i]] = intern_key(from, i, NULL);
	b->p->n_strings = b->string_numbers.n;
	return 0;
}

static int build(struct builder *b)
{
	int err = build_samples(b);

	if (!err)
		err = build_stacks(b);
	if (!err)
		err = build_locations(b);
	if (!err)
		err = build_labels(b);
	return err ? err : build_strings(b); /* last: the others make strings */
}

int profile_build(struct aggregate *a, const uint64_t *weights, enum stack_parts parts, const struct source_lines *lines,
		  struct profile *out)
{
	struct builder b = {.a = a, .weights = weights, .parts = parts, .source = lines, .p = out};
	int err;

	memset(out, 0, sizeof(*out));
	intern_init(&b.function_keys, UINT32_MAX);
	b.user_mark = aggregate_mark(a, MARK_USER);
	err = b.user_mark == INTERN_NONE ? -ENOMEM : build(&b);
	out->mappings = b.mappings;
	out->functions = b.functions;
	out->lines = b.lines;
	out->locations = b.locations;
	out->stacks = b.stacks;
	out->frames = b.frames;
	free(b.mapping_of);
	free(b.stack_numbers.of);
	free(b.set_numbers.of);
	free(b.location_numbers.of);
	free(b.string_numbers.of);
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
