/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See attribute.h. Here: whose protocol it is, told by the connection's content; by the names of the server's functions only
 * where content says nothing.
 */
#include <string.h>
#include "attribute_internal.h"
#include "../protocols/mongo.h"
#include "../protocols/mysql.h"

#define X(name, text) [ATTRIBUTION_##name] = text,
const char *const attribution_names[N_ATTRIBUTIONS] = {ATTRIBUTIONS(X)};
#undef X
#define X(name, text) [PHASE_##name] = text,
const char *const phase_names[N_PHASES] = {PHASES(X)};
#undef X

bool attribute_server_side(struct process *process, const struct sample_event *e)
{
	if (e->family == 1 /* AF_UNIX */)
		return e->flags & SOCKET_NAMED;
	return process_listens(process, e->local_port);
}

bool attribute_names_operation(const char *const *operations, const char *operation)
{
	for (; *operations; operations++)
		if (!strcmp(*operations, operation))
			return true;
	return false;
}

/* Splits one sample over the classes of the batch that `operations` allows (NULL: all) by their counts. */
static void split(struct attribution *out, const char *const *operations)
{
	const struct query_batch *batch = &out->batch;
	uint64_t commands = 0, seen = 0, given = 0;

	for (uint32_t i = 0; i < batch->n_classes; i++)
		if (!operations || attribute_names_operation(operations, batch->classes[i].operation))
			commands += batch->classes[i].count;
	for (uint32_t i = 0; i < batch->n_classes && commands; i++) {
		const struct query_class *c = &batch->classes[i];
		uint64_t upto;

		if (operations && !attribute_names_operation(operations, c->operation))
			continue;
		seen += c->count;
		upto = PROFILE_SAMPLE_WEIGHT * seen / commands;
		out->classes[out->n++] = (struct attributed_class){
			.operation = c->operation,
			.summary = c->summary,
			.text = c->text,
			.collection = c->collection,
			.weight = upto - given,
		};
		given = upto;
	}
}

void attribute_by_batch(struct attribution *out, const char *const *operations)
{
	split(out, operations);
	out->kind = out->n > 1 || (out->batch.cut && !operations) ? ATTRIBUTION_PIPELINE
								   : ATTRIBUTION_EXACT;
}

static bool is_named(const struct query_batch *batch, const char *const *operations)
{
	for (uint32_t i = 0; operations && i < batch->n_classes; i++)
		if (attribute_names_operation(operations, batch->classes[i].operation))
			return true;
	return false;
}

void attribute_by_evidence(struct attribution *out, const struct evidence *evidence)
{
	bool named = out->batch.n_classes > 1 && is_named(&out->batch, evidence->operations);

	attribute_by_batch(out, named ? evidence->operations : NULL);
}

/* A server that reads what is there, not headers first: its connections have to be told by content, too. */
static void look_for_hints(const struct attributor *a, const struct sample *s, struct process *process)
{
	const struct sample_event *e = s->event;

	if (!(e->flags & REQUEST_KNOWN) || e->received != e->last_received || e->flags & REQUEST_REUSED)
		return;
	if (!process->speaks_mongo && mongo_is_request(s->tail) && attribute_server_side(process, e))
		kernel_look_for_mongo(a->processes->kernel);
	else if (!process->speaks_mysql && mysql_is_request(s->tail, e->received) && attribute_server_side(process, e))
		kernel_look_for_mysql(a->processes->kernel);
}

/* The scheduler or the collector of Go's runtime, on a thread whose goroutine has not been taken off it yet. */
static bool is_go_runtime(const struct process *process, const struct evidence *evidence)
{
	return process->maps.go.generation && evidence->context == FRAME_BACKGROUND;
}

void attribute(struct attributor *a, struct process *process, const struct sample *s, const struct evidence *evidence,
	       struct attribution *out)
{
	const struct sample_event *e = s->event;

	out->phase = e->phase < N_PHASES ? e->phase : PHASE_NONE;
	out->kind = ATTRIBUTION_NONE;
	out->n = 0;
	out->system = "";
	out->namespace[0] = '\0';
	if (out->phase == PHASE_EXECUTE && is_go_runtime(process, evidence))
		out->phase = PHASE_NONE;
	else if (e->flags & REQUEST_MYSQL)
		attribute_mysql(a, process, s, evidence, out);
	else if (e->flags & REQUEST_MONGO)
		attribute_mongo(a, process, s, evidence, out);
	else if (evidence->system && out->phase == PHASE_NONE)
		attribute_mongo_unseen(evidence, out);
	else if (process_server(a->processes, process)->mysql)
		attribute_mysql_unfollowed(s, out);
	else if (attribute_redis(a->processes, process, s, evidence, a->redis_keys, out) != QUERY_COMMANDS)
		look_for_hints(a, s, process);
}
