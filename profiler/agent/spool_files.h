/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory of the spool and its files, one a body; for spool.c, which has the order and the
 * limits.
 *
 *	00001764109000123456.push	a body: magic, CRC-32 and length before it, so that half a file is known as such
 *	.00001764109000123456.tmp	one that is being written, or that a crash left behind
 */
#ifndef WIREPROF_SPOOL_FILES_H
#define WIREPROF_SPOOL_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_BODY_BYTES (16u << 20) /* of one, and no more than SPOOL_MEMORY_BYTES; larger files are not ours */

struct spool_files {
	const char *path;
	int dir_fd; /* -1: not open; its lock keeps other agents away */
};

/*
 * Makes, opens and locks the directory; removes leftovers. Returns 0 or -errno; -EBUSY: another
 * one has the lock. If patient, it waits up to a second for that one to end.
 */
int spool_files_open(struct spool_files *f, bool patient);
void spool_files_close(struct spool_files *f);

/* Calls back for every file that may be a body, in no order. */
int spool_files_scan(const struct spool_files *f,
		     void (*found)(void *context, uint64_t id, uint64_t bytes), void *context);

/* On the disk for good, or not there at all. */
int spool_files_write(const struct spool_files *f, uint64_t id, const void *body, size_t bytes);
/* Returns 0, -ENOENT, -EBADMSG where it is not what was written, or another -errno. *body is to be
 * freed. */
int spool_files_read(const struct spool_files *f, uint64_t id, uint8_t **body, size_t *bytes);
void spool_files_remove(const struct spool_files *f, uint64_t id);

/* What a body takes on the disk. */
uint64_t spool_files_bytes(size_t bytes);

#endif
