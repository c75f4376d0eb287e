/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory of pprof files, one a window: wireprof-20261125T101530Z.pb.gz (UTC, of the window's
 * start), with -2, -3 ... before the ending where a second has several. The oldest go when the
 * directory is over its size. Files of other names are never touched.
 */
#ifndef WIREPROF_OUT_DIR_H
#define WIREPROF_OUT_DIR_H

#include <stdint.h>

struct out_dir;
struct profile;

/* Makes the directory where it is missing (its parent must be there). Returns 0 or -errno after a
 * message. */
int out_dir_open(const char *path, uint64_t max_bytes, struct out_dir **out);
/*
 * Written aside, then renamed: readers never see half a file. Returns 0 or -errno; a message goes
 * out when writing begins to fail and when it works again, not for every window.
 */
int out_dir_write(struct out_dir *d, const struct profile *p);
void out_dir_close(struct out_dir *d); /* NULL is fine */

struct out_dir_counts {
	uint64_t files, bytes;             /* of ours, there now */
	uint64_t written, removed, failed; /* ever */
};
void out_dir_counts(const struct out_dir *d, struct out_dir_counts *out);

#endif
