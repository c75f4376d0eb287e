/* SPDX-License-Identifier: Apache-2.0 */
/* See recording.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "profiler/table_layout.h"
#include "recording.h"

#define MAX_TABLES_RECORDED 4096
#define LINE_BYTES	    512

static int grow(void **list, size_t n, size_t size)
{
	void *p;

	if (n & (n - 1)) /* sizes are powers of two */
		return 0;
	p = realloc(*list, (n ? 2 * n : 1) * size);
	if (!p)
		return -ENOMEM;
	*list = p;
	return 0;
}

int recording_add_mapping(struct recording *r, const struct recorded_mapping *m)
{
	if (grow((void **)&r->mappings, r->n_mappings, sizeof(*m)))
		return -ENOMEM;
	r->mappings[r->n_mappings++] = *m;
	return 0;
}

struct recorded_table *recording_table(struct recording *r, uint32_t number)
{
	if (number >= MAX_TABLES_RECORDED)
		return NULL;
	while (r->n_tables <= number) {
		if (grow((void **)&r->tables, r->n_tables, sizeof(*r->tables)))
			return NULL;
		r->tables[r->n_tables++] = (struct recorded_table){0};
	}
	return &r->tables[number];
}

int recording_add_row(struct recording *r, uint32_t table, const struct unwind_row *row)
{
	struct recorded_table *t = recording_table(r, table);

	if (!t || grow((void **)&t->rows, t->n_rows, sizeof(*row)))
		return -ENOMEM;
	t->rows[t->n_rows++] = *row;
	return 0;
}

int recording_set_rule(struct recording *r, uint32_t table, uint32_t index, const struct unwind_rule *rule)
{
	struct recorded_table *t = recording_table(r, table);

	if (index >= MAX_TABLE_RULES)
		return -EPROTO;
	while (t && t->n_rules <= index) {
		if (grow((void **)&t->rules, t->n_rules, sizeof(*rule)))
			return -ENOMEM;
		t->rules[t->n_rules++] = (struct unwind_rule){0};
	}
	if (!t)
		return -ENOMEM;
	t->rules[index] = *rule;
	return 0;
}

void recording_free(struct recording *r)
{
	for (size_t i = 0; i < r->n_tables; i++) {
		free(r->tables[i].rows);
		free(r->tables[i].rules);
	}
	for (size_t i = 0; i < r->n_ranges; i++)
		free(r->ranges[i].bytes);
	free(r->mappings);
	free(r->tables);
	free(r->ranges);
	*r = (struct recording){0};
}

const struct recorded_mapping *recording_mapping(const struct recording *r, uint64_t address)
{
	for (size_t i = 0; i < r->n_mappings; i++)
		if (address >= r->mappings[i].start && address < r->mappings[i].end)
			return &r->mappings[i];
	return NULL;
}

/* --- reading text --- */

/* The next number of the line. */
static int number(char **at, int base, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = **at == '-' || (**at == ' ' && (*at)[1] == '-') ? (uint64_t)strtoll(*at, &end, base)
							      : strtoull(*at, &end, base);
	if (errno || end == *at || (*end && *end != ' '))
		return -EPROTO;
	*at = end;
	return 0;
}

static int numbers(char **at, int base, uint64_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (number(at, base, &out[i]))
			return -EPROTO;
	return 0;
}

static int read_mapping(struct recording *r, char *at)
{
	struct recorded_mapping m = {0};
	char table[16];
	uint64_t v[3];
	int used = 0;

	if (numbers(&at, 16, v, 3) ||
	    sscanf(at, " %15s %" SCNx32 " %63s%n", table, &m.row_base, m.name, &used) != 3 || at[used])
		return -EPROTO;
	m.start = v[0];
	m.end = v[1];
	m.vaddr = v[2];
	if (!strcmp(table, "nocfi"))
		m.table = NO_CFI;
	else if (!strcmp(table, "missing"))
		m.table = NO_TABLE;
	else
		m.table = strtoul(table, NULL, 10);
	return recording_add_mapping(r, &m);
}

static int read_row(struct recording *r, char *at)
{
	uint64_t v[5];

	if (numbers(&at, 16, v, 5) || v[0] >= MAX_TABLES_RECORDED || v[3] > UINT16_MAX || v[4] > 255)
		return -EPROTO;
	return recording_add_row(
		r, v[0], &(struct unwind_row){.pc = v[1], .kind = v[2], .cfa = v[3], .rbp = v[4]});
}

