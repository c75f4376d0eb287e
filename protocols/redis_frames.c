/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The name of a function on the stack -> what it says of the request that runs there.
 *
 * A stack carries several such functions, as in
 *
 *	beforeSleep -> handleClientsWithPendingReadsUsingThreads -> ... -> call -> setGenericCommand
 *	background	detached					   SET, SETEX, ...
 *
 * and the innermost one that says anything is right. But a script, a transaction or a module runs
 * commands inside its own (evalCommand -> ... -> call -> getCommand): there, the outermost COMMAND
 *is the one that a client sent.
 */
#include <string.h>
#include "redis_internal.h"

/* "incrCommand.part.0", "f.constprop.0", "f.cold", "f@@V1" -> up to the suffix */
static size_t base_len(struct slice function)
{
	size_t n = 0;

	while (n < function.len && function.ptr[n] && function.ptr[n] != '.' &&
	       function.ptr[n] != '@')
		n++;
	return n;
}

void redis_frame(struct slice function, struct query_frame *out)
{
	size_t low = 0, high = n_redis_frames, len = base_len(function);

	*out = (struct query_frame){.kind = FRAME_PLAIN};
	while (len && low < high) {
		size_t middle = low + (high - low) / 2;
		const struct redis_frame_entry *entry = &redis_frame_table[middle];
		int order = strncmp((const char *)function.ptr, entry->function, len);

		if (!order && !entry->function[len]) {
			out->kind = entry->kind;
			out->operations = entry->operations;
			return;
		}
		if (order <= 0)
			high = middle;
		else
			low = middle + 1;
	}
}
