/* SPDX-License-Identifier: Apache-2.0 */
/* See aggregate.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../symbolizer/demangle.h"
#include "aggregate.h"

#define MAX_STRINGS   (1u << 22)
#define MAX_LOCATIONS (1u << 22)
#define MAX_STACKS    (1u << 21)
#define MAX_LABELSETS (1u << 20)
#define MAX_SAMPLES   (1u << 22)
#define NAME_BYTES    4096

/* Eight-byte fields only: keys are compared as bytes. */
struct location_key {
	uint64_t object, vaddr;
	uint64_t owner; /* of code that is in no file: see jit.h, kernel_names_owner(); else 0 */
};
struct sample_key {
	uint32_t stack, labelset;
	struct sample_origin origin;
};

static void init_tables(struct aggregate *a)
{
	intern_init(&a->strings, MAX_STRINGS);
	intern_init(&a->location_keys, MAX_LOCATIONS);
	intern_init(&a->stacks, MAX_STACKS);
	intern_init(&a->labelsets, MAX_LABELSETS);
	intern_init(&a->samples, MAX_SAMPLES);
	aggregate_string(a, ""); /* string 0, as pprof has it */
}

void aggregate_init(struct aggregate *a, struct processes *processes)
{
	*a = (struct aggregate){.processes = processes};
	init_tables(a);
}

void aggregate_begin_window(struct aggregate *a)
{
	if (a->raw)
		memset(a->raw, 0, a->raw_capacity * sizeof(*a->raw));
}

size_t aggregate_bytes(const struct aggregate *a)
{
	const struct intern *const tables[] = {&a->strings, &a->location_keys, &a->stacks, &a->labelsets, &a->samples};
	size_t bytes = a->locations_capacity * sizeof(*a->locations) + a->stack_infos_capacity * sizeof(*a->stack_infos) +
		       a->raw_capacity * sizeof(*a->raw) + a->weights_capacity * sizeof(*a->weights);

	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		bytes += intern_bytes(tables[i]);
	return bytes;
}

void aggregate_forget(struct aggregate *a)
{
	aggregate_fini(a);
	a->locations = NULL;
	a->stack_infos = NULL;
	a->raw = NULL;
	a->weights = NULL;
	a->locations_capacity = a->stack_infos_capacity = a->raw_capacity = a->weights_capacity = 0;
	init_tables(a);
	for (size_t i = 0; i < a->processes->n; i++)
		jit_forget_unnamed(a->processes->list[i]->jit);
}

void aggregate_fini(struct aggregate *a)
{
	intern_fini(&a->strings);
	intern_fini(&a->location_keys);
	intern_fini(&a->stacks);
	intern_fini(&a->labelsets);
	intern_fini(&a->samples);
	free(a->locations);
	free(a->stack_infos);
	free(a->raw);
	free(a->weights);
}

/* Length of the valid UTF-8 sequence at p (RFC 3629), or 0. The text is NUL-terminated. */
static size_t utf8_length(const unsigned char *p)
{
	uint32_t c = *p, least;
	size_t n;

	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c < 0xe0)
		n = 2, c &= 0x1f, least = 0x80;
	else if (c >= 0xe0 && c < 0xf0)
		n = 3, c &= 0x0f, least = 0x800;
	else if (c >= 0xf0 && c < 0xf5)
		n = 4, c &= 0x07, least = 0x10000;
	else
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	return c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : n;
}

uint32_t aggregate_string(struct aggregate *a, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	char clean[NAME_BYTES];
	size_t used = 0, n;

	for (; *p && used + 4 < sizeof(clean); p += n ? n : 1) {
		n = utf8_length(p);
		if (n)
			memcpy(clean + used, p, n);
		else
			clean[used] = '?';
		used += n ? n : 1;
	}
	return intern(&a->strings, clean, used);
}

static const char *const mark_names[] = {
	[MARK_TRUNCATED] = "[truncated]",
	[MARK_USER] = "[user]",
};

static void name_kernel(struct aggregate *a, struct location *l, uint32_t owner)
{
	struct kernel_symbol symbol;
	char name[NAME_BYTES];

	l->symbolized = kernel_names_find(a->kernel_names, l->vaddr, owner, &symbol);
	if (l->symbolized && *symbol.module)
		snprintf(name, sizeof(name), "%s [%s]", symbol.name, symbol.module);
	else if (l->symbolized)
		snprintf(name, sizeof(name), "%s", symbol.name);
	else
		snprintf(name, sizeof(name), "[kernel]+0x%lx", l->vaddr);
	l->name = aggregate_string(a, name);
	l->system_name = l->symbolized ? aggregate_string(a, symbol.name) : l->name;
}

