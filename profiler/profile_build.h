/* SPDX-License-Identifier: Apache-2.0 */
/* From the aggregation to the flat arrays that writers read. */
#ifndef WIREPROF_PROFILE_BUILD_H
#define WIREPROF_PROFILE_BUILD_H

#include "../out/profile.h"
#include "aggregate.h"
#include "source_lines.h"

enum stack_parts { STACKS_ALL, STACKS_USER_ONLY, STACKS_KERNEL_ONLY };

/*
 * Builds a profile of the samples that weigh something: weights[i] of sample i of `a`. Its strings point into `a`,
 * which must outlive it and stay unchanged. With `lines`, functions have source lines, and inlined functions
 * show. The caller fills in period, times, command and comments. Returns 0 or -ENOMEM.
 */
int profile_build(struct aggregate *a, const uint64_t *weights, enum stack_parts parts, const struct source_lines *lines,
		  struct profile *out);
void profile_free(struct profile *p);

#endif
