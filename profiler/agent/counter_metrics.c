/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See counter_metrics.h. The switches have no default: a counter or an end of a stack that is new does not compile before
 * it has a place here.
 */
#include "counter_metrics.h"

const char *counter_reason(enum counter counter, enum counter_family *family)
{
	*family = COUNTER_OF_REQUESTS_MISSED;
	switch (counter) {
	case COUNTER_SAMPLES:
		*family = COUNTER_OF_SAMPLES;
		return "";
	case COUNTER_SAMPLES_LOST:
		*family = COUNTER_OF_SAMPLES_LOST;
		return "ring_full";
	case COUNTER_EVENTS_LOST:
		*family = COUNTER_OF_PROCESSES_MISSED;
		return "ring_full";
	case COUNTER_TARGETS_FULL:
		*family = COUNTER_OF_PROCESSES_MISSED;
		return "targets_full";
	case COUNTER_RECEIVES_BYPASS:
		return "receive_bypass";
	case COUNTER_RECEIVES_NO_STATE:
		return "no_thread_state";
	case COUNTER_SOCKETS_EVICTED:
		return "sockets_full";
	case COUNTER_REQUEST_LOST:
		return "forgotten";
	case COUNTER_REQUEST_UNREADABLE:
		return "unreadable";
	case COUNTER_CONNECTIONS_FULL:
		return "connections_full";
	case COUNTER_PREPARED_FULL:
		return "prepared_full";
	case COUNTER_CURSORS_FULL:
		return "cursors_full";
	case COUNTER_GOROUTINE_UNKNOWN:
		return "goroutine_unknown";
	case COUNTER_PREPARED:
		*family = COUNTER_OF_PREPARED;
		return "";
	case COUNTER_GUESSED_FRAMES:
		*family = COUNTER_OF_GUESSED_FRAMES;
		return "";
	case COUNTER_GUESSED_SAMPLES:
		*family = COUNTER_OF_GUESSED_SAMPLES;
		return "";
	case COUNTER_SAMPLE_NS:
	case COUNTER_TARGET_NS:
	case COUNTER_RECEIVES:
	case COUNTER_RECEIVES_OF_OTHERS:
		*family = COUNTER_OF_COST;
		return "";
	case N_COUNTERS:
		break;
	}
	return "";
}

const char *stop_reason(enum stop stop)
{
	switch (stop) {
	case STOP_NONE:
	case STOP_END:
	case STOP_ZERO:
	case N_STOPS:
		break;
	case STOP_DEPTH:
		return "too_deep";
	case STOP_NO_MAPS:
		return "no_mappings";
	case STOP_NO_MAPPING:
		return "not_mapped";
	case STOP_NO_TABLE:
		return "no_table";
	case STOP_NO_ROW:
		return "no_row";
	case STOP_UNSUPPORTED:
		return "unsupported_rule";
	case STOP_READ_FAILED:
		return "read_failed";
	case STOP_BAD_STACK:
		return "bad_stack_pointer";
	case STOP_NO_FRAME:
		return "no_cfi";
	case STOP_NO_REGISTER:
		return "no_register";
	case STOP_BAD_TABLE:
		return "bad_table";
	}
	return NULL;
}

static void add(struct metrics_count *list, size_t *n, const char *name, uint64_t value)
{
	list[(*n)++] = (struct metrics_count){name, value};
}

static void place_counter(enum counter counter, uint64_t value, struct counter_metrics *storage, struct metrics *out)
{
	enum counter_family family;
	const char *reason = counter_reason(counter, &family);

	switch (family) {
	case COUNTER_OF_SAMPLES:
		out->samples = value;
		break;
	case COUNTER_OF_SAMPLES_LOST:
		add(storage->samples_lost, &out->n_samples_lost, reason, value);
		break;
	case COUNTER_OF_REQUESTS_MISSED:
		add(storage->requests_missed, &out->n_requests_missed, reason, value);
		break;
	case COUNTER_OF_PROCESSES_MISSED:
		add(storage->processes_missed, &out->n_processes_missed, reason, value);
		break;
	case COUNTER_OF_PREPARED:
		out->statements_prepared = value;
		break;
	case COUNTER_OF_GUESSED_FRAMES:
		out->guessed_frames = value;
		break;
	case COUNTER_OF_GUESSED_SAMPLES:
		out->guessed_samples = value;
		break;
	case COUNTER_OF_COST:
		break;
	}
}

void counter_metrics_fill(const uint64_t counters[static N_COUNTERS], const uint64_t stops[static N_STOPS],
			  const struct user_losses *losses, struct counter_metrics *storage, struct metrics *out)
{
	out->samples_lost = storage->samples_lost;
	out->requests_missed = storage->requests_missed;
	out->processes_missed = storage->processes_missed;
	out->stacks_truncated = storage->stacks_truncated;
	out->n_samples_lost = out->n_requests_missed = out->n_processes_missed = out->n_stacks_truncated = 0;
	for (int i = 0; i < N_COUNTERS; i++)
		place_counter((enum counter)i, counters[i], storage, out);
	add(storage->samples_lost, &out->n_samples_lost, "no_room", losses->no_room);
	add(storage->samples_lost, &out->n_samples_lost, "malformed", losses->malformed);
	for (int i = 0; i < N_STOPS; i++)
		if (stop_reason((enum stop)i))
			add(storage->stacks_truncated, &out->n_stacks_truncated, stop_reason((enum stop)i), stops[i]);
}
