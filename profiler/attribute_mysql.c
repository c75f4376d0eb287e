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

/* The stream in its plain form, deflated or not; `plain` is room for it. */
static struct mysql_batch plain_batch(struct attributor *a, const struct sample_event *e, struct slice stream,
				      uint64_t received, uint8_t plain[static PLAIN_BYTES])
{
	struct mysql_batch out = {.stream = stream, .received = received};

	if (!(e->mysql & MYSQL_COMPRESSED))
		return out;
	out.stream.ptr = plain;
	out.stream.len = a->inflater ? inflate_mysql(a->inflater, stream, received, plain, PLAIN_BYTES, &out.received) : 0;
	return out;
}

/* Deflated commands: only now is it known whether they execute something, and what. */
static enum query_verdict classify_deflated(struct attributor *a, const struct sample *s, struct query_batch *batch)
{
	const struct sample_event *e = s->event;
	struct prepared_key key = {.sock = e->sock, .since_ns = e->since_ns};
	struct prepared_statement prepared;
	uint8_t plain[PLAIN_BYTES];
	struct mysql_batch in = plain_batch(a, e, s->tail, e->received, plain);

	key.id = mysql_statement_id(&in);
	if (!key.id || kernel_prepared(a->processes->kernel, &key, &prepared) || prepared.bytes > STREAM_BYTES)
		return mysql_classify(&in, batch);
	in = plain_batch(a, e, (struct slice){prepared.stream, prepared.bytes}, prepared.bytes, plain);
	return mysql_classify_prepared(&in, batch);
}

static enum query_verdict classify(struct attributor *a, const struct sample *s, struct query_batch *batch)
{
	const struct sample_event *e = s->event;
	bool prepared = e->flags & REQUEST_PREPARED;
	uint8_t plain[PLAIN_BYTES];
	struct mysql_batch in;

	if (e->mysql & MYSQL_COMPRESSED && !prepared)
		return classify_deflated(a, s, batch);
	in = plain_batch(a, e, s->tail, prepared ? s->tail.len : e->received, plain);
	return prepared ? mysql_classify_prepared(&in, batch) : mysql_classify(&in, batch);
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
	if (verdict != QUERY_COMMANDS && verdict != QUERY_UNKNOWN_STATEMENT) {
		out->kind = ATTRIBUTION_UNKNOWN_STATEMENT; /* the capture ends before it says anything */
		return;
	}
	attribute_by_evidence(out, evidence);
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
