/* SPDX-License-Identifier: Apache-2.0 */
/* See mmap_watch.h. One dummy event and one ring a CPU; the ring's layout is in perf_event_open(2). */
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "kernel_names.h"
#include "mmap_watch.h"
#include "objects.h"

#define RING_PAGES 16 /* a power of two; some 500 records between two drains */

struct cpu_ring {
	int fd;
	struct perf_event_mmap_page *page;
};

struct mmap_watch {
	struct cpu_ring *rings;
	size_t n;
	size_t page_bytes;
	union {
		struct perf_event_header header;
		uint8_t bytes[UINT16_MAX + 1];
	} record;
};

struct mmap2_record {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t address, length, offset;
	uint32_t major, minor;
	uint64_t inode, inode_generation;
	uint32_t protection, flags;
	char file[];
};

struct ksymbol_record {
	struct perf_event_header header;
	uint64_t address;
	uint32_t size;
	uint16_t type, flags;
	char name[];
};

static int open_ring(struct mmap_watch *w, int cpu, struct cpu_ring *ring)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = PERF_SAMPLE_TIME,
		.sample_id_all = 1,
		.mmap = 1,
		.mmap2 = 1,
		.ksymbol = 1,
		.watermark = 1,
		.wakeup_watermark = UINT32_MAX, /* it is drained on a timer: never wake */
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};

	ring->fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (ring->fd < 0)
		return -errno;
	ring->page = mmap(NULL, (RING_PAGES + 1) * w->page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			  ring->fd, 0);
	if (ring->page == MAP_FAILED) {
		int err = -errno;

		close(ring->fd);
		return err;
	}
	return 0;
}

int mmap_watch_open(struct mmap_watch **out)
{
	int cpus = libbpf_num_possible_cpus(), err = -ENOMEM;
	struct mmap_watch *w;

	if (cpus <= 0)
		return cpus;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->page_bytes = sysconf(_SC_PAGESIZE);
	w->rings = calloc(cpus, sizeof(*w->rings));
	if (!w->rings)
		goto fail;
	for (int cpu = 0; cpu < cpus; cpu++) {
		err = open_ring(w, cpu, &w->rings[w->n]);
		if (err && err != -ENODEV)
			goto fail;
		w->n += !err;
	}
	*out = w;
	return 0;
fail:
	mmap_watch_free(w);
	return err;
}

void mmap_watch_free(struct mmap_watch *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->n; i++) {
		munmap(w->rings[i].page, (RING_PAGES + 1) * w->page_bytes);
		close(w->rings[i].fd);
	}
	free(w->rings);
	free(w);
}

/* Copies bytes out of a ring, around its end. */
static void copy_out(const struct mmap_watch *w, const struct cpu_ring *ring, uint64_t at, void *to,
		     size_t n)
{
	const uint8_t *data = (const uint8_t *)ring->page + w->page_bytes;
	size_t size = RING_PAGES * w->page_bytes, from = at & (size - 1);
	size_t first = n < size - from ? n : size - from;

	memcpy(to, data + from, first);
	memcpy((uint8_t *)to + first, data, n - first);
}

static void take_mapping(struct mmap_watch *w, const struct mmap_watch_calls *calls, uint64_t time_ns)
{
	const struct mmap2_record *record = (const void *)w->record.bytes;
	struct mapping_line m = {
		.start = record->address,
		.end = record->address + record->length,
		.offset = record->offset,
		.dev_major = record->major,
		.dev_minor = record->minor,
		.inode = record->inode,
		.path = (char *)record->file,
	};

	calls->mapped(calls->context, record->pid, time_ns, &m);
}

/*
 * The time follows the name, which is padded to eight bytes. Not the record's last bytes: for the second and later
 * events that are told of a symbol, Linux (6.18 too) makes the record longer than what it writes into it.
 */
static bool ksymbol_time(const struct ksymbol_record *record, uint64_t *time_ns)
{
	size_t room = record->header.size - sizeof(*record), n = strnlen(record->name, room) + 1;

	n = (n + 7) & ~(size_t)7;
	if (n + sizeof(*time_ns) > room)
		return false;
	memcpy(time_ns, record->name + n, sizeof(*time_ns));
	return true;
}

static void take_ksymbol(struct mmap_watch *w, const struct mmap_watch_calls *calls)
{
	const struct ksymbol_record *record = (const void *)w->record.bytes;
	struct kernel_code code = {
		.address = record->address,
		.size = record->size,
		.removed = record->flags & PERF_RECORD_KSYMBOL_FLAGS_UNREGISTER,
		.bpf = record->type == PERF_RECORD_KSYMBOL_TYPE_BPF,
		.name = record->name,
	};

	if (ksymbol_time(record, &code.time_ns))
		calls->kernel_code(calls->context, &code);
}

static void take_record(struct mmap_watch *w, const struct mmap_watch_calls *calls)
{
	size_t size = w->record.header.size;
	uint64_t time_ns;

	if (w->record.header.type == PERF_RECORD_LOST) {
		calls->mapped(calls->context, 0, 0, NULL);
		return;
	}
	if (w->record.header.type == PERF_RECORD_KSYMBOL && size >= sizeof(struct ksymbol_record)) {
		take_ksymbol(w, calls);
	} else if (w->record.header.type == PERF_RECORD_MMAP2 &&
		   size >= sizeof(struct mmap2_record) + sizeof(time_ns)) {
		memcpy(&time_ns, w->record.bytes + size - sizeof(time_ns), sizeof(time_ns));
		take_mapping(w, calls, time_ns);
	}
}

static void drain_ring(struct mmap_watch *w, struct cpu_ring *ring, const struct mmap_watch_calls *calls)
{
	uint64_t head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = ring->page->data_tail;

	while (tail < head) {
		copy_out(w, ring, tail, &w->record.header, sizeof(w->record.header));
		if (w->record.header.size < sizeof(w->record.header))
			break; /* cannot be; do not spin on it */
		copy_out(w, ring, tail, w->record.bytes, w->record.header.size);
		take_record(w, calls);
		tail += w->record.header.size;
	}
	__atomic_store_n(&ring->page->data_tail, head, __ATOMIC_RELEASE);
}

void mmap_watch_drain(struct mmap_watch *w, const struct mmap_watch_calls *calls)
{
	for (size_t i = 0; i < w->n; i++)
		drain_ring(w, &w->rings[i], calls);
}
