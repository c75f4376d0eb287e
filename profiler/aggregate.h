/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples added up: (stack, labels) -> weight in micro-samples. A stack or label set seen before costs look-ups only.
 */
#ifndef WIREPROF_AGGREGATE_H
#define WIREPROF_AGGREGATE_H

#include <stdbool.h>
#include "../out/profile.h"
#include "../protocols/go_frames.h"
#include "../protocols/mongo.h"
#include "../protocols/mysql.h"
#include "../protocols/redis.h"
#include "intern.h"
#include "jit.h"
#include "kernel_names.h"
#include "processes.h"
#include "sample.h"
#include "weights.h"

#define OBJECT_KERNEL 0xffffffffu
#define OBJECT_MARK   0xfffffffeu /* vaddr: an index of the marks below */

enum mark { MARK_TRUNCATED, MARK_USER };

/* An address that was sampled, and the function it lies in. */
struct location {
	uint32_t object; /* index in objects, or one of the above */
	uint32_t name, system_name; /* strings */
	bool symbolized; /* name is a symbol's, not "object+0xoff" */
	uint64_t vaddr;
	struct query_frame frame; /* what the function says about the request */
};

/* What the functions of a stack say about the request that runs, from the outside in. */
struct evidence {
	const char *const *operations;	/* of the outermost command function; NULL: none */
	const char *system;		/* likewise, as in struct query_frame */
	enum frame_kind context;	/* READ, DETACHED, REPLY or BACKGROUND, next outside of that; or PLAIN */
	bool complete;			/* the stack reaches the thread's entry */
};

struct stack_info {
	struct evidence evidence;
};

struct aggregate {
	struct processes *processes;
	struct kernel_names *kernel_names;
	struct jits jits;
	struct intern strings, location_keys, stacks, labelsets, samples;
	struct location *locations;
	size_t locations_capacity;
	struct stack_info *stack_infos;
	size_t stack_infos_capacity;
	struct raw_weight *raw; /* by sample, of the window */
	size_t raw_capacity;
	uint64_t *weights; /* likewise, micro-samples: as aggregate_settle() left them */
	size_t weights_capacity;
	uint64_t dropped; /* micro-samples that found no room */
	uint32_t frames[MAX_KERNEL_FRAMES + MAX_USER_FRAMES + 2];
};

void aggregate_init(struct aggregate *a, struct processes *processes);
void aggregate_fini(struct aggregate *a);

/* Begins a window: nothing weighs anything. All numbers stay, so what is seen again costs look-ups only. */
void aggregate_begin_window(struct aggregate *a);
/* Memory that the tables take, about. */
size_t aggregate_bytes(const struct aggregate *a);
/* Forgets everything but what was dropped: all numbers, of strings too, are given out anew. */
void aggregate_forget(struct aggregate *a);

/*
 * The stack's number; INTERN_NONE where there is no room. New addresses are symbolized here, once each.
 */
uint32_t aggregate_stack(struct aggregate *a, struct process *process, const struct sample *s);
const struct evidence *aggregate_evidence(const struct aggregate *a, uint32_t stack);

/* The window has ended: names for code that had none when it was sampled. */
void aggregate_retry_jit(struct aggregate *a, struct process *process);
/* A process has ended, or the recording has: names for code that had none when it was sampled. */
void aggregate_finish_jit(struct aggregate *a, struct process *process);

/* Names the locations of an object (an index) again: it has other symbols now. */
void aggregate_name_again(struct aggregate *a, uint32_t object);

/* The location of a mark. */
uint32_t aggregate_mark(struct aggregate *a, enum mark mark);

/* A string's number, made valid UTF-8. */
uint32_t aggregate_string(struct aggregate *a, const char *text);

/* Adds weight to (stack, labels, origin). `labels` must be zeroed where unused, padding included. */
void aggregate_add(struct aggregate *a, uint32_t stack, const struct profile_label *labels, size_t n,
		   const struct sample_origin *origin, const struct raw_weight *weight);
/* What the window's samples weigh (weights.h), so far. */
void aggregate_settle(struct aggregate *a, const struct cpu_accounts *accounts, uint64_t period_ns);

#endif
