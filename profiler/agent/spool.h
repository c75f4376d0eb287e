/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue of bodies that wait to be sent: one file each in a directory, so that they outlive the
 * agent.
 *
 * Bounded: beyond its size the oldest go, counted. What cannot be written (disk full, read-only)
 * waits in memory, a few only, and is written when that is possible again.
 */
#ifndef WIREPROF_SPOOL_H
#define WIREPROF_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#define SPOOL_MEMORY_BODIES 16
#define SPOOL_MEMORY_BYTES  (16u << 20)

struct spool; /* opaque; its functions may be called from any thread */

/*
 * Opens the directory, makes it where it is missing (mode 0700; its parent too), and locks it.
 * What is queued there already is taken over. Returns 0 or -errno after a message: -EBUSY where
 * another wireprof has it. A directory that is there but cannot be used now is no error: then
 * bodies wait in memory, and it is tried again.
 */
int spool_open(const char *path, uint64_t max_bytes, struct spool **out);
void spool_close(struct spool *s); /* what is on the disk stays; NULL is fine */

/*
 * Adds a copy. Returns 0 once it is on the disk, for good; SPOOL_IN_MEMORY where that fails, a
 * -errno where it is lost (larger than the whole queue, out of memory).
 */
enum { SPOOL_IN_MEMORY = 1 };
int spool_put(struct spool *s, const void *body, size_t bytes);

struct spool_body {
	uint64_t id;   /* larger: newer */
	uint8_t *data; /* free() it */
	size_t bytes;
};

/* A copy of the oldest whose id is above `after` (0: of all). Returns 0, or -ENOENT where there is
 * none. */
int spool_get(struct spool *s, uint64_t after, struct spool_body *out);
void spool_remove(struct spool *s, uint64_t id); /* gone already: fine */
/* Tries to write what waits in memory. */
void spool_settle(struct spool *s);

struct spool_counts {
	uint64_t bodies,
		bytes; /* in the queue now, in files and in memory; bytes as the disk counts them */
	uint64_t in_memory;   /* of these */
	uint64_t dropped;     /* ever: the oldest, for want of room in the queue or in memory */
	uint64_t broken;      /* ever: files that were not what we wrote, removed */
	uint64_t disk_errors; /* ever: writes that failed */
};
void spool_counts(struct spool *s, struct spool_counts *out);

#endif