static int read_rule(struct recording *r, char *at)
{
	uint64_t v[13];
	struct unwind_rule rule;

	if (numbers(&at, 16, v, 13))
		return -EPROTO;
	rule = (struct unwind_rule){
		.cfa_register = v[2],
		.cfa_offset = (int32_t)v[3],
		.cfa_dereference = v[4] & 1,
		.cfa_scale = v[4] >> 4, /* and the index in the digits above: few rules have one */
		.cfa_index = v[4] >> 12,
		.cfa_add = (int32_t)v[5],
		.signal = v[6],
		.ra = {.where = v[7], .reg = v[8], .offset = (int32_t)v[9]},
		.fp = {.where = v[10], .reg = v[11], .offset = (int32_t)v[12]},
	};
	return recording_set_rule(r, v[0], v[1], &rule);
}

static int read_range(struct recording *r, char *at)
{
	struct recorded_range range;
	uint64_t v[2];

	if (numbers(&at, 16, v, 2) || v[1] <= v[0] || v[1] - v[0] > RECORDING_BYTES)
		return -EPROTO;
	range = (struct recorded_range){.start = v[0], .end = v[1], .bytes = malloc(v[1] - v[0])};
	if (!range.bytes || grow((void **)&r->ranges, r->n_ranges, sizeof(range))) {
		free(range.bytes);
		return -ENOMEM;
	}
	memset(range.bytes, RECORDING_FILL, v[1] - v[0]);
	r->ranges[r->n_ranges++] = range;
	return 0;
}

static uint8_t *memory_at(const struct recording *r, uint64_t address, size_t size)
{
	for (size_t i = 0; i < r->n_ranges; i++) {
		const struct recorded_range *range = &r->ranges[i];

		if (address >= range->start && address < range->end && range->end - address >= size)
			return range->bytes + (address - range->start);
	}
	return NULL;
}

static int read_words(struct recording *r, char *at, bool many)
{
	uint64_t v[2], address, stride = 0, count = 1;
	uint8_t *p;

	if (number(&at, 16, &address) || (many && (number(&at, 16, &stride) || number(&at, 10, &count))) ||
	    number(&at, 16, v))
		return -EPROTO;
	for (; count; count--, address += stride) {
		p = memory_at(r, address, 8);
		if (!p)
			return -EPROTO;
		memcpy(p, v, 8);
	}
	return 0;
}

static int read_line(struct recording *r, char *line)
{
	char *at = line + strcspn(line, " ");
	uint64_t regs[1 + HOST_REGS];

	if (!*line || *line == '#')
		return 0;
	if (!strcmp(line, "nomaps")) {
		r->no_maps = true;
		return 0;
	}
	if (!*at)
		return -EPROTO;
	*at++ = '\0';
	if (!strcmp(line, "regs")) {
		if (numbers(&at, 16, regs, 1 + HOST_REGS))
			return -EPROTO;
		r->pc = regs[0];
		memcpy(r->reg, regs + 1, sizeof(r->reg));
		return 0;
	}
	if (!strcmp(line, "map"))
		return read_mapping(r, at);
	if (!strcmp(line, "row"))
		return read_row(r, at);
	if (!strcmp(line, "rule"))
		return read_rule(r, at);
	if (!strcmp(line, "readable"))
		return read_range(r, at);
	if (!strcmp(line, "word") || !strcmp(line, "words"))
		return read_words(r, at, line[4]);
	return -EPROTO;
}

int recording_read(FILE *f, struct recording *r, unsigned int *line)
{
	char text[LINE_BYTES];
	int err = 0;

	*r = (struct recording){0};
	for (*line = 1; !err && fgets(text, sizeof(text), f); ++*line) {
		text[strcspn(text, "\n")] = '\0';
		err = read_line(r, text);
	}
	--*line;
	if (err)
		recording_free(r);
	return err;
}

/* --- unwinding --- */

static bool read_recorded(void *context, uint64_t address, void *out, size_t size)
{
	const uint8_t *p = memory_at(context, address, size);

	if (p)
		memcpy(out, p, size);
	return p;
}

/* The rows again, each repeated at such distances that there are at least `min` in all. */
static int more_rows(const struct recorded_table *t, size_t min, struct recorded_table *out)
{
	uint32_t step = t->n_rows ? t->rows[t->n_rows - 1].pc / (min + 1) + 1 : 1;

	*out = (struct recorded_table){0};
	for (size_t i = 0; i < t->n_rows; i++) {
		struct unwind_row row = t->rows[i];
		bool last = i + 1 == t->n_rows;

		do {
			if (grow((void **)&out->rows, out->n_rows, sizeof(row)))
				return -ENOMEM;
			out->rows[out->n_rows++] = row;
			row.pc += step;
		} while (last ? out->n_rows < min : row.pc < t->rows[i + 1].pc);
	}
	return 0;
}

