/* SPDX-License-Identifier: Apache-2.0 */
/* A run of bytes in somebody else's buffer: not owned, not NUL-terminated. */
#ifndef WIREPROF_SLICE_H
#define WIREPROF_SLICE_H

#include <stddef.h>
#include <stdint.h>

struct slice {
	const uint8_t *ptr;
	size_t len;
};

#endif
