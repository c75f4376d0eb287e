/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a profile in pprof's format: gzipped protobuf, read by `go tool pprof`, Pyroscope, Grafana,
 * Polar Signals, speedscope and more.
 *
 * A protobuf message may be cut anywhere between two fields: concatenated pieces of one message decode to
 * the whole. So each sample, location, string... is packed as a Profile that holds only it, and goes
 * straight into the compressor. The agent never has a second copy of the profile in memory.
 *
 *	struct profile -> one-element Profile -> protobuf-c -> sink: deflate -> stream -> fd, or memory
 *
 * What must stay true: string_table[0] is ""; ids are index + 1, since 0 means "none"; strings are valid
 * UTF-8, since Pyroscope rejects a whole profile for one bad byte.
 */
#include "out/pprof.h"
#include "out/pprof_sink.h"
#include "profile.pb-c.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef Perftools__Profiles__Profile Piece;

/* Strings that the format wants and the profile need not have; they follow the profile's own. */
enum { OWN_SAMPLES, OWN_COUNT, OWN_CPU, OWN_NANOSECONDS, N_OWN };
static const char *const own_strings[N_OWN] = {"samples", "count", "cpu", "nanoseconds"};

struct pprof {
	const struct profile *p;
	struct pprof_sink sink;
	struct pprof_rounding rounding;
	uint8_t *packed; /* one piece */
	size_t packed_size;
};

static int64_t own_string(const struct pprof *w, int which)
{
	return (int64_t)w->p->n_strings + which;
}

static int64_t comment_string(const struct pprof *w, size_t i)
{
	return (int64_t)(w->p->n_strings + N_OWN + i);
}

static int put_piece(struct pprof *w, const Piece *piece)
{
	size_t len = perftools__profiles__profile__get_packed_size(piece);
	int ret;

	if (w->sink.kind == SINK_MEASURE)
		return pprof_sink_write(&w->sink, NULL, len);
	ret = reserve(&w->packed, &w->packed_size, len, 1);
	if (ret)
		return ret;
	perftools__profiles__profile__pack(piece, w->packed);
	return pprof_sink_write(&w->sink, w->packed, len);
}

static int put_header(struct pprof *w)
{
	Perftools__Profiles__ValueType samples = PERFTOOLS__PROFILES__VALUE_TYPE__INIT;
	Perftools__Profiles__ValueType cpu = PERFTOOLS__PROFILES__VALUE_TYPE__INIT;
	Perftools__Profiles__ValueType *types[] = {&samples, &cpu};
	Piece piece = PERFTOOLS__PROFILES__PROFILE__INIT;
	int ret;

	samples.type = own_string(w, OWN_SAMPLES);
	samples.unit = own_string(w, OWN_COUNT);
	cpu.type = own_string(w, OWN_CPU);
	cpu.unit = own_string(w, OWN_NANOSECONDS);
	piece.n_sample_type = 2;
	piece.sample_type = types;
	piece.period_type = &cpu;
	piece.period = (int64_t)w->p->period_ns;
	piece.time_nanos = (int64_t)w->p->time_ns;
	piece.duration_nanos = (int64_t)w->p->duration_ns;
	piece.default_sample_type = cpu.type;
	ret = put_piece(w, &piece);
	for (size_t i = 0; !ret && i < w->p->n_comments; i++) {
		Piece comment = PERFTOOLS__PROFILES__PROFILE__INIT;
		int64_t string = comment_string(w, i);

		comment.n_comment = 1;
		comment.comment = &string;
		ret = put_piece(w, &comment);
	}
	return ret;
}

static int put_string(struct pprof *w, const char *text)
{
	Piece piece = PERFTOOLS__PROFILES__PROFILE__INIT;
	char *copy = NULL, *string = (char *)text;
	int ret;

	if (!utf8_valid(text)) {
		string = copy = utf8_repaired(text, SIZE_MAX);
		if (!copy)
			return -ENOMEM;
	}
	piece.n_string_table = 1;
	piece.string_table = &string;
	ret = put_piece(w, &piece);
	free(copy);
	return ret;
}

static int put_strings(struct pprof *w)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < w->p->n_strings; i++)
		ret = put_string(w, w->p->strings[i]);
	for (size_t i = 0; !ret && i < N_OWN; i++)
		ret = put_string(w, own_strings[i]);
	for (size_t i = 0; !ret && i < w->p->n_comments; i++)
		ret = put_string(w, w->p->comments[i]);
	return ret;
}

static int put_functions(struct pprof *w)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < w->p->n_functions; i++) {
		const struct profile_function *from = &w->p->functions[i];
		Perftools__Profiles__Function function = PERFTOOLS__PROFILES__FUNCTION__INIT;
		Perftools__Profiles__Function *list = &function;
		Piece piece = PERFTOOLS__PROFILES__PROFILE__INIT;

		function.id = i + 1;
		function.name = from->name;
		function.system_name = from->system_name;
		function.filename = from->file;
		function.start_line = from->start_line;
		piece.n_function = 1;
		piece.function = &list;
		ret = put_piece(w, &piece);
	}
	return ret;
}

