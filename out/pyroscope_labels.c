/* SPDX-License-Identifier: Apache-2.0 */
/* See pyroscope_labels.h. */
#include "out/pyroscope_labels.h"
#include "out/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EXTRA_LABELS 16 /* of the options; beyond, they are left out */
#define NAME         "__name__"
#define SERVICE_NAME "service_name"
#define OTHER        "other" /* the services that are too many */

static bool name_byte(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       (!first && c >= '0' && c <= '9');
}

/* Names that start so are the server's own. */
static bool name_reserved(const char *name)
{
	return !strncmp(name, "__", 2) || !strcmp(name, SERVICE_NAME);
}

/* A copy that is a valid name, or NULL where memory is out. */
static char *mended_name(const char *name)
{
	bool digit = *name >= '0' && *name <= '9';
	char *copy = malloc(PYROSCOPE_NAME_BYTES + 1), *to = copy;

	if (!copy)
		return NULL;
	if (digit || !*name)
		*to++ = '_';
	for (; *name && to - copy < (ptrdiff_t)PYROSCOPE_NAME_BYTES; name++)
		*to++ = (char)(name_byte(*name, false) ? *name : '_');
	*to = 0;
	return copy;
}

bool pyroscope_name_valid(const char *name)
{
	if (!name_byte(*name, true))
		return false;
	for (const char *c = name; *c; c++)
		if (!name_byte(*c, false))
			return false;
	return strlen(name) <= PYROSCOPE_NAME_BYTES;
}

static bool value_valid(const char *value)
{
	return strlen(value) <= PYROSCOPE_VALUE_BYTES && utf8_valid(value);
}

/* Takes over `text`. Returns its number, or 0 where memory is out. */
static uint32_t add_string(struct pyroscope_labels *l, char *text)
{
	if (!text)
		return 0;
	if (reserve(&l->strings, &l->room_strings, l->n_strings + 1, sizeof(*l->strings))) {
		free(text);
		return 0;
	}
	l->strings[l->n_strings] = text;
	return (uint32_t)l->n_strings++;
}

/* What a string is as a name or a value: itself where it is valid. Returns 0 where memory is out.
 */
static uint32_t as_name(struct pyroscope_labels *l, uint32_t string)
{
	const char *text = l->p->strings[string];

	if (!l->names[string])
		l->names[string] = pyroscope_name_valid(text) ? string : add_string(l, mended_name(text));
	return l->names[string];
}

static uint32_t as_value(struct pyroscope_labels *l, uint32_t string)
{
	const char *text = l->p->strings[string];

	if (!l->values[string])
		l->values[string] =
			value_valid(text)
				? string
				: add_string(l, utf8_repaired(text, PYROSCOPE_VALUE_BYTES));
	return l->values[string];
}

/* Whether the name is taken: by the series, which the server prefers, or by a label before it. */
static bool name_taken(const struct pyroscope_labels *l, const struct profile_labelset *set,
		       const char *name)
{
	if (name_reserved(name))
		return true;
	for (size_t i = 0; i < l->n_series; i++)
		if (!strcmp(l->series[i].name, name))
			return true;
	for (uint32_t i = 0; i < set->count; i++)
		if (!strcmp(l->strings[l->labels[set->first + i].key], name))
			return true;
	return false;
}

static int convert_labelset(struct pyroscope_labels *l, const struct profile_labelset *from,
			    struct profile_labelset *to)
{
	*to = (struct profile_labelset){.first = from->first};
	for (uint32_t i = 0; i < from->count && l->n_series + to->count < PYROSCOPE_LABELS; i++) {
		const struct profile_label *label = &l->p->labels[from->first + i];
		uint32_t name, value;

		if (label->unit || !l->p->strings[label->value][0])
			continue;
		name = as_name(l, label->key);
		value = as_value(l, label->value);
		if (!name || !value)
			return -ENOMEM;
		if (name_taken(l, to, l->strings[name]))
			continue;
		l->labels[to->first + to->count++] =
			(struct profile_label){.key = name, .value = value};
	}
	return 0;
}

