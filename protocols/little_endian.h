/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as the wire has them: little-endian, at any address. */
#ifndef WIREPROF_LITTLE_ENDIAN_H
#define WIREPROF_LITTLE_ENDIAN_H

#include <stdint.h>

static inline uint32_t le24(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

static inline uint32_t le32(const uint8_t *p)
{
	return le24(p) | (uint32_t)p[3] << 24;
}

#endif
