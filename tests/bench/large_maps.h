/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the maps take when they are full: memory, and the time that the user side needs to look through them (kernel_sweep(), which a
 * counter of what found no room makes do so once a second).
 */
#ifndef LARGE_MAPS_H
#define LARGE_MAPS_H

#include <sys/types.h>

struct kernel;

/* `server` is a target, so that what it has is not forgotten. Prints a line for each map. Returns 0 or -errno. */
int large_maps_measure(struct kernel *k, pid_t server);

#endif