static void name_user(struct aggregate *a, struct location *l)
{
	const struct object *object = &a->processes->objects.list[l->object];
	struct elf_symbol symbol;
	char name[NAME_BYTES];
	size_t version;

	l->symbolized = object->elf && elf_object_symbol(object->elf, l->vaddr, &symbol);
	if (!l->symbolized) {
		snprintf(name, sizeof(name), "%s+0x%lx", object->name, l->vaddr);
		l->name = l->system_name = aggregate_string(a, name);
		return;
	}
	/* Symbol versions ("write@@GLIBC_2.2.5") are the linker's business; "write@plt" is a place. */
	version = strcspn(symbol.name, "@");
	if (!strcmp(symbol.name + version, "@plt"))
		version += strlen("@plt");
	snprintf(name, sizeof(name), "%.*s", (int)version, symbol.name);
	l->system_name = l->name = aggregate_string(a, *name ? name : symbol.name);
	redis_frame((struct slice){(const uint8_t *)name, strlen(name)}, &l->frame);
	if (l->frame.kind == FRAME_PLAIN)
		mysql_frame((struct slice){(const uint8_t *)name, strlen(name)}, &l->frame);
	if (l->frame.kind == FRAME_PLAIN)
		mongo_frame((struct slice){(const uint8_t *)name, strlen(name)}, &l->frame);
	if (l->frame.kind == FRAME_PLAIN)
		go_frame((struct slice){(const uint8_t *)name, strlen(name)}, &l->frame);
	if (demangle(symbol.name, name, sizeof(name)))
		l->name = aggregate_string(a, name);
}

static uint32_t location(struct aggregate *a, uint32_t object, uint64_t vaddr, uint64_t owner)
{
	struct location_key key = {.object = object, .vaddr = vaddr, .owner = owner};
	uint32_t known = a->location_keys.n, id;
	struct location *l;

	if (array_reserve((void **)&a->locations, &a->locations_capacity, known, sizeof(*l)))
		return INTERN_NONE;
	id = intern(&a->location_keys, &key, sizeof(key));
	if (id == INTERN_NONE || id < known)
		return id;
	l = &a->locations[id];
	*l = (struct location){.object = object, .vaddr = vaddr};
	if (object == OBJECT_MARK)
		l->name = l->system_name = aggregate_string(a, mark_names[vaddr]);
	else if (object == OBJECT_KERNEL)
		name_kernel(a, l, (uint32_t)owner);
	else
		name_user(a, l);
	return id;
}

void aggregate_name_again(struct aggregate *a, uint32_t object)
{
	for (size_t i = 0; i < a->location_keys.n; i++)
		if (a->locations[i].object == object)
			name_user(a, &a->locations[i]);
}

uint32_t aggregate_mark(struct aggregate *a, enum mark mark)
{
	return location(a, OBJECT_MARK, mark, 0);
}

/* A return address names the instruction behind the call: step back into it. */
static uint64_t call_site(uint64_t address, bool leaf)
{
	return leaf || !address ? address : address - 1;
}

static uint32_t kernel_location(struct aggregate *a, uint64_t address, uint64_t time_ns)
{
	return location(a, OBJECT_KERNEL, address, kernel_names_owner(a->kernel_names, address, time_ns));
}

static void rename_location(void *context, uint32_t id, const char *name)
{
	struct aggregate *a = context;
	struct location *l = &a->locations[id];

	l->name = l->system_name = aggregate_string(a, name);
	l->symbolized = true;
}

void aggregate_retry_jit(struct aggregate *a, struct process *process)
{
	jit_retry(process->jit, rename_location, a);
}

void aggregate_finish_jit(struct aggregate *a, struct process *process)
{
	jit_finish(process->jit, rename_location, a);
}

/*
 * Memory that no ELF file is behind: a JIT's code, if the process's perf map says so. Else it goes by the
 * memory's name alone, as addresses that mean nothing later would make a function of each sample.
 */
static uint32_t memory_location(struct aggregate *a, struct process *process,
				const struct user_mapping *m, uint64_t address)
{
	struct mapping_line anonymous = {.path = ""};
	int index = m ? (int)m->object : objects_find(&a->processes->objects, process->pid, &anonymous);
	uint32_t known = a->location_keys.n, id;
	char name[PERF_MAP_NAME_BYTES];
	struct jit_code code;

	if (index < 0)
		return INTERN_NONE;
	jit_find(&a->jits, &process->jit, process->shown_as ? process->shown_as : process->pid, address, &code);
	if (!code.known && m && a->processes->objects.list[index].ino)
		return location(a, index, m->vaddr + (address - m->start), 0); /* a file, if no ELF */
	id = location(a, index, address, code.owner);
	if (id != known || id == INTERN_NONE)
		return id;
	if (jit_name(process->jit, &code, address, name)) {
		rename_location(a, id, name);
	} else {
		a->locations[id].name = a->locations[id].system_name =
			aggregate_string(a, a->processes->objects.list[index].name);
		jit_unnamed(process->jit, address, id);
	}
	return id;
}

