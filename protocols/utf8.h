/* SPDX-License-Identifier: Apache-2.0 */
/* Which characters may go out as they are. */
#ifndef WIREPROF_UTF8_H
#define WIREPROF_UTF8_H

#include <stddef.h>
#include <stdint.h>

/*
 * Length of the printable character at the front (RFC 3629, section 4), or 0: not UTF-8, cut, a control character, or one
 * that is invisible, reorders its neighbours, or is private.
 */
size_t utf8_printable(const uint8_t *s, size_t len);

#endif
