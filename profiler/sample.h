/* SPDX-License-Identifier: Apache-2.0 */
/* A sample event taken apart: views into the ring buffer's memory, valid while it is handled. */
#ifndef WIREPROF_SAMPLE_H
#define WIREPROF_SAMPLE_H

#include <stddef.h>
#include <string.h>
#include "../bpf/events.h"
#include "../protocols/slice.h"

struct sample {
	const struct sample_event *event;
	const uint64_t *kernel, *user; /* event->n_kernel, n_user addresses, leaf first */
	uint32_t n_user;	       /* the event's, and its stop, unless less is to be believed */
	uint8_t stop;
	struct slice head, tail;       /* request bytes */
};

/* Returns 0, or -1 where the sizes do not add up. */
static inline int sample_decode(const struct event_header *h, size_t size, struct sample *out)
{
	const struct sample_event *e = (const void *)h;
	const uint8_t *p = (const uint8_t *)(e + 1);
	size_t frames, bytes;

	if (size < sizeof(*e))
		return -1;
	frames = ((size_t)e->n_kernel + e->n_user) * sizeof(uint64_t);
	bytes = (size_t)e->head_bytes + e->tail_bytes;
	if (size < sizeof(*e) + frames + bytes)
		return -1;
	out->event = e;
	out->kernel = (const uint64_t *)p;
	out->user = out->kernel + e->n_kernel;
	out->n_user = e->n_user;
	out->stop = e->stop;
	out->head = (struct slice){.ptr = p + frames, .len = e->head_bytes};
	out->tail = (struct slice){.ptr = p + frames + e->head_bytes, .len = e->tail_bytes};
	return 0;
}

#endif
