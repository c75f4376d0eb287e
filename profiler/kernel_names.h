/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of kernel addresses: the kernel's own and its modules' from /proc/kallsyms, read again when modules change;
 * BPF programs that come and go from what the kernel tells of them.
 */
#ifndef WIREPROF_KERNEL_NAMES_H
#define WIREPROF_KERNEL_NAMES_H

#include <stdbool.h>
#include "../symbolizer/kallsyms.h"
#include "../symbolizer/ksymbols.h"

struct kernel_names {
	const char *kallsyms_path, *modules_path;
	struct kallsyms *kallsyms; /* NULL: may not be read */
	struct ksymbols *ksymbols;
	bool hidden;		 /* kallsyms_open() said so: not tried again */
	bool told;		 /* changes are told by kernel_names_code(); else they are looked for */
	bool doubtful;		 /* records were lost */
	uint64_t modules;	 /* a hash of which are loaded, and where */
	uint64_t checked_ns, read_ns;
};

/* Reads the tables, or says why it cannot. Call it after the changes began to be watched, if they are (`told`). */
void kernel_names_open(struct kernel_names *n, bool told);
void kernel_names_close(struct kernel_names *n);

/* PERF_RECORD_KSYMBOL. */
struct kernel_code {
	uint64_t address, time_ns;
	uint32_t size;
	bool removed, bpf;
	const char *name;
};
void kernel_names_code(struct kernel_names *n, const struct kernel_code *code);
/* Such records were lost. */
void kernel_names_lost(struct kernel_names *n);

/* Which of the programs that had this address it was at a time; 0 for what does not move. */
uint32_t kernel_names_owner(const struct kernel_names *n, uint64_t address, uint64_t time_ns);
/* Where the address is outside of the kernel's own text, tables are read again if need be (at most once a second). */
bool kernel_names_find(struct kernel_names *n, uint64_t address, uint32_t owner, struct kernel_symbol *out);

#endif
