/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects (programs, libraries, vdso) that targets have mapped, one entry a file whoever maps it, with its
 * unwind rows in the kernel.
 */
#ifndef WIREPROF_OBJECTS_H
#define WIREPROF_OBJECTS_H

#include <stdint.h>
#include <sys/types.h>
#include "../symbolizer/elf_object.h"
#include "kernel.h"

#define MAX_OBJECTS	  65536
#define MAX_OBJECT_TABLES 16 /* of MAX_TABLE_ROWS rows */

struct object_table {
	uint64_t start, end; /* vaddr */
	uint64_t row_base;   /* vaddr of row pc 0 */
	uint32_t index;	     /* in the kernel */
};

struct object {
	struct elf_object *elf; /* NULL: anonymous memory, or a file that is no ELF object */
	char *name;		/* shown as "name+0xoff" */
	dev_t dev;		/* with ino, size and mtime: the file's identity; all 0 for memory */
	ino_t ino;
	off_t size;
	struct timespec mtime;
	struct object_table tables[MAX_OBJECT_TABLES];
	uint32_t n_tables;
	size_t n_rows;
};

struct objects {
	struct kernel *kernel;
	struct object *list;
	size_t n, capacity;
	/* what happened, for --verbose and the summary */
	size_t rows, unreadable, without_rows;
};

void objects_init(struct objects *o, struct kernel *kernel);
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

#endif