/* What was found out about the locations of each mapping. */
enum { HAS_FILENAMES = 1, HAS_LINE_NUMBERS = 2, HAS_INLINES = 4 };

static void mapping_findings(const struct profile *p, uint8_t *found)
{
	for (size_t i = 0; i < p->n_locations; i++) {
		const struct profile_location *location = &p->locations[i];

		if (location->mapping == PROFILE_NONE)
			continue;
		if (location->n_lines > 1)
			found[location->mapping] |= HAS_INLINES;
		for (uint32_t j = 0; j < location->n_lines; j++) {
			const struct profile_line *line = &p->lines[location->first_line + j];

			if (p->strings[p->functions[line->function].file][0])
				found[location->mapping] |= HAS_FILENAMES;
			if (line->line)
				found[location->mapping] |= HAS_LINE_NUMBERS;
		}
	}
}

static int put_mappings(struct pprof *w)
{
	uint8_t *found = calloc(w->p->n_mappings + 1, 1);
	int ret = found ? 0 : -ENOMEM;

	if (found)
		mapping_findings(w->p, found);
	for (size_t i = 0; !ret && i < w->p->n_mappings; i++) {
		const struct profile_mapping *from = &w->p->mappings[i];
		Perftools__Profiles__Mapping mapping = PERFTOOLS__PROFILES__MAPPING__INIT;
		Perftools__Profiles__Mapping *list = &mapping;
		Piece piece = PERFTOOLS__PROFILES__PROFILE__INIT;

		mapping.id = i + 1;
		mapping.memory_start = from->start;
		mapping.memory_limit = from->limit;
		mapping.file_offset = from->offset;
		mapping.filename = from->file;
		mapping.build_id = from->build_id;
		/* Without symbols the rest stays unset as well: pprof can still look them up itself. */
		mapping.has_functions = from->has_functions;
		mapping.has_filenames = from->has_functions && found[i] & HAS_FILENAMES;
		mapping.has_line_numbers = from->has_functions && found[i] & HAS_LINE_NUMBERS;
		mapping.has_inline_frames = from->has_functions && found[i] & HAS_INLINES;
		piece.n_mapping = 1;
		piece.mapping = &list;
		ret = put_piece(w, &piece);
	}
	free(found);
	return ret;
}

/* `lines` and `list` have room for the location's lines. */
static int put_location(struct pprof *w, size_t index, Perftools__Profiles__Line *lines,
			Perftools__Profiles__Line **list)
{
	const struct profile_location *from = &w->p->locations[index];
	Perftools__Profiles__Location location = PERFTOOLS__PROFILES__LOCATION__INIT;
	Perftools__Profiles__Location *locations = &location;
	Piece piece = PERFTOOLS__PROFILES__PROFILE__INIT;

	for (uint32_t i = 0; i < from->n_lines; i++) {
		const struct profile_line *line = &w->p->lines[from->first_line + i];

		perftools__profiles__line__init(&lines[i]);
		lines[i].function_id = line->function + 1ull;
		lines[i].line = line->line;
		list[i] = &lines[i];
	}
	location.id = index + 1;
	location.mapping_id = from->mapping == PROFILE_NONE ? 0 : from->mapping + 1ull;
	location.address = from->address;
	location.n_line = from->n_lines;
	location.line = list;
	piece.n_location = 1;
	piece.location = &locations;
	return put_piece(w, &piece);
}

static int put_locations(struct pprof *w)
{
	Perftools__Profiles__Line *lines = NULL, **list = NULL;
	size_t n_lines = 0, n_list = 0;
	int ret = 0;

	for (size_t i = 0; !ret && i < w->p->n_locations; i++) {
		uint32_t n = w->p->locations[i].n_lines;

		ret = reserve(&lines, &n_lines, n, sizeof(*lines));
		if (!ret)
			ret = reserve(&list, &n_list, n, sizeof(*list));
		if (!ret)
			ret = put_location(w, i, lines, list);
	}
	free(lines);
	free(list);
	return ret;
}

/* Reused from sample to sample. */
struct sample_room {
	uint64_t *ids;
	Perftools__Profiles__Label *labels, **list;
	size_t n_ids, n_labels, n_list;
};

static size_t fill_labels(const struct profile *p, uint32_t labelset, struct sample_room *room)
{
	const struct profile_labelset *set = &p->labelsets[labelset];
	size_t n = 0;

	for (uint32_t i = 0; i < set->count; i++) {
		const struct profile_label *from = &p->labels[set->first + i];
		Perftools__Profiles__Label *label = &room->labels[n];

		if (!from->unit && !p->strings[from->value][0])
			continue; /* readers would take it for the number 0 */
		perftools__profiles__label__init(label);
		label->key = from->key;
		if (from->unit) {
			label->num = from->number;
			label->num_unit = from->unit;
		} else {
			label->str = from->value;
		}
		room->list[n++] = label;
	}
	return n;
}

