/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a finished profile to bodies of Pyroscope's POST /push.v1.PusherService/Push
 * (application/proto).
 *
 * Every body holds one profile of one series. A request with several can be accepted in part: then
 * it can neither be sent again nor be given up without counting something twice or not at all.
 */
#ifndef WIREPROF_PYROSCOPE_H
#define WIREPROF_PYROSCOPE_H

#include "out/profile.h"

#include <stdbool.h>

/* What the server takes at most, by its own defaults; pyroscope.c says which of them are tighter
 * here, and why. */
#define PYROSCOPE_SAMPLES     16000u        /* of one profile */
#define PYROSCOPE_PLAIN_BYTES (1792u << 10) /* of one profile, before compression */
#define PYROSCOPE_LABELS      30u           /* names of one series, labels of samples among them */
#define PYROSCOPE_VALUE_BYTES 2048u         /* of a label's value */
#define PYROSCOPE_NAME_BYTES  1024u         /* of a label's name */
#define PYROSCOPE_SERVICES    64u /* of one window; the lightest beyond these are "other" */

struct pyroscope_label {
	const char *name, *value;
};
/* Whether the server takes it as a label's name: [A-Za-z_][A-Za-z0-9_]*, not too long. */
bool pyroscope_name_valid(const char *name);

struct pyroscope_options {
	const char *service; /* NULL: each sample's label container, else comm, else "unknown" */
	const struct pyroscope_label
		*labels; /* of every series, besides __name__ and service_name */
	size_t n_labels;
};

/* Returns 0, or -errno, which ends the work. The body is the callee's only until it returns. */
typedef int (*pyroscope_body_fn)(void *context, const void *body, size_t bytes, size_t n_profiles);

/*
 * Calls back for each body. Returns 0 or -errno (also what `body` returned). A profile without
 * samples has no body. Over all bodies the values add up to those of the whole profile, as
 * pprof_write() has them.
 *
 * Labels of samples stay labels of samples, which the server makes labels of series; numeric ones
 * (pid, tid) are left out, as the server drops them, and samples that differ by nothing else are
 * one. A name that is not [A-Za-z_][A-Za-z0-9_]* is mended; a value is cut at
 * PYROSCOPE_VALUE_BYTES; beyond PYROSCOPE_LABELS the last of a sample are left out.
 */
int pyroscope_encode(const struct profile *p, const struct pyroscope_options *options,
		     pyroscope_body_fn body, void *context);

/* How many profiles a body holds; 0 where it is none. */
size_t pyroscope_profiles(const void *body, size_t bytes);

#endif