static struct chunk_map *table_chunks(const struct recorded_table *t, size_t min_rows)
{
	struct recorded_table rows;
	struct table_layout layout;
	struct chunk_map *m = NULL;

	if (!more_rows(t, min_rows, &rows) &&
	    !table_layout_init(&layout, rows.rows, rows.n_rows, t->rules, t->n_rules))
		m = chunk_map_new(layout.n_chunks, TABLE_CHUNK_BYTES);
	for (uint32_t i = 0; m && i < layout.n_chunks; i++)
		table_layout_fill(&layout, i, m->chunk[i]);
	free(rows.rows);
	return m;
}

static struct chunk_map *mapping_chunks(const struct recording *r, size_t per_chunk)
{
	bool directory = r->n_mappings > per_chunk;
	struct chunk_map *m = chunk_map_new(directory + (r->n_mappings + per_chunk - 1) / per_chunk, CHUNK_BYTES);

	for (size_t i = 0; m && i < r->n_mappings; i++) {
		const struct recorded_mapping *x = &r->mappings[i];
		struct mapping_chunk *chunk = m->chunk[directory + i / per_chunk];

		chunk->mapping[i % per_chunk] = (struct exec_mapping){
			.start = x->start, .end = x->end, .table = x->table, .row_base = x->row_base};
		if (directory && !(i % per_chunk))
			((struct mapping_directory *)m->chunk[0])->first[i / per_chunk] = x->start;
	}
	return m;
}

int recording_unwind(const struct recording *r, const struct recording_layout *layout,
		     bool (*read)(void *, uint64_t, void *, size_t), void *context, struct host_stack *out)
{
	struct chunk_map **tables = calloc(r->n_tables + 1, sizeof(struct chunk_map *)), *mappings = NULL;
	struct host host = {
		.tables = (const struct chunk_map *const *)tables,
		.n_tables = r->n_tables,
		.read = read ? read : read_recorded,
		.context = read ? context : (void *)r,
	};
	int err = -ENOMEM;

	if (!tables)
		return err;
	for (size_t i = 0; i < r->n_tables; i++) {
		if (!r->tables[i].n_rows)
			continue; /* of an object that the stack does not touch */
		tables[i] = table_chunks(&r->tables[i], layout->min_rows);
		if (!tables[i])
			goto out;
	}
	mappings = mapping_chunks(r, layout->mappings_per_chunk);
	if (!mappings)
		goto out;
	host.mappings = r->no_maps ? NULL : mappings;
	host_unwind(&host, r->pc, r->reg, out);
	err = 0;
out:
	for (size_t i = 0; i < r->n_tables; i++)
		chunk_map_free(tables[i]);
	chunk_map_free(mappings);
	free(tables);
	return err;
}

static void frame_text(const struct recording *r, const struct host_stack *stack, uint32_t i, char *out, size_t size)
{
	uint64_t address = stack->frame[i] - (i > 0);
	const struct recorded_mapping *m = recording_mapping(r, address);

	if (m)
		snprintf(out, size, "%s+%#" PRIx64, m->name, m->vaddr + (address - m->start));
	else
		snprintf(out, size, "nowhere");
}

/* How often the frames from i on repeat the last `period` ones: recursion of one function, or of two. */
static uint32_t repetitions(const struct host_stack *stack, uint32_t i, uint32_t period)
{
	uint32_t n = i;

	if (i < period)
		return 0;
	while (n < stack->n && stack->frame[n] == stack->frame[n - period])
		n++;
	return (n - i) / period;
}

void recording_print_stack(const struct recording *r, const struct host_stack *stack, FILE *out)
{
	char text[RECORDING_NAME + 32];

	for (uint32_t i = 0; i < stack->n;) {
		uint32_t period = repetitions(stack, i, 1) ? 1 : 2, times = repetitions(stack, i, period);

		if (times) {
			fprintf(out, "(the last %u, %u times more)\n", period, times);
			i += times * period;
			continue;
		}
		frame_text(r, stack, i++, text, sizeof(text));
		fprintf(out, "%s\n", text);
	}
	fprintf(out, "stop %s, %u frames, %u of them left without a row\n", host_stop_name(stack->stop), stack->n,
		stack->guessed);
}
