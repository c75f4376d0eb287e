/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel side as the user side sees it: load, attach, feed with targets and unwind rows, drain.
 *
 * Everything is held by descriptors, nothing is pinned: when this process dies, however it dies, the
 * kernel detaches and frees it all.
 */
#ifndef WIREPROF_KERNEL_H
#define WIREPROF_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "../bpf/events.h"
#include "publisher.h"

struct kernel; /* opaque */

enum receive_hook { HOOK_NONE, HOOK_TRACEPOINT, HOOK_SYS_EXIT };

struct kernel_options {
	unsigned int frequency_hz;
	bool requests; /* attach a receive hook */
};

/*
 * Loads the programs with the best receive hook that this kernel has and allows: chosen by trying, never by
 * version. WIREPROF_HOOK=sys_exit in the environment takes the fallback. Nothing is attached yet.
 * Returns 0 or -errno, after one line to the user that says what is missing.
 */
int kernel_open(const struct kernel_options *options, struct kernel **out);
/* Attaches everything. Returns 0 or -errno after a message. */
int kernel_attach(struct kernel *k);
/* Stops sampling; what is in the ring can still be drained. */
void kernel_detach(struct kernel *k);
void kernel_free(struct kernel *k); /* NULL is fine */

/*
 * The receive hook, alone. While it is not attached samples count as untagged.
 * Attaching returns 0 or -errno; it takes some 10 ms, as the kernel waits for all CPUs. It is attached after kernel_attach().
 */
int kernel_attach_hook(struct kernel *k);
void kernel_detach_hook(struct kernel *k);
/* A timer that interrupts a CPU, or with -1 this thread, once in each period of CPU time. Returns a descriptor or -errno. */
int kernel_open_clock(int cpu, uint64_t period_ns);
unsigned int kernel_max_sample_rate(void); /* per second that this kernel allows, on each CPU */
/* How often samples are taken on each CPU, from now on. Each has the period it was taken with. */
void kernel_set_period(struct kernel *k, uint64_t period_ns);
/*
 * Call it every DRAIN_MS or so. A CPU where no target was sampled for two seconds is at rest: it is interrupted an eighth as often, until one
 * does, which is to say until a sample finds one there (kernel_poll_fd()).
 */
void kernel_watch_clocks(struct kernel *k);
/* Targets have started, wherever they run: none is at rest for now. */
void kernel_wake_clocks(struct kernel *k);

/*
 * A target speaks a protocol whose replies have to be looked at (EVENT_REPLIES): from now on they are. Before or after
 * kernel_attach(); more than once is fine.
 * Where the hook cannot be attached, prepared statements and cursors stay unknown; that is said once.
 */
void kernel_watch_replies(struct kernel *k);
/* A MySQL server was seen that does not ask for packets' headers alone: its connections are told by their content. */
void kernel_look_for_mysql(struct kernel *k);
/* The same for MongoDB's protocol. */
void kernel_look_for_mongo(struct kernel *k);

enum receive_hook kernel_hook(const struct kernel *k);
const char *receive_hook_name(enum receive_hook hook);

/* By which other processes become targets, from now on (bpf/target.h). */
void kernel_set_rule(struct kernel *k, const struct target_rule *rule);
/* The number that a controller has in this kernel, for a rule. Returns -ENOENT where there is none, or -errno. */
int kernel_cgroup_subsys(const char *controller);

/* Follows a process from now on. Its mappings come by kernel_put_maps(). Returns 0 or -errno (-EEXIST: it is one already). */
int kernel_add_target(struct kernel *k, pid_t pid);
void kernel_remove_target(struct kernel *k, pid_t pid);
bool kernel_has_target(const struct kernel *k, pid_t pid);
/*
 * Replaces a process's mappings (sorted by start); *p says what the kernel has, {0} before the first time.
 * Returns 0 or -errno (-ENOENT: the process is no target any more).
 */
struct published_maps {
	uint32_t maps, n_chunks; /* 0: nothing */
	uint32_t flags;		 /* of the target: TARGET_MYSQL */
	struct go_target go;	 /* likewise */
};
int kernel_put_maps(struct kernel *k, pid_t pid, struct published_maps *p, const struct exec_mapping *m, size_t n);
/* Sets the target's flags, now and with the mappings to come. Returns 0 or -errno (-ENOENT: it is no target any more). */
int kernel_set_flags(struct kernel *k, pid_t pid, struct published_maps *p, uint32_t flags);
/*
 * Likewise, that it is a Go program: its requests are those of goroutines from now on. The generation is given by this.
 */
int kernel_set_go(struct kernel *k, pid_t pid, struct published_maps *p, const struct go_target *go);
/* Lets them go, some time after the next kernel_drop_maps_now(). Sets *p to {0}. */
void kernel_drop_maps(struct kernel *k, struct published_maps *p);
/* Call it every second or so. */
void kernel_drop_maps_now(struct kernel *k);
/* Likewise: makes room in the maps of connections, prepared statements and cursors, if it runs short. */
void kernel_sweep(struct kernel *k);

/*
 * Makes an inner map of at most MAX_TABLE_ROWS rows, sorted, and the rules that they name. Returns its descriptor,
 * having added its size to *kernel_bytes, or -errno.
 */
int kernel_make_table(const struct unwind_row *rows, size_t n, const struct unwind_rule *rules, size_t n_rules,
		      uint64_t *kernel_bytes);
/* Who publishes tables; it lives as long as the kernel side. */
struct publisher *kernel_publisher(const struct kernel *k);

/* Calls back for each event in the ring. `size` is the whole event's. Returns their number or -errno. */
typedef void (*kernel_event_fn)(void *context, const struct event_header *event, size_t size);
int kernel_drain(struct kernel *k, kernel_event_fn fn, void *context);
/* Descriptor that polls readable when the ring wants draining at once. */
int kernel_poll_fd(const struct kernel *k);

/*
 * What the receive hook knows of every connection, as it changes it: MAX_SOCKETS slots, MAX_HEADS copies, from
 * kernel_map_connections() on, which returns whether they could be mapped. Not for long: what is mapped counts as this process's memory.
 */
bool kernel_map_connections(struct kernel *k);
void kernel_unmap_connections(struct kernel *k);
const volatile struct socket_slot *kernel_sockets(const struct kernel *k);
const volatile struct head_copy *kernel_heads(const struct kernel *k);

/* What a connection prepared under an id, if that is remembered. Returns 0 or -errno. */
int kernel_prepared(const struct kernel *k, const struct prepared_key *key, struct prepared_statement *out);

/* How full the maps are that can fill up. Counting walks through them. Returns how many there are, at most KERNEL_MAPS. */
#define KERNEL_MAPS 8
struct kernel_map {
	const char *name;
	uint64_t entries, max_entries;
};
size_t kernel_map_sizes(const struct kernel *k, struct kernel_map out[static KERNEL_MAPS]);

/* Sums over all CPUs. */
void kernel_counters(const struct kernel *k, uint64_t counters[static N_COUNTERS]);

#endif
