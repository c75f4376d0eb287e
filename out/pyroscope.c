/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profile as bodies of pushes to Pyroscope: see pyroscope.h.
 *
 *	samples, sorted by (service, labels, stack), equal ones added up
 *	  -> for each service parts that the server takes -> pprof (subset.h, pprof.h) -> PushRequest -> callback
 *
 * Two limits are tighter than what the server says when it refuses a profile (4 MiB before
 * compression):
 * - Its rate limit has a burst of 2 MiB, and a profile that is larger than the burst is put off
 *   for ever. So a part has less, labels included.
 * - It cuts strings at 65 535 bytes, wherever that is in a character, and then refuses the profile
 *   for its UTF-8.
 *
 * And two profiles of one series and one time are one to it, when it compacts blocks: so the parts
 * of a service are a millisecond apart.
 */
#include "out/pyroscope.h"
#include "out/pprof.h"
#include "out/pyroscope_labels.h"
#include "out/subset.h"
#include "push.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define STRING_BYTES 16384 /* of names; longer ones are cut */
#define STRING_BYTES_MIN                                                                           \
	64 /* where a single sample is too large: first its strings, then its stack is cut */
#define PART_APART_NS 1000000u
#define UUID_BYTES    37

struct encoder {
	struct profile flat; /* the profile with the labels that the server takes */
	struct pyroscope_labels labels;
	struct profile_sample *samples; /* of flat; sorted, equal ones added up */
	uint32_t *services;             /* of each sample */
	size_t n_samples;
	struct pprof_rounding rounding; /* over all parts */
	pyroscope_body_fn body;
	void *context;
};

static int uuid_make(char text[static UUID_BYTES])
{
	uint8_t b[16];
	ssize_t n = getrandom(b, sizeof(b), 0); /* this few bytes never come in part */

	if (n != sizeof(b))
		return n < 0 ? -errno : -EIO;
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* version 4: random */
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80); /* variant of RFC 9562 */
	snprintf(text, UUID_BYTES,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
	return 0;
}

/* Sample, and its service, while they are sorted. */
struct keyed {
	struct profile_sample sample;
	uint32_t service;
};

static int compare_keyed(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;

	if (x->service != y->service)
		return x->service < y->service ? -1 : 1;
	if (x->sample.labelset != y->sample.labelset)
		return x->sample.labelset < y->sample.labelset ? -1 : 1;
	if (x->sample.stack != y->sample.stack)
		return x->sample.stack < y->sample.stack ? -1 : 1;
	return 0;
}

static int sort_samples(struct encoder *e, const struct profile *p)
{
	struct keyed *list = malloc((p->n_samples + 1) * sizeof(*list));
	size_t n = 0;

	e->samples = calloc(p->n_samples + 1, sizeof(*e->samples));
	e->services = calloc(p->n_samples + 1, sizeof(*e->services));
	if (!list || !e->samples || !e->services) {
		free(list);
		return -ENOMEM;
	}
	for (size_t i = 0; i < p->n_samples; i++) {
		const struct profile_sample *s = &p->samples[i];

		if (s->weight)
			list[n++] = (struct keyed){
				{s->stack, e->labels.canonical[s->labelset], s->weight},
				e->labels.service[s->labelset]};
	}
	qsort(list, n, sizeof(*list), compare_keyed);
	for (size_t i = 0; i < n; i++) {
		if (i && !compare_keyed(&list[i - 1], &list[i])) {
			e->samples[e->n_samples - 1].weight += list[i].sample.weight;
			continue;
		}
		e->services[e->n_samples] = list[i].service;
		e->samples[e->n_samples++] = list[i].sample;
	}
	free(list);
	return 0;
}

/* The one series of a body. `service` is a string of the labels. */
static int send_body(struct encoder *e, uint32_t service, uint8_t *pprof, size_t bytes)
{
	Push__V1__LabelPair pairs[PYROSCOPE_LABELS], *list[PYROSCOPE_LABELS];
	Push__V1__RawProfileSeries series = PUSH__V1__RAW_PROFILE_SERIES__INIT,
				   *one_series = &series;
	Push__V1__RawSample sample = PUSH__V1__RAW_SAMPLE__INIT, *one_sample = &sample;
	Push__V1__PushRequest request = PUSH__V1__PUSH_REQUEST__INIT;
	char uuid[UUID_BYTES];
	uint8_t *packed;
	size_t len;
	int ret = uuid_make(uuid);

	if (ret)
		return ret;
	for (size_t i = 0; i < e->labels.n_series; i++) {
		const struct pyroscope_label *from = &e->labels.series[i];

		push__v1__label_pair__init(&pairs[i]);
		pairs[i].name = (char *)from->name;
		pairs[i].value = (char *)(from->value ? from->value : e->flat.strings[service]);
		list[i] = &pairs[i];
	}
	sample.raw_profile = (ProtobufCBinaryData){bytes, pprof};
	sample.id = uuid;
	series.n_labels = e->labels.n_series;
	series.labels = list;
	series.n_samples = 1;
	series.samples = &one_sample;
	request.n_series = 1;
	request.series = &one_series;
	len = push__v1__push_request__get_packed_size(&request);
	packed = malloc(len);
	if (!packed)
		return -ENOMEM;
	push__v1__push_request__pack(&request, packed);
	ret = e->body(e->context, packed, len, 1);
	free(packed);
	return ret;
}

