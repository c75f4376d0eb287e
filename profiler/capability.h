/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIREPROF_CAPABILITY_H
#define WIREPROF_CAPABILITY_H

#include <stddef.h>

/* Which capabilities that wireprof needs this process lacks: "CAP_BPF, CAP_PERFMON"; "" if none. */
void missing_capabilities(char *out, size_t size);

#endif
