/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples of Redis servers.
 *
 *	phase	  the stack says			then
 *	execute	  a command, under a read		that command of the batch: exact
 *		  nothing more, under a read		the batch: exact if it is one command, else pipeline
 *		  a command, not under a read		stack: it runs for another client than the last read
 *		  writing replies, nothing more		reply, the mix of replies lately: pipeline
 *		  background, or none of the above	no phase, none
 *		  (no names, or cut short)		the batch
 *	reply	  -					the batch of the socket written to
 *	none	  a command				execute, stack: another thread has read it
 *
 * "Under a read" can only be asked of a server whose read handler has a name; else the bytes are trusted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include "attribute_internal.h"
#include "clock.h"

#define REPLY_MIX      16 /* divides a sample's weight evenly */
#define LEARN_BYTES    256
#define LEARN_RETRY_NS 200000000ull

_Static_assert(PROFILE_SAMPLE_WEIGHT % REPLY_MIX == 0 && REPLY_MIX <= QUERY_BATCH_CLASSES,
	       "weights add up to a sample");

static void remember_operations(struct process *process, const struct query_batch *batch)
{
	for (uint32_t i = 0; i < batch->n_classes; i++)
		intern(&process->operations, batch->classes[i].operation,
		       strlen(batch->classes[i].operation));
}

/*
 * Replies are written in a row, for one client after the other. In a send the socket tells whose it is;
 * in the user code around sends nothing does, so it is split like a pipeline: over the classes of the last
 * samples that fired within sends.
 */
struct reply_mix {
	struct query_class recent[REPLY_MIX];
	size_t seen;
};

static void remember_reply(struct process *process, const struct query_batch *batch)
{
	if (batch->verdict != QUERY_COMMANDS || batch->n_classes != 1)
		return;
	if (!process->replies)
		process->replies = calloc(1, sizeof(*process->replies));
	if (process->replies)
		process->replies->recent[process->replies->seen++ % REPLY_MIX] = batch->classes[0];
}

static void by_recent_replies(struct attribution *out, const struct process *process)
{
	const struct reply_mix *mix = process->replies;

	out->phase = PHASE_REPLY;
	if (!mix || mix->seen < REPLY_MIX)
		return;
	for (size_t i = 0; i < REPLY_MIX; i++)
		out->classes[i] = (struct attributed_class){
			.operation = mix->recent[i].operation,
			.summary = mix->recent[i].summary,
			.text = mix->recent[i].text,
			.collection = "",
			.weight = PROFILE_SAMPLE_WEIGHT / REPLY_MIX,
		};
	out->n = REPLY_MIX;
	out->kind = ATTRIBUTION_PIPELINE;
}

/* How many of the operations this server was seen to be asked for; *only is the last of them. */
static size_t count_seen(const struct process *process, const char *const *operations,
			 const char **only)
{
	size_t seen = 0;

	for (const char *const *o = operations; *o; o++)
		for (uint32_t i = 0; i < process->operations.n; i++)
			if (!strcmp(intern_key(&process->operations, i, NULL), *o)) {
				*only = *o;
				seen++;
			}
	return seen;
}

/*
 * The first bytes of a connection's last message: the kernel side's copy of them, else what lies in the
 * server's memory. Returns their number.
 */
static size_t peek_request(const struct kernel *kernel, uint32_t index, pid_t pid,
			   uint8_t out[static LEARN_BYTES])
{
	const struct socket_slot slot = *(const struct socket_slot *)&kernel_sockets(kernel)[index];
	const volatile struct head_copy *head = kernel_heads(kernel);
	struct iovec to = {out, LEARN_BYTES}, from = {(void *)slot.buffer, LEARN_BYTES};

	if (!slot.sock || slot.tgid != (uint32_t)pid || !slot.last)
		return 0;
	head = head && slot.head ? &head[(slot.head - 1) % MAX_HEADS] : NULL;
	if (head && slot.head_bytes && head->sock == slot.sock) {
		to.iov_len = slot.head_bytes < LEARN_BYTES ? slot.head_bytes : LEARN_BYTES;
		memcpy(out, (const void *)head->bytes, to.iov_len);
		return to.iov_len;
	}
	if (from.iov_len > slot.last)
		from.iov_len = slot.last;
	return process_vm_readv(pid, &to, 1, &from, 1, 0) == (ssize_t)from.iov_len ? from.iov_len : 0;
}

/*
 * Looks at what every connection of the server has asked for last: one pass over the connections, at most
 * five a second while a name is missing. A server whose samples seldom meet their requests (I/O threads) is learned that way.
 */
static void learn_operations(const struct processes *processes, struct process *process,
			     struct query_batch *batch)
{
	uint64_t now = monotonic_ns();
	uint8_t bytes[LEARN_BYTES];

