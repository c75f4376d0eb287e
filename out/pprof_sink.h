/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the pprof writer's pieces go: through deflate to a descriptor or into memory, or nowhere,
 * where only the size is asked for.
 */
#ifndef WIREPROF_OUT_PPROF_SINK_H
#define WIREPROF_OUT_PPROF_SINK_H

#include "out/writer.h"

#include <zlib.h>

struct pprof_sink {
	enum { SINK_STREAM, SINK_MEMORY, SINK_MEASURE } kind;
	size_t plain; /* bytes so far, before compression */
	z_stream zip;
	struct stream stream;
	struct stream_block block; /* of SINK_MEMORY: stream_take() gives it away */
};

/* Returns 0 or -errno; then there is nothing to close. `fd` is for SINK_STREAM. */
int pprof_sink_open(struct pprof_sink *sink, int kind, int fd);
int pprof_sink_write(struct pprof_sink *sink, const uint8_t *data, size_t len);
int pprof_sink_finish(struct pprof_sink *sink); /* the end of the gzip file */
void pprof_sink_close(struct pprof_sink *sink); /* frees what was not taken */

#endif
