/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIREPROF_READ_UP_TO_H
#define WIREPROF_READ_UP_TO_H

#include <stddef.h>

/*
 * Reads until the end of the file, or until `room` bytes are there; interrupted or in pieces is no matter. *n is how many
 * came, also where it fails. Returns 0 or -errno.
 */
int read_up_to(int fd, void *to, size_t room, size_t *n);

#endif