static int send_part(struct encoder *e, uint32_t service, const struct profile *part)
{
	struct pprof_rounding before = e->rounding;
	uint8_t *pprof;
	size_t bytes;
	int ret = pprof_pack(part, &e->rounding, &pprof, &bytes);

	if (ret)
		return ret;
	/* All of its values were rounded to nothing: they count for the next part. */
	if (before.count.given != e->rounding.count.given ||
	    before.cpu.given != e->rounding.cpu.given)
		ret = send_body(e, service, pprof, bytes);
	free(pprof);
	return ret;
}

/* The bytes of the series' labels: the server adds them to the profile's. */
static size_t series_bytes(const struct encoder *e)
{
	size_t n = 0;

	for (size_t i = 0; i < e->labels.n_series; i++)
		n += strlen(e->labels.series[i].name) + (e->labels.series[i].value
								 ? strlen(e->labels.series[i].value)
								 : PYROSCOPE_VALUE_BYTES);
	return n;
}

/* Cuts what a single sample may have. Its last form has no frames, which always fits. */
static void tighten(struct subset_limits *limits, const struct profile *p)
{
	if (limits->string_bytes > STRING_BYTES_MIN)
		limits->string_bytes /= 4;
	else
		limits->frames =
			(limits->frames < p->n_frames ? limits->frames : (uint32_t)p->n_frames) / 2;
}

/* What samples share does not shrink with their number: a little less than in proportion. */
static size_t fewer(size_t n, size_t most, size_t bytes)
{
	size_t wanted = (size_t)((double)n * 0.9 * (double)most / (double)bytes);

	return wanted && wanted < n ? wanted : (n + 1) / 2;
}

/* Makes and sends one part out of at most `n` samples; *taken says of how many. */
static int make_part(struct encoder *e, uint32_t service, const struct profile_sample *samples,
		     size_t n, size_t *taken)
{
	struct subset_limits limits = {STRING_BYTES, UINT32_MAX};
	size_t most = PYROSCOPE_PLAIN_BYTES - series_bytes(e), bytes = 0;
	struct subset *part = NULL;
	int ret;

	if (n > PYROSCOPE_SAMPLES)
		n = PYROSCOPE_SAMPLES;
	for (;;) {
		ret = subset_new(&e->flat, samples, n, &limits, &part);
		if (ret)
			return ret;
		ret = pprof_measure(subset_profile(part), e->rounding, &bytes);
		if (ret || bytes <= most)
			break;
		subset_free(part);
		if (n == 1)
			tighten(&limits, &e->flat);
		else
			n = fewer(n, most, bytes);
	}
	if (!ret)
		ret = send_part(e, service, subset_profile(part));
	subset_free(part);
	*taken = n;
	return ret;
}

static int send_services(struct encoder *e)
{
	uint64_t start_ns = e->flat.time_ns;
	int ret = 0;

	for (size_t at = 0, end; !ret && at < e->n_samples; at = end) {
		uint32_t service = e->services[at];
		size_t taken = 0;

		e->flat.time_ns = start_ns;
		for (end = at; end < e->n_samples && e->services[end] == service;)
			end++;
		while (!ret && at < end) {
			ret = make_part(e, e->labels.services[service], e->samples + at, end - at,
					&taken);
			at += taken;
			e->flat.time_ns += PART_APART_NS;
		}
	}
	return ret;
}

int pyroscope_encode(const struct profile *p, const struct pyroscope_options *options,
		     pyroscope_body_fn body, void *context)
{
	struct encoder e = {.flat = *p, .body = body, .context = context};
	int ret;

	if (!p->n_samples)
		return 0;
	ret = pyroscope_labels_init(&e.labels, p, options);
	if (!ret)
		ret = sort_samples(&e, p);
	if (!ret) {
		e.flat.strings = e.labels.strings;
		e.flat.n_strings = e.labels.n_strings;
		e.flat.labels = e.labels.labels;
		e.flat.labelsets = e.labels.labelsets;
		ret = send_services(&e);
	}
	free(e.samples);
	free(e.services);
	pyroscope_labels_fini(&e.labels);
	return ret;
}

size_t pyroscope_profiles(const void *body, size_t bytes)
{
	Push__V1__PushRequest *request = push__v1__push_request__unpack(NULL, bytes, body);
	size_t n = 0;

	for (size_t i = 0; request && i < request->n_series; i++)
		n += request->series[i]->n_samples;
	push__v1__push_request__free_unpacked(request, NULL);
	return n;
}
