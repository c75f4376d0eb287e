/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose work a sample is: the kernel side's phase, the request's bytes and the stack's evidence, weighed.
 *
 * Certain knowledge only: where these contradict each other, the stack wins (it shows what runs, the bytes only what
 * was read last); where neither knows, the sample says so.
 */
#ifndef WIREPROF_ATTRIBUTE_H
#define WIREPROF_ATTRIBUTE_H

#include "../protocols/mysql.h"
#include "../protocols/redis.h"
#include "aggregate.h"
#include "inflate.h"
#include "processes.h"
#include "sample.h"

/* How a sample got its request; the label `attribution`. */
#define ATTRIBUTIONS(X)                                                                            \
	X(NONE, "none")                                                                            \
	X(EXACT, "exact")                                                                          \
	X(PIPELINE, "pipeline")                                                                    \
	X(UNKNOWN_STATEMENT, "unknown_statement")                                                  \
	X(STACK, "stack")                                                                          \
	X(STALE, "stale")                                                                          \
	X(ENCRYPTED, "encrypted")
#define X(name, text) ATTRIBUTION_##name,
enum attribution_kind { ATTRIBUTIONS(X) N_ATTRIBUTIONS };
#undef X
extern const char *const attribution_names[N_ATTRIBUTIONS];
extern const char *const phase_names[N_PHASES];

struct attributed_class {
	const char *operation, *summary, *text, *collection; /* all but the first: "" where not known */
	uint64_t weight;				     /* micro-samples */
};

struct attribution {
	enum phase phase;
	enum attribution_kind kind;
	const char *system; /* "redis", "mysql", "mariadb", "mongodb", or "" where it is not known to be one */
	char namespace[MYSQL_SCHEMA_BYTES]; /* the connection's schema, the command's database; "": not known */
	/* Weights add up to PROFILE_SAMPLE_WEIGHT; n == 0: the whole sample has no class. */
	size_t n;
	struct attributed_class classes[QUERY_BATCH_CLASSES];
	struct query_batch batch;     /* what the classes point into */
	char family[QUERY_TEXT_BYTES]; /* likewise */
};

/* What it takes. */
struct attributor {
	struct processes *processes;
	struct inflater *inflater;
	enum redis_keys redis_keys;
};

void attribute(struct attributor *a, struct process *process, const struct sample *s, const struct evidence *evidence,
	       struct attribution *out);

#endif
