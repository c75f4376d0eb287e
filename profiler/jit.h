/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of code in memory that no ELF file is behind, by the perf maps of processes.
 *
 * Such an address means something in its process only, and only for a time: memory is used again for
 * other code. So a location of it has an owner: which process, and which line of its map.
 */
#ifndef WIREPROF_JIT_H
#define WIREPROF_JIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "../symbolizer/perf_map.h"

struct jit; /* opaque: the code of one process, or rather of one program that it runs */

#define JIT_PROCESSES_MAX 256	/* with files open (two each); the code of others stays nameless */
#define JIT_UNNAMED_MAX	  65536 /* locations of a process that may get a name later */

/* All processes. Zeroes to begin with. */
struct jits {
	uint32_t last_serial;
	size_t open;
	uint64_t refused;	     /* processes beyond JIT_PROCESSES_MAX */
	uint64_t forgotten;	     /* locations beyond JIT_UNNAMED_MAX */
	struct perf_map_counts seen; /* of the processes that are finished */
};

struct jit_code {
	uint64_t owner; /* never 0 */
	bool known;	/* a line of the map covers the address */
	uint32_t line;
};

/*
 * What the map says of an address. It is read again when it has grown, but not more often than each
 * 100 ms, and at most 8 MiB at a time. *j is made where it is NULL, and counts in
 * `all`, which must outlive it. `shown_as`: see struct process.
 */
void jit_find(struct jits *all, struct jit **j, pid_t shown_as, uint64_t address,
	      struct jit_code *out);
/* The name of what was found; false where it is gone. */
bool jit_name(const struct jit *j, const struct jit_code *code, uint64_t address,
	      char name[static PERF_MAP_NAME_BYTES]);
/* A location without a name: it is asked for again when the process or the recording ends. */
void jit_unnamed(struct jit *j, uint64_t address, uint32_t location);

/*
 * The process has ended, or the recording has: the map is read for the last time (some JITs write it
 * only then), `rename` is called for each location that has a name now, files are closed. Does
 * nothing the second time, and for NULL.
 */
typedef void (*jit_rename_fn)(void *context, uint32_t location, const char *name);
void jit_finish(struct jit *j, jit_rename_fn rename, void *context);
/* Likewise in between: the map is read again, and those that have got a name are renamed. NULL is fine. */
void jit_retry(struct jit *j, jit_rename_fn rename, void *context);
/* The numbers of the locations that have no name mean nothing any more. NULL is fine. */
void jit_forget_unnamed(struct jit *j);
/* Without names for what has none. */
void jit_free(struct jit *j);

#endif
