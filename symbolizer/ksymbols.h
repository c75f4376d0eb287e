/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel code that came and went while we looked: BPF programs and trampolines, each for a time.
 *
 * /proc/kallsyms says what is there when it is read, without sizes. This is told of each change, with size and
 * time (PERF_RECORD_KSYMBOL), so that memory which is used again has the name that it had when a sample was taken.
 */
#ifndef WIREPROF_KSYMBOLS_H
#define WIREPROF_KSYMBOLS_H

#include <stdint.h>
#include "kallsyms.h"

struct ksymbols; /* opaque */

#define KSYMBOLS_MAX	    4096 /* the one removed first makes room; else the new one is dropped */
#define KSYMBOL_NAME_BYTES  128	 /* longer names are cut */

/* NULL where memory is out. */
struct ksymbols *ksymbols_new(void);
void ksymbols_free(struct ksymbols *k); /* NULL is fine */

/* Code appeared at [address, address + size); `module` ("bpf", or "") is a literal. Calls may come out of order. */
void ksymbols_add(struct ksymbols *k, uint64_t address, uint32_t size, uint64_t time_ns, const char *name,
		  const char *module);
void ksymbols_remove(struct ksymbols *k, uint64_t address, uint64_t time_ns);

/* The number, never 0 and never used again, of what lay at an address at a time; 0: nothing that we were told of. */
uint32_t ksymbols_find(const struct ksymbols *k, uint64_t address, uint64_t time_ns);
/* What has that number; false where it was dropped since. The name lives until the next ksymbols_add(). */
bool ksymbols_get(const struct ksymbols *k, uint32_t number, struct kernel_symbol *out);
/* Symbols that found no room. */
uint64_t ksymbols_dropped(const struct ksymbols *k);

#endif
