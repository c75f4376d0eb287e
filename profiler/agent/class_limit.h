/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds how many different labels a profile has, for those who store it: the heaviest keep theirs. */
#ifndef WIREPROF_CLASS_LIMIT_H
#define WIREPROF_CLASS_LIMIT_H

#include <stddef.h>
#include "../../out/profile.h"

#define LIMIT_PROCESSES 100 /* names of processes, and of containers */

/*
 * At most `classes` query classes keep their labels. Of the others, which are the lightest, db_operation_name and
 * db_query_summary are "other", db_system_name stays, and text, collection and namespace go. Likewise for `comm` and
 * `container` beyond LIMIT_PROCESSES. What is the same then is one sample. Weights are moved, never lost.
 * `p` is one of profile_build(). Returns 0, or -ENOMEM: then it is as it was.
 */
int class_limit(struct profile *p, size_t classes);

#endif
