/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples of MySQL servers.
 *
 * The kernel side has copied the command when it came, and knows whether the thread works for it. What is left:
 *
 *	several statements in one text, or commands in one read	   the one that the stack names, else split: pipeline
 *	an EXECUTE whose PREPARE was not seen			   unknown_statement
 *	a thread of a pool that has left its command behind	   nobody's: do_command() is not on the stack
 */
#include "attribute_internal.h"
#include "../protocols/redis.h"

#define PLAIN_BYTES 8192 /* of an inflated stream */

static const char *system_of(const struct processes *processes, struct process *process)
{
	return process_server(processes, process)->mariadb ? "mariadb" : "mysql";
}

/* The stack shows that the thread does not serve a command. */
static bool has_left(const struct attributor *a, struct process *process, const struct evidence *evidence)
{
	return process_server(a->processes, process)->mysql && evidence->complete && evidence->context != FRAME_READ;
}

static enum query_verdict classify(struct attributor *a, const struct sample *s, struct query_batch *batch)
{
	const struct sample_event *e = s->event;
	bool prepared = e->flags & REQUEST_PREPARED;
	struct mysql_batch in = {.stream = s->tail, .received = prepared ? s->tail.len : e->received};
	uint8_t plain[PLAIN_BYTES];

	if (e->mysql & MYSQL_COMPRESSED) {
		uint64_t received = in.received;

		in.stream.len = a->inflater ? inflate_mysql(a->inflater, s->tail, received, plain, sizeof(plain), &in.received)
					    : 0;
		in.stream.ptr = plain;
	}
	return prepared ? mysql_classify_prepared(&in, batch) : mysql_classify(&in, batch);
}

static bool is_named(const struct query_batch *batch, const char *const *operations)
{
	for (uint32_t i = 0; operations && i < batch->n_classes; i++)
		if (attribute_names_operation(operations, batch->classes[i].operation))
			return true;
	return false;
}

void attribute_mysql(struct attributor *a, struct process *process, const struct sample *s,
		     const struct evidence *evidence, struct attribution *out)
{
	const struct sample_event *e = s->event;
	enum query_verdict verdict;

	if (!attribute_server_side(process, e) || (out->phase == PHASE_EXECUTE && has_left(a, process, evidence))) {
		out->phase = PHASE_NONE;
		return;
	}
	process->speaks_mysql = true;
	out->system = system_of(a->processes, process);
	if (e->mysql & MYSQL_ENCRYPTED) {
		out->kind = ATTRIBUTION_ENCRYPTED;
		return;
	}
	mysql_schema(s->head, out->namespace);
	verdict = classify(a, s, &out->batch);
	if (verdict != QUERY_COMMANDS && verdict != QUERY_UNKNOWN_STATEMENT)
		return;
	attribute_by_batch(out, out->batch.n_classes > 1 && is_named(&out->batch, evidence->operations)
					? evidence->operations
					: NULL);
	if (verdict == QUERY_UNKNOWN_STATEMENT && out->kind == ATTRIBUTION_EXACT)
		out->kind = ATTRIBUTION_UNKNOWN_STATEMENT;
}

void attribute_mysql_unfollowed(const struct sample *s, struct attribution *out)
{
	const struct sample_event *e = s->event;
	struct redis_message message = {s->head, s->tail, e->received, e->last_received};

	if (e->flags & REQUEST_KNOWN && redis_classify(&message, REDIS_KEYS_NONE, &out->batch) == QUERY_ENCRYPTED)
		out->kind = ATTRIBUTION_ENCRYPTED;
	else if (out->phase == PHASE_EXECUTE)
		out->phase = PHASE_NONE;
}
