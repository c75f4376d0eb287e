/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profile's labels as Pyroscope takes them, and which service each label set belongs to. For
 * pyroscope.c.
 */
#ifndef WIREPROF_OUT_PYROSCOPE_LABELS_H
#define WIREPROF_OUT_PYROSCOPE_LABELS_H

#include "out/pyroscope.h"

#include <stdbool.h>

struct pyroscope_labels {
	const struct profile *p;
	/* The profile's strings, then those made here: mended names, cut values. */
	const char **strings;
	size_t n_strings, room_strings;
	uint32_t *names, *values; /* string -> what it is as a name, as a value; 0: not known yet */
	struct profile_label *labels;
	struct profile_labelset
		*labelsets;  /* as many as the profile has; equal ones share one place */
	uint32_t *canonical; /* label set -> the first that is equal to it */
	uint32_t *service;   /* label set -> index in services */
	uint32_t services[PYROSCOPE_SERVICES + 1]; /* strings */
	size_t n_services;
	/* Of every series, sorted by name: __name__, service_name and the extra ones. */
	struct pyroscope_label series[PYROSCOPE_LABELS];
	size_t n_series;
	char *owned[2 * PYROSCOPE_LABELS];
	size_t n_owned;
};

/* Returns 0 or -errno; to be ended with pyroscope_labels_fini() in either case. */
int pyroscope_labels_init(struct pyroscope_labels *l, const struct profile *p,
			  const struct pyroscope_options *options);
void pyroscope_labels_fini(struct pyroscope_labels *l);

#endif
