/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects (programs, libraries, vdso) that targets have mapped: one entry a file, whoever maps it.
 */
#ifndef WIREPROF_OBJECTS_H
#define WIREPROF_OBJECTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "../symbolizer/elf_object.h"
#include "kernel.h"
#include "unwind_tables.h"

#define MAX_OBJECTS 65536

struct object {
	struct elf_object *elf; /* NULL: anonymous memory, or a file that is no ELF object */
	char *name;		/* shown as "name+0xoff"; NULL: nothing is at this index now */
	dev_t dev;		/* with ino, size and mtime: the file's identity; all 0 for memory */
	ino_t ino;
	off_t size;
	struct timespec mtime;
	struct unwind_table *table; /* NULL: there is nothing that could have rows */
	uint64_t unmapped_ns; /* when no process was seen to map it any more; 0: one does, or it has no rows */
	bool mapped;	      /* see objects_sweep() */
	bool named;	      /* likewise: some process has, or had, a mapping of it that is remembered */
};

struct objects {
	struct unwind_tables *tables;
	struct object *list;
	size_t n, capacity, n_holes;
	size_t unreadable; /* files; for the summary */
};

/* Returns 0 or -errno. */
int objects_init(struct objects *o, struct kernel *kernel);
void objects_fini(struct objects *o);

/*
 * The object behind a mapping of a process (by /proc/PID/map_files, else by path below the process's root), opened and
 * given unwind rows if it is new. Never fails but for memory: a file that cannot be read is an object with a name
 * only. Returns its index or -errno.
 */
struct mapping_line {
	uint64_t start, end, offset;
	unsigned int dev_major, dev_minor;
	unsigned long inode;
	const char *path; /* "" for anonymous memory */
};
int objects_find(struct objects *o, pid_t pid, const struct mapping_line *m);

/*
 * Gives back the unwind rows of objects that no process has mapped for TABLE_GRACE_NS: `mapped` of each says whether
 * one has. A program that runs again and again finds its rows still there.
 */
void objects_sweep(struct objects *o, uint64_t now_ns);
/* Lets go of those that are not `named`; others may get their indices. */
void objects_forget(struct objects *o);
#define TABLE_GRACE_NS 5000000000ull

#endif