static int compare_labelsets(const void *a, const void *b, void *context)
{
	const struct pyroscope_labels *l = context;
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	const struct profile_labelset *x = &l->labelsets[i], *y = &l->labelsets[j];

	if (x->count != y->count)
		return x->count < y->count ? -1 : 1;
	for (uint32_t k = 0; k < x->count; k++) {
		const struct profile_label *lx = &l->labels[x->first + k];
		const struct profile_label *ly = &l->labels[y->first + k];

		if (lx->key != ly->key)
			return lx->key < ly->key ? -1 : 1;
		if (lx->value != ly->value)
			return lx->value < ly->value ? -1 : 1;
	}
	return 0;
}

/* Label sets that differ by nothing that is left share the one that sorts first. */
static int find_equal_labelsets(struct pyroscope_labels *l)
{
	size_t n = l->p->n_labelsets;
	uint32_t *order = malloc((n + 1) * sizeof(*order));

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, n, sizeof(*order), compare_labelsets, l);
	for (size_t i = 0; i < n; i++)
		l->canonical[order[i]] = i && !compare_labelsets(&order[i - 1], &order[i], l)
						 ? l->canonical[order[i - 1]]
						 : order[i];
	free(order);
	return 0;
}

/* A service while it is found out which are the heaviest. */
struct candidate {
	uint32_t labelset; /* one of its */
	const char *name;
	uint64_t weight;
};

static int compare_names(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int compare_weights(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* The rank of each service by weight: `candidates` come sorted by name, one for each label set. */
static size_t merge_candidates(struct candidate *c, size_t n)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		if (used && !strcmp(c[used - 1].name, c[i].name))
			c[used - 1].weight += c[i].weight;
		else
			c[used++] = c[i];
	}
	return used;
}

static uint32_t service_index(const struct pyroscope_labels *l, const char *name, uint32_t other)
{
	for (size_t i = 0; i < l->n_services; i++)
		if (!strcmp(l->strings[l->services[i]], name))
			return (uint32_t)i;
	return other;
}

/* Keeps the heaviest; what is beyond goes to "other", which is the last and may have been one of
 * them. */
static int choose_services(struct pyroscope_labels *l, struct candidate *c, const uint32_t *strings)
{
	size_t n = l->p->n_labelsets, used, kept;
	uint32_t other;

	qsort(c, n, sizeof(*c), compare_names);
	used = merge_candidates(c, n);
	qsort(c, used, sizeof(*c), compare_weights);
	kept = used <= PYROSCOPE_SERVICES ? used : PYROSCOPE_SERVICES - 1;
	for (size_t i = 0; i < kept; i++)
		l->services[l->n_services++] = strings[c[i].labelset];
	other = service_index(l, OTHER, (uint32_t)l->n_services);
	if (kept < used && other == l->n_services) {
		uint32_t string = add_string(l, strdup(OTHER));

		if (!string)
			return -ENOMEM;
		l->services[l->n_services++] = string;
	}
	for (size_t i = 0; i < n; i++)
		l->service[i] = service_index(l, l->strings[strings[i]], other);
	return 0;
}

static int find_services(struct pyroscope_labels *l)
{
	size_t n = l->p->n_labelsets;
	struct candidate *c = calloc(n + 1, sizeof(*c));
	uint32_t *strings = calloc(n + 1, sizeof(*strings));
	uint32_t unknown = add_string(l, strdup(LABEL_SERVICE_UNKNOWN));
	int ret = c && strings && unknown ? 0 : -ENOMEM;

	for (size_t i = 0; !ret && i < n; i++) {
		uint32_t own = label_service(l->p, (uint32_t)i);

		strings[i] = own ? as_value(l, own) : unknown;
		ret = strings[i] ? 0 : -ENOMEM;
	}
	for (size_t i = 0; !ret && i < n; i++)
		c[i] = (struct candidate){(uint32_t)i, l->strings[strings[i]], 0};
	for (size_t i = 0; !ret && i < l->p->n_samples; i++)
		c[l->p->samples[i].labelset].weight += l->p->samples[i].weight;
	if (!ret)
		ret = choose_services(l, c, strings);
	free(c);
	free(strings);
	return ret;
}

