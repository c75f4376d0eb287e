/* SPDX-License-Identifier: Apache-2.0 */
/* See source_lines.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "../symbolizer/demangle.h"
#include "../symbolizer/elf_lines.h"
#include "clock.h"
#include "message.h"
#include "source_lines.h"

#define NAME_BYTES 4096

/* One object's addresses, while they are looked up. */
struct batch {
	struct aggregate *a;
	struct source_lines *out;
	const uint32_t *locations; /* by address */
	uint32_t *readable;	   /* by string: its demangled form + 1; 0: not known yet */
	size_t readable_capacity, found;
	int err;
};

static int compare_locations(const void *pa, const void *pb, void *aggregate)
{
	const struct aggregate *a = aggregate;
	const struct location *x = &a->locations[*(const uint32_t *)pa];
	const struct location *y = &a->locations[*(const uint32_t *)pb];

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	return (x->vaddr > y->vaddr) - (x->vaddr < y->vaddr);
}

/* Each name is demangled once. */
static uint32_t readable_name(struct batch *b, uint32_t string, const char *text)
{
	char name[NAME_BYTES];
	uint32_t readable = string;

	if (array_reserve((void **)&b->readable, &b->readable_capacity, string, sizeof(*b->readable)))
		return string;
	if (b->readable[string])
		return b->readable[string] - 1;
	if (demangle(text, name, sizeof(name)))
		readable = aggregate_string(b->a, name);
	b->readable[string] = readable + 1;
	return readable;
}

/*
 * The outermost function has its name from the symbol table, as everything else that looks at stacks
 * does; the DWARF's is taken where there is no symbol.
 */
static struct source_line source_line(struct batch *b, const struct location *l,
				      const struct elf_line *from, bool outermost)
{
	struct source_line line = {.line = from->line, .start_line = from->start_line};

	if (from->file)
		line.file = aggregate_string(b->a, from->file);
	if ((outermost && l->symbolized) || !from->name) {
		line.name = l->name;
		line.system_name = l->system_name;
	} else {
		line.system_name = aggregate_string(b->a, from->name);
		line.name = readable_name(b, line.system_name, from->name);
	}
	return line;
}

static bool has_room(const struct source_line *l)
{
	return l->name != INTERN_NONE && l->system_name != INTERN_NONE && l->file != INTERN_NONE;
}

static void take_lines(void *context, size_t index, const struct elf_line *lines, size_t n)
{
	struct batch *b = context;
	struct source_lines *out = b->out;
	uint32_t location = b->locations[index];
	size_t first = out->n;

	for (size_t i = 0; i < n && !b->err; i++) {
		struct source_line line = source_line(b, &b->a->locations[location], &lines[i],
						      i + 1 == n);

		if (!has_room(&line) || first + i >= UINT32_MAX ||
		    array_reserve((void **)&out->list, &out->capacity, first + i, sizeof(line)))
			b->err = -ENOMEM;
		else
			out->list[first + i] = line;
	}
	if (b->err)
		return;
	out->first[location] = first;
	out->count[location] = n;
	out->n += n;
	b->found++;
}

static int read_object(struct batch *b, size_t n, uint64_t deadline_ns)
{
	uint32_t index = b->a->locations[b->locations[0]].object;
	const struct object *object;
	uint64_t *vaddrs, now = monotonic_ns();
	int err;

	if (index >= b->a->processes->objects.n) /* the kernel, or a mark */
		return 0;
	object = &b->a->processes->objects.list[index];
	if (!object->elf || !elf_object_has_lines(object->elf))
		return 0;
	vaddrs = malloc(n * sizeof(*vaddrs));
	if (!vaddrs)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		vaddrs[i] = b->a->locations[b->locations[i]].vaddr;
	b->found = 0;
	err = elf_lines_resolve(object->elf, vaddrs, n,
				now < deadline_ns ? (deadline_ns - now) / 1000000 : 0, take_lines, b);
	free(vaddrs);
	message_verbose("%s: lines of %zu of %zu addresses in %.1f ms%s%s", object->name, b->found, n,
			(monotonic_ns() - now) / 1e6, err ? "; its DWARF cannot be read: " : "",
			err ? strerror(-err) : "");
	return b->err;
}

/* Room for the lines of n locations. */
static int reserve_locations(struct source_lines *out, size_t n)
{
	uint32_t *first = reallocarray(out->first, n + 1, sizeof(*first));
	uint8_t *count;

	if (!first)
		return -ENOMEM;
	out->first = first;
	count = realloc(out->count, n + 1);
	if (!count)
		return -ENOMEM;
	out->count = count;
	memset(first + out->n_locations, 0, (n - out->n_locations) * sizeof(*first));
	memset(count + out->n_locations, 0, n - out->n_locations);
	return 0;
}

int source_lines_read(struct aggregate *a, unsigned int limit_ms, struct source_lines *out)
{
	size_t n = a->location_keys.n, known = out->n_locations, n_new = n - known;
	uint64_t deadline_ns = monotonic_ns() + limit_ms * 1000000ull;
	uint32_t *order = malloc((n_new + 1) * sizeof(*order));
	struct batch b = {.a = a, .out = out};
	int err = order ? reserve_locations(out, n) : -ENOMEM;

	for (size_t i = 0; i < n_new && !err; i++)
		order[i] = known + i;
	if (!err)
		qsort_r(order, n_new, sizeof(*order), compare_locations, a);
	for (size_t i = 0, next; i < n_new && !err; i = next) {
		for (next = i + 1; next < n_new; next++)
			if (a->locations[order[next]].object != a->locations[order[i]].object)
				break;
		b.locations = order + i;
		err = read_object(&b, next - i, deadline_ns);
	}
	if (!err)
		out->n_locations = n;
	free(b.readable);
	free(order);
	return err;
}

void source_lines_fini(struct source_lines *s)
{
	free(s->list);
	free(s->first);
	free(s->count);
	*s = (struct source_lines){0};
}