	if (now - process->learned_ns < LEARN_RETRY_NS)
		return;
	process->learned_ns = now;
	if (!kernel_map_connections(processes->kernel))
		return;
	for (uint32_t i = 0; i < MAX_SOCKETS; i++) {
		size_t n = peek_request(processes->kernel, i, process->pid, bytes);
		struct redis_message m = {.tail = {bytes, n}, .received = n, .last_received = n};

		if (n && redis_classify(&m, REDIS_KEYS_NONE, batch) == QUERY_COMMANDS)
			remember_operations(process, batch);
	}
	kernel_unmap_connections(processes->kernel);
}

/*
 * The command function alone: one operation, or, where compilers left only a function that several
 * share, the one of them that this server was seen to be asked for; else all their names.
 */
static void by_stack(struct attribution *out, const struct processes *processes,
		     struct process *process, const char *const *operations)
{
	const char *name = operations[0];
	size_t used = 0;

	if (operations[1] && !count_seen(process, operations, &name))
		learn_operations(processes, process, &out->batch);
	if (operations[1] && count_seen(process, operations, &name) != 1) {
		for (const char *const *o = operations; *o && used < sizeof(out->family); o++)
			used += snprintf(out->family + used, sizeof(out->family) - used, "%s%s",
					 used ? "/" : "", *o);
		name = out->family;
	}
	out->classes[0] = (struct attributed_class){
		.operation = name,
		.summary = name,
		.text = "",
		.collection = "",
		.weight = PROFILE_SAMPLE_WEIGHT,
	};
	out->n = 1;
	out->kind = ATTRIBUTION_STACK;
	out->system = "redis";
	out->phase = PHASE_EXECUTE;
}

static void by_verdict(struct attribution *out, const char *const *operations)
{
	switch (out->batch.verdict) {
	case QUERY_COMMANDS:
		attribute_by_batch(out, operations);
		break;
	case QUERY_STALE:
		out->kind = ATTRIBUTION_STALE;
		break;
	case QUERY_ENCRYPTED:
		out->kind = ATTRIBUTION_ENCRYPTED;
		break;
	default:
		break;
	}
}

static void execute(struct attribution *out, const struct processes *processes,
		    struct process *process, const struct evidence *evidence, bool under_read)
{
	const char *const *operations = evidence->operations;
	const struct query_batch *batch = &out->batch;
	bool named = false;

	for (uint32_t i = 0; operations && under_read && i < batch->n_classes; i++)
		named |= attribute_names_operation(operations, batch->classes[i].operation);
	if (named)
		attribute_by_batch(out, operations);
	else if (operations)
		by_stack(out, processes, process, operations);
	else if (under_read)
		by_verdict(out, NULL);
	else if (evidence->context == FRAME_REPLY)
		by_recent_replies(out, process);
	else if (evidence->context != FRAME_DETACHED)
		out->phase = PHASE_NONE;
}

static enum query_verdict classify(struct process *process, const struct sample *s,
				   enum redis_keys keys, struct query_batch *batch)
{
	const struct sample_event *e = s->event;
	struct redis_message message = {
		.head = s->head,
		.tail = s->tail,
		.received = e->received,
		.last_received = e->last_received,
	};

	batch->verdict = QUERY_OTHER;
	batch->n_classes = batch->n_commands = 0;
	batch->cut = false;
	if (!(e->flags & REQUEST_KNOWN) || !attribute_server_side(process, e))
		return QUERY_OTHER;
	if (e->flags & REQUEST_REUSED)
		message.tail.len = 0; /* another connection's bytes */
	redis_classify(&message, keys, batch);
	if (batch->verdict == QUERY_COMMANDS)
		remember_operations(process, batch);
	return batch->verdict;
}

enum query_verdict attribute_redis(struct processes *processes, struct process *process, const struct sample *s,
				   const struct evidence *evidence, enum redis_keys keys, struct attribution *out)
{
	enum query_verdict verdict;
	bool trusted;

	verdict = classify(process, s, keys, &out->batch);
	out->system = process->operations.n ? "redis" : "";

	switch (out->phase) {
	case PHASE_EXECUTE:
		/* Not a database server, as far as this thread's socket tells: no request, no phase. */
		if (verdict == QUERY_OTHER && !evidence->operations) {
			out->phase = PHASE_NONE;
			break;
		}
		trusted = !process_server(processes, process)->redis || !evidence->complete ||
			  evidence->context == FRAME_READ;
		execute(out, processes, process, evidence, trusted);
		break;
	case PHASE_REPLY:
		remember_reply(process, &out->batch);
		by_verdict(out, NULL);
		break;
	case PHASE_NONE:
		if (evidence->operations && process_server(processes, process)->redis)
			by_stack(out, processes, process, evidence->operations);
		else if (evidence->context == FRAME_REPLY && process_server(processes, process)->redis)
			by_recent_replies(out, process);
		break;
	default:
		break;
	}
	return verdict;
}
