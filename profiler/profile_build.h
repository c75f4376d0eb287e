/* SPDX-License-Identifier: Apache-2.0 */
/* From the aggregation to the flat arrays that writers read. */
#ifndef WIREPROF_PROFILE_BUILD_H
#define WIREPROF_PROFILE_BUILD_H

#include "../out/profile.h"
#include "aggregate.h"

enum stack_parts { STACKS_ALL, STACKS_USER_ONLY, STACKS_KERNEL_ONLY };

/*
 * Builds a profile of all that was added up. Its arrays point into `a`, which must outlive it and stay
 * unchanged. With `inlines`, source lines and inlined functions are
 * read here, which may take a while. The caller fills in period, times, command and comments. Returns 0 or -ENOMEM.
 */
int profile_build(struct aggregate *a, enum stack_parts parts, bool inlines, struct profile *out);
void profile_free(struct profile *p);

#endif
