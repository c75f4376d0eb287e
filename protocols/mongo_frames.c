/* SPDX-License-Identifier: Apache-2.0 */
#include "mongo.h"

void mongo_frame(struct slice function, struct query_frame *out)
{
	(void)function;
	*out = (struct query_frame){.kind = FRAME_PLAIN};
}
