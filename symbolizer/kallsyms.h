/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel, module and BPF program symbols from /proc/kallsyms, loaded once, compactly. */
#ifndef WIREPROF_KALLSYMS_H
#define WIREPROF_KALLSYMS_H

#include <stdbool.h>
#include <stdint.h>

struct kallsyms; /* opaque */

/*
 * Reads `path` ("/proc/kallsyms"). Returns 0 or -errno; -EPERM where every address reads as zero
 * (kptr_restrict, no CAP_SYSLOG). Lines that do not parse are skipped.
 */
int kallsyms_open(const char *path, struct kallsyms **out);
void kallsyms_free(struct kallsyms *k); /* NULL is fine */

struct kernel_symbol {
	uint64_t address;
	const char *name;   /* lives as long as the kallsyms */
	const char *module; /* "nf_tables", "bpf", or "" for the kernel itself; same lifetime */
};
/* The symbol at or below the address; false below the first, or with k == NULL. */
bool kallsyms_find(const struct kallsyms *k, uint64_t address, struct kernel_symbol *out);

#endif
