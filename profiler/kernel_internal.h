/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by kernel.c (load, attach, drain), kernel_clocks.c and kernel_maps.c (contents of the maps), and by tests/bench. */
#ifndef WIREPROF_KERNEL_INTERNAL_H
#define WIREPROF_KERNEL_INTERNAL_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "kernel.h"
#include "wireprof.skel.h"

struct kernel {
	struct wireprof_bpf *skel;
	struct ring_buffer *ring;
	struct bpf_link *hook_link, *reply_link;
	bool replies_wanted;
	uint64_t swept_prepared, swept_full, swept_cursors; /* counters when the maps were swept last */
	uint32_t swept_hook_epoch; /* likewise */
	uint32_t go_generation; /* given out last */
	uint32_t *go_live;	/* while goroutines are swept: generations of the targets */
	size_t n_go_live, go_live_capacity;
	bool go_ended; /* a Go program has, since then */
	struct bpf_link *follow[3];
	struct cpu_clock {
		int fd; /* the link's */
		struct bpf_link *link; /* NULL: detached, or the CPU is not online */
		bool rests;
		uint64_t target_ns; /* CPU that targets had used there, when it was read last */
		double without_ns, without_periods; /* how long none had */
	} *clocks; /* one a possible CPU */
	size_t n_clocks;
	struct clock *shared_clocks; /* what the sampler is told of them */
	uint64_t *target_ns;	     /* room to read counters into, a CPU each */
	uint64_t watched_ns;
	uint64_t period_ns;
	enum receive_hook hook;
	unsigned int frequency_hz;
	struct publisher *publisher;
	uint32_t last_maps; /* number of mappings given out last */
	struct published_maps *dropped; /* to be deleted: n_doomed of them next time, the others the time after */
	size_t n_dropped, dropped_capacity, n_doomed;
	const volatile struct socket_slot *sockets; /* while mapped, read-only */
	const volatile struct head_copy *heads;	    /* likewise */
	kernel_event_fn event_fn;
	void *event_context;
};

/* The ring buffer's size on a machine of so many CPUs. */
uint32_t kernel_ring_bytes(unsigned int frequency_hz, int cpus);

/* Samples are taken from now on, every k->period_ns. Returns 0 or -errno. What it was told before of CPUs at rest holds. */
int attach_clocks(struct kernel *k);
void detach_clocks(struct kernel *k);
void free_clocks(struct kernel *k);

#endif