static int put_sample(struct pprof *w, const struct profile_sample *from, int64_t values[static 2],
		      struct sample_room *room)
{
	const struct profile_stack *stack = &w->p->stacks[from->stack];
	size_t n_labels = w->p->labelsets[from->labelset].count;
	Perftools__Profiles__Sample sample = PERFTOOLS__PROFILES__SAMPLE__INIT;
	Perftools__Profiles__Sample *samples = &sample;
	Piece piece = PERFTOOLS__PROFILES__PROFILE__INIT;
	int ret;

	ret = reserve(&room->ids, &room->n_ids, stack->count, sizeof(*room->ids));
	if (!ret)
		ret = reserve(&room->labels, &room->n_labels, n_labels, sizeof(*room->labels));
	if (!ret)
		ret = reserve(&room->list, &room->n_list, n_labels, sizeof(*room->list));
	if (ret)
		return ret;
	for (uint32_t i = 0; i < stack->count; i++)
		room->ids[i] = w->p->frames[stack->first + i] + 1ull;
	sample.n_location_id = stack->count;
	sample.location_id = room->ids;
	sample.n_value = 2;
	sample.value = values;
	sample.n_label = fill_labels(w->p, from->labelset, room);
	sample.label = room->list;
	piece.n_sample = 1;
	piece.sample = &samples;
	return put_piece(w, &piece);
}

static int compare_samples(const void *a, const void *b, void *context)
{
	const struct profile *p = context;
	const struct profile_sample *x = &p->samples[*(const uint32_t *)a];
	const struct profile_sample *y = &p->samples[*(const uint32_t *)b];

	if (x->labelset != y->labelset)
		return x->labelset < y->labelset ? -1 : 1;
	if (x->stack != y->stack)
		return x->stack < y->stack ? -1 : 1;
	return 0;
}

/*
 * Samples go out by label set, so that the running sum of profile_round() is as exact for one label set
 * as for the profile. In the order of arrival it could favour one: batches of GET and SET, half a
 * sample each, would always round the GET up and the SET down.
 */
static uint32_t *sample_order(const struct profile *p)
{
	uint32_t *order = malloc((p->n_samples + 1) * sizeof(*order));

	if (!order)
		return NULL;
	for (size_t i = 0; i < p->n_samples; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, p->n_samples, sizeof(*order), compare_samples, (void *)p);
	return order;
}

static int put_samples(struct pprof *w)
{
	struct sample_room room = {0};
	uint32_t *order = sample_order(w->p);
	int ret = order ? 0 : -ENOMEM;

	for (size_t i = 0; !ret && i < w->p->n_samples; i++) {
		const struct profile_sample *sample = &w->p->samples[order[i]];
		int64_t values[2] = {
			(int64_t)profile_round(&w->rounding.count, sample->weight, 1),
			(int64_t)profile_round(&w->rounding.cpu, sample->weight,
					       w->p->period_ns),
		};

		if (values[0] || values[1])
			ret = put_sample(w, sample, values, &room);
	}
	free(order);
	free(room.ids);
	free(room.labels);
	free(room.list);
	return ret;
}

static int put_all(struct pprof *w)
{
	static int (*const parts[])(struct pprof *) = {put_header,    put_samples,   put_mappings,
						       put_locations, put_functions, put_strings};
	int ret = 0;

	for (size_t i = 0; !ret && i < sizeof(parts) / sizeof(parts[0]); i++)
		ret = parts[i](w);
	if (!ret)
		ret = pprof_sink_finish(&w->sink);
	return ret;
}

/* Makes a writer, or gives NULL where memory is out. */
static struct pprof *pprof_new(const struct profile *p, int kind, int fd)
{
	struct pprof *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->p = p;
	if (!pprof_sink_open(&w->sink, kind, fd))
		return w;
	free(w);
	return NULL;
}

static void pprof_free(struct pprof *w)
{
	pprof_sink_close(&w->sink);
	free(w->packed);
	free(w);
}

int pprof_write(const struct profile *p, int fd)
{
	struct pprof *w = pprof_new(p, SINK_STREAM, fd);
	int ret;

	if (!w)
		return -ENOMEM;
	ret = put_all(w);
	pprof_free(w);
	return ret;
}

int pprof_measure(const struct profile *p, struct pprof_rounding rounding, size_t *bytes)
{
	struct pprof *w = pprof_new(p, SINK_MEASURE, -1);
	int ret;

	if (!w)
		return -ENOMEM;
	w->rounding = rounding;
	ret = put_all(w);
	*bytes = w->sink.plain;
	pprof_free(w);
	return ret;
}

int pprof_pack(const struct profile *p, struct pprof_rounding *rounding, uint8_t **out, size_t *bytes)
{
	struct pprof *w = pprof_new(p, SINK_MEMORY, -1);
	char *data;
	int ret;

	if (!w)
		return -ENOMEM;
	w->rounding = *rounding;
	ret = put_all(w);
	if (!ret)
		ret = stream_take(&w->sink.stream, &data, bytes);
	if (!ret) {
		*rounding = w->rounding;
		*out = (uint8_t *)data;
	}
	pprof_free(w);
	return ret;
}
