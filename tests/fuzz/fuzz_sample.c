/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes what user space does with a sample event: sample_decode(), and attribute() of what decodes.
 *
 *	byte 0	   evidence: bits 0-1 operations, bits 2-4 context, bit 5 complete, bit 6: they are of MongoDB's
 *	byte 1	   bit 0: redis, 1: mysql, 2: mariadb, by the server's functions; 3: no inflater; 4: keys; 5: twenty times;
 *		   6: a Go program
 *	byte 2..   the record in the ring buffer
 *
 * The process listens on every port. The kernel side is there, but has nothing: its skeleton is zeroed, so that asking
 * for a prepared statement fails. Asserted: weights add up, what is said is bounded and printable UTF-8.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "check_text.h"
#include "profiler/attribute.h"
#include "profiler/kernel_internal.h"

#define PORT_BITMAP_BYTES 8192
#define SEEN_MAX	  64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kernel *no_kernel(void)
{
	static struct wireprof_bpf__bss bss;
	static struct wireprof_bpf skel = {.bss = &bss};
	static struct kernel kernel = {.skel = &skel};

	return &kernel;
}

static void check_attribution(const struct attribution *a)
{
	uint64_t weight = 0;

	assert(a->phase < N_PHASES && a->kind < N_ATTRIBUTIONS);
	assert(a->n <= QUERY_BATCH_CLASSES);
	check_text(a->system, 16, true);
	check_text(a->namespace, sizeof(a->namespace), true);
	for (size_t i = 0; i < a->n; i++) {
		const struct attributed_class *c = &a->classes[i];

		check_text(c->operation, QUERY_TEXT_BYTES, false);
		check_text(c->summary, QUERY_TEXT_BYTES, false);
		check_text(c->text, QUERY_TEXT_BYTES, true);
		check_text(c->collection, QUERY_COLLECTION_BYTES, true);
		weight += c->weight;
	}
	assert(!a->n || weight == PROFILE_SAMPLE_WEIGHT);
	assert(a->n || a->kind == ATTRIBUTION_NONE || a->kind == ATTRIBUTION_STALE || a->kind == ATTRIBUTION_ENCRYPTED ||
	       a->kind == ATTRIBUTION_UNKNOWN_STATEMENT);
}

static struct evidence make_evidence(uint8_t bits)
{
	static const char *const selects[] = {"SELECT", NULL}, *const inserts[] = {"INSERT", "REPLACE", NULL},
				 *const gets[] = {"GET", "SET", "PING", NULL};
	static const char *const *const operations[] = {NULL, selects, inserts, gets};
	enum frame_kind context = bits >> 2 & 7;

	return (struct evidence){
		.operations = operations[bits & 3],
		.system = bits & 64 && bits & 3 ? "mongodb" : NULL,
		.context = context <= FRAME_BACKGROUND ? context : FRAME_PLAIN,
		.complete = bits & 32,
	};
}

static void attribute_sample(const struct sample *s, uint8_t evidence_bits, uint8_t server_bits)
{
	static uint8_t listening[PORT_BITMAP_BYTES];
	static struct inflater *inflater;
	static struct attribution out;
	struct processes processes = {.kernel = no_kernel()};
	struct attributor a = {&processes, NULL, server_bits & 16 ? REDIS_KEYS_NONE : REDIS_KEYS_PREFIX};
	struct evidence evidence = make_evidence(evidence_bits);
	struct process process = {
		.pid = 1,
		.listening = memset(listening, 0xff, sizeof(listening)),
		.server = {.known = true, .redis = server_bits & 1, .mysql = server_bits & 2, .mariadb = server_bits & 4},
		.maps.go.generation = server_bits & 64,
	};

	if (!inflater)
		inflater = inflater_new();
	if (!(server_bits & 8))
		a.inflater = inflater;
	intern_init(&process.operations, SEEN_MAX);
	for (int i = server_bits & 32 ? 20 : 1; i; i--) { /* replies are split over the last ones */
		attribute(&a, &process, s, &evidence, &out);
		check_attribution(&out);
	}
	intern_fini(&process.operations);
	free(process.replies);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event_header *record;
	struct sample s;

	if (size < 2)
		return 0;
	record = malloc(size - 2); /* a copy of its own: aligned, and a read beyond its end is seen */
	assert(record);
	memcpy(record, data + 2, size - 2);
	if (!sample_decode(record, size - 2, &s)) {
		assert(s.tail.ptr + s.tail.len <= (const uint8_t *)record + size - 2);
		assert((const uint8_t *)(s.user + s.n_user) <= s.head.ptr || !s.n_user);
		attribute_sample(&s, data[0], data[1]);
	}
	free(record);
	return 0;
}
