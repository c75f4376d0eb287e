/* SPDX-License-Identifier: Apache-2.0 */
/* The labels of a sample (DESIGN.md, "Labels"): see recorder.h. */
#include <string.h>
#include <sys/socket.h>
#include "attribute_internal.h"
#include "clock.h"
#include "recorder.h"

#define MAX_LABELS 16 /* of a sample; thirteen are in use */
/* A process's container is asked for again for a while: it is moved into its own, and its runtime tells its name, a little late. */
#define CONTAINER_AGAIN_NS   5000000000ull
#define CONTAINER_SETTLED_NS 60000000000ull

void recorder_make_keys(struct recorder *r)
{
	struct aggregate *a = &r->aggregate;

	r->keys = (struct label_keys){
		.system = aggregate_string(a, "db_system_name"),
		.operation = aggregate_string(a, "db_operation_name"),
		.summary = aggregate_string(a, "db_query_summary"),
		.text = aggregate_string(a, "db_query_text"),
		.collection = aggregate_string(a, "db_collection_name"),
		.namespace = aggregate_string(a, "db_namespace"),
		.phase = aggregate_string(a, "phase"),
		.attribution = aggregate_string(a, "attribution"),
		.comm = aggregate_string(a, "comm"),
		.container = aggregate_string(a, "container"),
		.thread = aggregate_string(a, "thread"),
		.pid = aggregate_string(a, "pid"),
		.tid = aggregate_string(a, "tid"),
		.id = aggregate_string(a, "id"),
	};
}

static void add_number(struct profile_label *labels, size_t *n, uint32_t key, int64_t number,
		       uint32_t unit)
{
	labels[*n].key = key;
	labels[*n].number = number;
	labels[(*n)++].unit = unit;
}

static void add_text(struct recorder *r, struct profile_label *labels, size_t *n, uint32_t key,
		     const char *text)
{
	if (!*text)
		return;
	labels[*n].key = key;
	labels[(*n)++].value = aggregate_string(&r->aggregate, text);
}

static void ask_container(struct recorder *r, struct process *process)
{
	uint64_t now = process->container_asked_ns ? monotonic_ns() : 0;
	char container[CONTAINER_LABEL_BYTES];

	if (!r->containers || process->gone ||
	    (now && (now - process->container_asked_ns < CONTAINER_AGAIN_NS || now - process->added_ns > CONTAINER_SETTLED_NS)))
		return;
	process->container_asked_ns = now ? now : monotonic_ns();
	containers_label(r->containers, process->pid, container);
	if (*container) /* else it may have ended, and still has its parent's */
		memcpy(process->container, container, sizeof(container));
}

/* Labels that do not depend on the class. */
static size_t common_labels(struct recorder *r, struct process *process,
			    const struct sample_event *e, struct profile_label *labels)
{
	const struct attribution *by = &r->attribution;
	char thread[COMM_BYTES + 1] = "";
	size_t n = 0;

	memcpy(thread, e->thread, COMM_BYTES);
	add_text(r, labels, &n, r->keys.comm, process->comm);
	ask_container(r, process);
	add_text(r, labels, &n, r->keys.container, *process->container ? process->container : r->container);
	if (r->threads) {
		add_text(r, labels, &n, r->keys.thread, thread);
		add_number(labels, &n, r->keys.tid, e->tid, r->keys.id);
	}
	add_number(labels, &n, r->keys.pid, e->h.pid, r->keys.id);
	if (!r->requests)
		return n;
	if (by->phase != PHASE_NONE)
		add_text(r, labels, &n, r->keys.phase, phase_names[by->phase]);
	add_text(r, labels, &n, r->keys.attribution, attribution_names[by->kind]);
	add_text(r, labels, &n, r->keys.system, by->system);
	add_text(r, labels, &n, r->keys.namespace, by->namespace);
	return n;
}

/* Whether the thread may serve a request that came while the receive hook was not attached. */
static bool is_missed(struct process *process, const struct sample_event *e, const struct evidence *evidence)
{
	if (!(e->flags & REQUEST_MISSED) || evidence->context == FRAME_BACKGROUND)
		return false;
	return e->phase != PHASE_REPLY || attribute_server_side(process, e);
}

/* Where a sample comes from, and what the whole of it weighs. */
static void weigh(const struct recorder *r, struct process *process, const struct sample_event *e, const struct evidence *evidence,
		  struct sample_origin *origin, struct raw_weight *whole)
{
	*origin = (struct sample_origin){.pid = process->pid, .kind = SAMPLE_TAGGED};
	*whole = (struct raw_weight){.weight = (double)PROFILE_SAMPLE_WEIGHT * e->period_ns * r->frequency_hz / 1e9, .n = 1};
	if (e->flags & SAMPLE_UNTAGGED) {
		origin->kind = SAMPLE_BETWEEN;
		return;
	}
	if (is_missed(process, e, evidence))
		origin->kind = SAMPLE_MISSED;
	else if (e->flags & REQUEST_KNOWN && e->age)
		whole->extra = whole->weight * (1 / governor_inclusion(&r->governor, e->age * r->jiffy_ns, e->h.time_ns, e->family != AF_UNIX) - 1);
}

/* The part of a whole that `weight` is of PROFILE_SAMPLE_WEIGHT. */
static struct raw_weight part(const struct raw_weight *whole, uint64_t weight)
{
	return (struct raw_weight){
		.weight = whole->weight * weight / PROFILE_SAMPLE_WEIGHT,
		.extra = whole->extra * weight / PROFILE_SAMPLE_WEIGHT,
		.n = whole->n,
	};
}

void recorder_add_sample(struct recorder *r, struct process *process, const struct sample *s, uint32_t stack)
{
	struct profile_label labels[MAX_LABELS];
	const struct attribution *by = &r->attribution;
	struct raw_weight whole, weight;
	struct sample_origin origin;
	size_t n_common, n;

	weigh(r, process, s->event, aggregate_evidence(&r->aggregate, stack), &origin, &whole);
	memset(labels, 0, sizeof(labels)); /* label sets are compared as bytes */
	n_common = common_labels(r, process, s->event, labels);
	if (!by->n)
		aggregate_add(&r->aggregate, stack, labels, n_common, &origin, &whole);
	for (size_t i = 0; i < by->n; i++) {
		const struct attributed_class *c = &by->classes[i];

		n = n_common;
		memset(labels + n, 0, (MAX_LABELS - n) * sizeof(*labels));
		add_text(r, labels, &n, r->keys.operation, c->operation);
		add_text(r, labels, &n, r->keys.summary, c->summary);
		if (r->texts)
			add_text(r, labels, &n, r->keys.text, c->text);
		add_text(r, labels, &n, r->keys.collection, c->collection);
		weight = part(&whole, c->weight);
		aggregate_add(&r->aggregate, stack, labels, n, &origin, &weight);
	}
}
