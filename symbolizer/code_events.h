/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left of a chunk of code once it is decoded: events and labels. (Private to code_chunk.c
 * and code_events.c.)
 */
#ifndef WIREPROF_CODE_EVENTS_H
#define WIREPROF_CODE_EVENTS_H

#include "code_chunk.h"
#include "x86_64_stack.h"

#define CHUNK_BYTES (256u << 10)
#define EVENTS_MAX  (48u << 10)
/* Each event makes a label at most, a break is an event. */
#define LABELS_MAX EVENTS_MAX
/* Functions that were seen not to return; a power of 2. */
#define NORETURN_SLOTS 256
/* Functions and, after bytes that are no code, the next attempt. */
#define CODE_ALIGN 16

enum label_flags {
	JUMPED = 1,	 /* a jump goes there */
	CALLED = 2,	 /* a function starts there */
	BREAK = 4,	 /* control does not fall in */
	DOUBTFUL = 8,	 /* a call, then padding, is before it: perhaps control does not fall in */
	PADDED = 16,
	PROLOGUE = 32,	 /* starts as functions do */
	AFTER_AWAY = 64, /* an indirect jump is before it: this may be one of its targets */
	GARBAGE = 128,	 /* bytes that are no code are before it */
	AFTER_RET = 256,
	AFTER_TRAP = 1024,
	DATA = 512,	 /* no code, up to the next break */
};

struct label {
	uint32_t at;
	uint16_t flags;
	struct stack_state state; /* what control brings */
	struct stack_state need;  /* what the code behind it takes for granted: sp, fp, rbp */
};

struct code_chunk {
	const uint8_t *code;
	size_t size;
	uint64_t vaddr;
	uint64_t entry;
	uint64_t noreturn[NORETURN_SLOTS]; /* addresses, by hash; 0: none */
	struct stack_state away; /* at the last indirect jump */
	bool changed;
	bool packed; /* functions are not aligned: code that is optimized for size */
	uint32_t n_events, n_labels;
	uint64_t is_label[CHUNK_BYTES / 64 + 1];
	uint32_t rank[CHUNK_BYTES / 64 + 1]; /* labels before the word */
	struct code_event events[EVENTS_MAX];
	struct label labels[LABELS_MAX];
};

/* Fills events, up to the chunk's end, which it sets. */
void code_events_decode(struct code_chunk *c);
/* Whether what follows an instruction is not reached from it. */
bool code_events_end_flow(uint8_t op);

#endif
