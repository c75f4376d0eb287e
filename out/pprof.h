/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pprof into memory: for those who send it. pprof_write() of profile.h writes to a descriptor.
 */
#ifndef WIREPROF_OUT_PPROF_H
#define WIREPROF_OUT_PPROF_H

#include "out/profile.h"

/* Of the two values of each sample. It goes from part to part, so that the parts' sums are the
 * whole's. Starts {0}. */
struct pprof_rounding {
	struct profile_rounding count, cpu;
};

/* The size before compression, without writing anything; `rounding` is as before the profile. */
int pprof_measure(const struct profile *p, struct pprof_rounding rounding, size_t *bytes);

/* Gzipped, in *out, which is to be freed. Returns 0 or -errno; `rounding` goes on only where it is
 * 0. */
int pprof_pack(const struct profile *p, struct pprof_rounding *rounding, uint8_t **out,
	       size_t *bytes);

#endif
