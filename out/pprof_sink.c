/* SPDX-License-Identifier: Apache-2.0 */
/* See pprof_sink.h. */
#include "out/pprof_sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int pprof_sink_open(struct pprof_sink *sink, int kind, int fd)
{
	sink->kind = kind;
	sink->plain = 0;
	memset(&sink->zip, 0, sizeof(sink->zip));
	sink->block = (struct stream_block){0};
	if (kind == SINK_STREAM)
		stream_init(&sink->stream, fd);
	else
		stream_init_memory(&sink->stream, &sink->block);
	if (kind == SINK_MEASURE)
		return 0;
	/*
	 * 15 bits of window; 16 asks for a gzip header and trailer. What goes into memory is sent
	 * on at once: the default level takes a third more time, and saves two bytes in a hundred.
	 */
	if (deflateInit2(&sink->zip, kind == SINK_MEMORY ? 3 : Z_DEFAULT_COMPRESSION, Z_DEFLATED,
			 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	return 0;
}

static int zip_write(struct pprof_sink *sink, const uint8_t *data, size_t len, int flush)
{
	uint8_t zipped[4096];
	int status;

	sink->zip.next_in = (Bytef *)data;
	sink->zip.avail_in = (uInt)len;
	do {
		sink->zip.next_out = zipped;
		sink->zip.avail_out = sizeof(zipped);
		status = deflate(&sink->zip, flush);
		if (status == Z_STREAM_ERROR)
			return -EIO;
		stream_write(&sink->stream, zipped, sizeof(zipped) - sink->zip.avail_out);
		if (sink->stream.err)
			return sink->stream.err;
	} while (!sink->zip.avail_out || (flush == Z_FINISH && status != Z_STREAM_END));
	return 0;
}

int pprof_sink_write(struct pprof_sink *sink, const uint8_t *data, size_t len)
{
	sink->plain += len;
	if (sink->kind == SINK_MEASURE)
		return 0;
	if (len > UINT32_MAX) /* zlib counts in unsigned int */
		return -EOVERFLOW;
	return zip_write(sink, data, len, Z_NO_FLUSH);
}

int pprof_sink_finish(struct pprof_sink *sink)
{
	int ret = 0;

	if (sink->kind != SINK_MEASURE)
		ret = zip_write(sink, NULL, 0, Z_FINISH);
	if (!ret && sink->kind == SINK_STREAM)
		ret = stream_flush(&sink->stream);
	return ret;
}

void pprof_sink_close(struct pprof_sink *sink)
{
	if (sink->kind != SINK_MEASURE)
		deflateEnd(&sink->zip);
	free(sink->block.data);
}
