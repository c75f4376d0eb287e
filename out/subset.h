/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of a profile as a profile of its own: some samples, and of every table only what these
 * use.
 */
#ifndef WIREPROF_OUT_SUBSET_H
#define WIREPROF_OUT_SUBSET_H

#include "out/profile.h"

struct subset; /* opaque */

struct subset_limits {
	size_t string_bytes; /* longer strings are cut; bytes that are not UTF-8 are replaced before
			      */
	uint32_t frames;     /* of deeper stacks the outermost stay */
};

/*
 * `samples` are those wanted, whether or not they are elements of p->samples. The subset keeps the
 * order of all tables, so the main program's mapping stays the first if it is used. It points into
 * `p`, which has to outlive it. Returns 0 or -ENOMEM.
 */
int subset_new(const struct profile *p, const struct profile_sample *samples, size_t n_samples,
	       const struct subset_limits *limits, struct subset **out);
const struct profile *subset_profile(const struct subset *s);
void subset_free(struct subset *s); /* NULL is fine */

#endif