static int one_service(struct pyroscope_labels *l, const char *name)
{
	uint32_t string = add_string(l, utf8_repaired(name, PYROSCOPE_VALUE_BYTES));

	l->services[l->n_services++] = string;
	return string ? 0 : -ENOMEM; /* every label set has service 0 */
}

static int compare_series(const void *a, const void *b)
{
	const struct pyroscope_label *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int make_series(struct pyroscope_labels *l, const struct pyroscope_options *options)
{
	l->series[l->n_series++] = (struct pyroscope_label){NAME, "process_cpu"};
	l->series[l->n_series++] = (struct pyroscope_label){SERVICE_NAME, NULL};
	for (size_t i = 0; i < options->n_labels && l->n_series < 2 + EXTRA_LABELS; i++) {
		char *name = mended_name(options->labels[i].name);
		char *value = utf8_repaired(options->labels[i].value, PYROSCOPE_VALUE_BYTES);
		bool taken = false;

		l->owned[l->n_owned++] = name;
		l->owned[l->n_owned++] = value;
		if (!name || !value)
			return -ENOMEM;
		for (size_t j = 0; j < l->n_series; j++)
			taken |= !strcmp(l->series[j].name, name);
		if (!taken && *value && !name_reserved(name))
			l->series[l->n_series++] = (struct pyroscope_label){name, value};
		if (l->n_owned + 2 > sizeof(l->owned) / sizeof(l->owned[0]))
			break;
	}
	qsort(l->series, l->n_series, sizeof(*l->series), compare_series);
	return 0;
}

static int allocate(struct pyroscope_labels *l)
{
	const struct profile *p = l->p;

	if (reserve(&l->strings, &l->room_strings, p->n_strings + 16, sizeof(*l->strings)))
		return -ENOMEM;
	for (size_t i = 0; i < p->n_strings; i++)
		l->strings[i] = p->strings[i];
	l->n_strings = p->n_strings;
	l->names = calloc(p->n_strings + 1, sizeof(*l->names));
	l->values = calloc(p->n_strings + 1, sizeof(*l->values));
	l->labels = calloc(p->n_labels + 1, sizeof(*l->labels));
	l->labelsets = calloc(p->n_labelsets + 1, sizeof(*l->labelsets));
	l->canonical = calloc(p->n_labelsets + 1, sizeof(*l->canonical));
	l->service = calloc(p->n_labelsets + 1, sizeof(*l->service));
	return l->names && l->values && l->labels && l->labelsets && l->canonical && l->service
		       ? 0
		       : -ENOMEM;
}

int pyroscope_labels_init(struct pyroscope_labels *l, const struct profile *p,
			  const struct pyroscope_options *options)
{
	int ret;

	memset(l, 0, sizeof(*l));
	l->p = p;
	ret = allocate(l);
	if (!ret)
		ret = make_series(l, options);
	for (size_t i = 0; !ret && i < p->n_labelsets; i++)
		ret = convert_labelset(l, &p->labelsets[i], &l->labelsets[i]);
	if (!ret)
		ret = find_equal_labelsets(l);
	if (!ret)
		ret = options->service && *options->service ? one_service(l, options->service)
							    : find_services(l);
	return ret;
}

void pyroscope_labels_fini(struct pyroscope_labels *l)
{
	for (size_t i = l->p->n_strings; i < l->n_strings; i++)
		free((char *)l->strings[i]);
	for (size_t i = 0; i < l->n_owned; i++)
		free(l->owned[i]);
	free(l->strings);
	free(l->names);
	free(l->values);
	free(l->labels);
	free(l->labelsets);
	free(l->canonical);
	free(l->service);
}
