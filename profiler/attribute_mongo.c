/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples of servers that speak MongoDB's protocol.
 *
 * The kernel side has copied the command when it came, or that which opened the cursor that is read on, and knows whether the
 * thread, or goroutine, works for it. What is left:
 *
 *	several messages in one read			 the one that the stack names, else split: pipeline
 *	a getMore whose opener was not seen		 unknown_statement
 *	a request that came before we did		 stack: a function on it implements the command
 */
#include "attribute_internal.h"

#define PLAIN_BYTES 8192 /* of an inflated stream */

static enum query_verdict classify(struct attributor *a, const struct sample *s, struct attribution *out)
{
	const struct sample_event *e = s->event;
	struct mongo_batch in = {.received = e->flags & REQUEST_PREPARED ? s->tail.len : e->received};
	uint8_t plain[PLAIN_BYTES];

	if (!a->inflater)
		return QUERY_STALE;
	in.stream.len = inflate_mongo(a->inflater, s->tail, in.received, plain, sizeof(plain), &in.received);
	in.stream.ptr = plain;
	in.end = s->head;
	mongo_database(&in, out->namespace);
	return mongo_classify(&in, &out->batch);
}

void attribute_mongo(struct attributor *a, struct process *process, const struct sample *s,
		     const struct evidence *evidence, struct attribution *out)
{
	enum query_verdict verdict;

	if (!attribute_server_side(process, s->event)) {
		out->phase = PHASE_NONE;
		return;
	}
	process->speaks_mongo = true;
	out->system = "mongodb";
	verdict = classify(a, s, out);
	if (verdict != QUERY_COMMANDS && verdict != QUERY_UNKNOWN_STATEMENT) {
		out->kind = ATTRIBUTION_UNKNOWN_STATEMENT; /* the capture ends before it says anything */
		return;
	}
	attribute_by_evidence(out, evidence);
	if (verdict == QUERY_UNKNOWN_STATEMENT && out->kind == ATTRIBUTION_EXACT)
		out->kind = ATTRIBUTION_UNKNOWN_STATEMENT;
}

void attribute_mongo_unseen(const struct evidence *evidence, struct attribution *out)
{
	out->phase = PHASE_EXECUTE;
	out->kind = ATTRIBUTION_STACK;
	out->system = evidence->system;
	out->n = 1;
	out->classes[0] = (struct attributed_class){
		.operation = evidence->operations[0],
		.summary = evidence->operations[0],
		.text = "",
		.collection = "",
		.weight = PROFILE_SAMPLE_WEIGHT,
	};
}
