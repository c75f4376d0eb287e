/* SPDX-License-Identifier: Apache-2.0 */
/* What the name of a function of Go's runtime, on the stack, says about the request that runs there. */
#ifndef WIREPROF_GO_FRAMES_H
#define WIREPROF_GO_FRAMES_H

#include "query.h"
#include "slice.h"

/* The name as Go prints it: "runtime.gcBgMarkWorker.func2". Only FRAME_BACKGROUND, or FRAME_PLAIN. */
void go_frame(struct slice function, struct query_frame *out);

#endif
