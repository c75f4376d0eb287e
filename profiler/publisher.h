/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes to a map of maps (tables), made by a thread.
 *
 * Such a change is seen by the BPF programs at once, but the system call returns only after an RCU grace period (6 to
 * 17 ms were measured), so that nobody still uses what was replaced. Whoever drains the ring, or builds the next table, cannot
 * wait so long. All that have gathered meanwhile wait together; deletions, which nobody is in a
 * hurry for, come after all else.
 */
#ifndef WIREPROF_PUBLISHER_H
#define WIREPROF_PUBLISHER_H

#include <stdbool.h>
#include <stdint.h>

struct publisher; /* opaque; its functions may be called from any thread */

/* `map_fd` stays the caller's. Returns 0 or -errno. */
int publisher_start(int map_fd, struct publisher **out);
/* Ends the thread; what was not done yet is not done. NULL is fine. */
void publisher_stop(struct publisher *p);

/* map[key] = the inner map behind `inner_fd`, which is closed here, whatever comes of it. */
void publisher_put(struct publisher *p, uint32_t key, int inner_fd);
/* Deletes map[key], unless it is put again before that. */
void publisher_drop(struct publisher *p, uint32_t key);

/* Whether nothing waits to be put. */
bool publisher_idle(struct publisher *p);
/* Changes that the kernel refused, or that found no room in the queue. */
uint64_t publisher_failures(struct publisher *p);

#endif
