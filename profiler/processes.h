/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The targets: what each has mapped where, its name, and which ports it serves.
 *
 * A process's mappings are kept after they are gone, until something else takes their place: samples are
 * read a moment after they were taken.
 */
#ifndef WIREPROF_PROCESSES_H
#define WIREPROF_PROCESSES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "targets/containers.h"
#include "intern.h"
#include "jit.h"
#include "objects.h"
#include "sample.h"

struct user_mapping {
	uint64_t start, end;
	uint64_t vaddr;	 /* of start, in the object */
	uint64_t offset; /* offset, device and inode as the kernel shows them: whose mapping it is */
	unsigned long inode;
	unsigned int dev_major, dev_minor;
	uint32_t object;
	uint64_t gone_ns; /* when it was seen to be there no more; 0: it is there */
	uint64_t published_ns; /* since when the kernel knows; 0: it does not yet */
};

struct process {
	pid_t pid;
	pid_t shown_as; /* the thread whose /proc entry shows its memory */
	char comm[COMM_BYTES];
	struct user_mapping *mappings; /* sorted by start, none overlap */
	size_t n_mappings, mappings_capacity;
	uint64_t refreshed_ns;	    /* when the mappings were read last; CLOCK_MONOTONIC */
	uint64_t refresh_cost_ns;   /* the CPU time that this took */
	uint64_t added_ns;	    /* when we came to know it, or the program that it runs */
	uint64_t started_ns;	    /* when it was seen to exec(); 0: before */
	char container[CONTAINER_LABEL_BYTES]; /* "": none, or not asked for yet */
	uint64_t container_asked_ns;
	struct publication {
		struct exec_mapping *list;
		size_t n;
		uint64_t since_ns; /* 0: never */
	} published, before; /* what the kernel was told last, and what before that */
	uint64_t news_ns; /* when it was told something new; UINT64_MAX: there is something that it does not know */
	uint8_t *listening;	    /* a bit a TCP port, 8 KiB; NULL until asked for */
	uint64_t listening_read_ns; /* when it was read */
	uint64_t changed_ns;	    /* when a mapping appeared that was not read yet; 0: none */
	struct published_maps maps; /* what the kernel knows of them */
	bool runs; /* see process_runs() */
	bool kernel_thread;
	bool seen_alive; /* since it was added */
	bool gone;
	uint64_t gone_ns; /* since when */
	struct server_names {
		bool known;		    /* the others have been looked up */
		bool redis, mysql, mariadb; /* it has their functions' names; MariaDB's are MySQL's, too */
		bool mongo;		    /* likewise FerretDB's; or it is called mongod or mongos, whose releases have no names */
	} server;
	bool speaks_mysql, speaks_mongo; /* a connection of it was seen to */
	struct intern operations; /* operations seen on the wire */
	struct reply_mix *replies;	  /* see attribute.c; NULL until one was seen */
	struct jit *jit;	  /* its code that is in no file; NULL until sampled */
	uint64_t learned_ns;	  /* when its connections were asked for more of them */
};

struct processes {
	struct kernel *kernel;
	struct objects objects;
	struct process **list;
	size_t n, capacity;
	bool keep_first; /* also when it has been gone for long: the profile is called after it */
};

/* Returns 0 or -errno. */
int processes_init(struct processes *p, struct kernel *kernel);
void processes_fini(struct processes *p);

/* The process, made (with its name and mappings) if it is new; NULL where memory is out. */
struct process *processes_get(struct processes *p, pid_t pid);
/* Like the above, but only if it is known. */
struct process *processes_find(const struct processes *p, pid_t pid);

/* Samples are read within DRAIN_MS or so: what has been gone for longer is not needed to resolve them. */
#define KEEP_GONE_NS 5000000000ull

/* The process that a thread belongs to; 0 where there is no such thread. */
pid_t process_of_thread(pid_t tid);

/* Whether no thread of it runs any more; one that nobody has waited for yet is over, too. */
bool process_is_over(pid_t pid);

/* Reads the process's name, into comm. */
void process_read_comm(struct process *process);

/* It is a thread of the kernel: "kworker/0:1-events" is what kworker does now, and goes by that alone. */
void process_is_kernel_thread(struct process *process);

/* Reads the mappings again, opens what is new and tells the kernel. Returns 0 or -errno (-ESRCH: gone). */
int process_refresh(struct processes *p, struct process *process);
/* A sample stopped at this address for lack of unwind rows: they are built next. */
void process_want_rows(struct processes *p, const struct process *process, uint64_t address);
/*
 * The process runs: it will need rows. First those of the program itself and of its C library, which nearly all
 * stacks end in; then, when nothing else is to be done, those of what else it has mapped.
 */
void process_runs(struct processes *p, struct process *process);
/* Once in a second or so: unwind rows that nobody needs are given back, processes long gone are forgotten. */
void processes_sweep(struct processes *p);
/* Lets go of the objects that no process has mapped. Only when nothing that was sampled has their numbers any more. */
void processes_forget_objects(struct processes *p);
/* How many that would be. */
size_t processes_idle_objects(const struct processes *p);
/*
 * One mapping that appeared, at the time of the samples that are being read; it may be gone by now. Not told to the
 * kernel: process_publish_news() or a refresh does that.
 */
int process_mapped(struct processes *p, struct process *process, const struct mapping_line *m);
/* Tells the kernel of such mappings, if there are any that it does not know. The process has not ended. */
void process_publish_news(struct processes *p, struct process *process);
/* After exec: the old program's mappings and name mean nothing. */
void process_reset(struct processes *p, struct process *process);
/*
 * Cuts a stack where the kernel unwound it by what lay there before: a frame's caller is not to be believed that was
 * found by another library's rows, unless those say the same.
 */
void process_cut_stack(struct processes *p, const struct process *process, struct sample *s);
/* A child after fork has what its parent has, until it is read on its own. */
void process_inherit(struct process *child, const struct process *parent);

/* The mapping that holds an address, or NULL. */
const struct user_mapping *process_mapping(const struct process *process, uint64_t address);

/* The object that the process runs; NULL: not known. */
struct elf_object *process_program(const struct processes *p, const struct process *process);

/* Which server the process is, as far as its functions have names. */
const struct server_names *process_server(const struct processes *p, struct process *process);

/* Whether the process, or another of its network namespace, listens on this TCP port. */
bool process_listens(struct process *process, uint16_t port);

#endif