static uint32_t user_location(struct aggregate *a, struct process *process, uint64_t address)
{
	const struct user_mapping *m = process_mapping(process, address);

	if (m && a->processes->objects.list[m->object].elf)
		return location(a, m->object, m->vaddr + (address - m->start), 0);
	return memory_location(a, process, m, address);
}

static bool reached_entry(const struct sample *s)
{
	return s->stop == STOP_END || s->stop == STOP_ZERO;
}

/*
 * From the outside in: the outermost command is the one that the client sent (EVAL and EXEC run others
 * inside), and the frame next outside of it says whose turn it is.
 */
static void find_evidence(struct aggregate *a, const uint32_t *frames, size_t n, bool complete,
			  struct evidence *out)
{
	*out = (struct evidence){.complete = complete};
	for (size_t i = n; i-- > 0;) {
		const struct query_frame *f = &a->locations[frames[i]].frame;

		if (f->kind == FRAME_COMMAND) {
			out->operations = f->operations;
			out->system = f->system;
			return;
		}
		if (f->kind != FRAME_PLAIN)
			out->context = f->kind;
	}
}

uint32_t aggregate_stack(struct aggregate *a, struct process *process, const struct sample *s)
{
	const struct sample_event *e = s->event;
	uint32_t known = a->stacks.n, n = 0, id;

	for (uint32_t i = 0; i < e->n_kernel; i++)
		a->frames[n++] = kernel_location(a, call_site(s->kernel[i], i == 0), e->h.time_ns);
	for (uint32_t i = 0; i < s->n_user; i++)
		a->frames[n++] = user_location(a, process, call_site(s->user[i], i == 0));
	if (!reached_entry(s) && s->stop != STOP_NONE)
		a->frames[n++] = aggregate_mark(a, MARK_TRUNCATED);
	for (uint32_t i = 0; i < n; i++)
		if (a->frames[i] == INTERN_NONE)
			return INTERN_NONE;
	if (array_reserve((void **)&a->stack_infos, &a->stack_infos_capacity, known,
			  sizeof(*a->stack_infos)))
		return INTERN_NONE;
	id = intern(&a->stacks, a->frames, n * sizeof(*a->frames));
	if (id == INTERN_NONE || id < known)
		return id;
	find_evidence(a, a->frames, n, reached_entry(s), &a->stack_infos[id].evidence);
	return id;
}

const struct evidence *aggregate_evidence(const struct aggregate *a, uint32_t stack)
{
	return &a->stack_infos[stack].evidence;
}

void aggregate_add(struct aggregate *a, uint32_t stack, const struct profile_label *labels, size_t n,
		   const struct sample_origin *origin, const struct raw_weight *weight)
{
	struct sample_key key = {.stack = stack, .origin = *origin};
	uint32_t id;

	key.labelset = intern(&a->labelsets, labels, n * sizeof(*labels));
	if (key.labelset == INTERN_NONE)
		goto drop;
	if (array_reserve((void **)&a->raw, &a->raw_capacity, a->samples.n, sizeof(*a->raw)) ||
	    array_reserve((void **)&a->weights, &a->weights_capacity, a->samples.n, sizeof(*a->weights)))
		goto drop;
	id = intern(&a->samples, &key, sizeof(key));
	if (id == INTERN_NONE)
		goto drop;
	a->raw[id].weight += weight->weight;
	a->raw[id].extra += weight->extra;
	a->raw[id].n += weight->n;
	return;
drop:
	a->dropped += weight->weight;
}

void aggregate_settle(struct aggregate *a, const struct cpu_accounts *accounts, uint64_t period_ns)
{
	struct sample_origin *origins = malloc((a->samples.n + 1) * sizeof(*origins));

	for (uint32_t i = 0; i < a->samples.n; i++) {
		const struct sample_key *key = intern_key(&a->samples, i, NULL);

		a->weights[i] = a->raw[i].weight; /* where there is no memory */
		if (origins)
			origins[i] = key->origin;
	}
	if (origins)
		weights_settle(a->raw, origins, a->samples.n, accounts, period_ns, a->weights);
	free(origins);
}
