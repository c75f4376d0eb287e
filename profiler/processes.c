/* SPDX-License-Identifier: Apache-2.0 */
/* See processes.h; what a process has mapped where is in process_mappings.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "message.h"
#include "processes.h"

#define PORT_BITMAP_BYTES    8192
#define MAX_SEEN_OPERATIONS  512
#define LISTENING_RETRY_NS   1000000000ull

int processes_init(struct processes *p, struct kernel *kernel)
{
	*p = (struct processes){.kernel = kernel};
	return objects_init(&p->objects, kernel);
}

static void process_free(struct process *process)
{
	free(process->mappings);
	free(process->published.list);
	free(process->before.list);
	free(process->listening);
	free(process->replies);
	jit_free(process->jit);
	intern_fini(&process->operations);
	free(process);
}

void processes_fini(struct processes *p)
{
	for (size_t i = 0; i < p->n; i++)
		process_free(p->list[i]);
	free(p->list);
	if (p->kernel)
		objects_fini(&p->objects);
}

struct process *processes_find(const struct processes *p, pid_t pid)
{
	/* The newest first: a process id that is used again means its latest owner. */
	for (size_t i = p->n; i-- > 0;)
		if (p->list[i]->pid == pid && !p->list[i]->gone)
			return p->list[i];
	for (size_t i = p->n; i-- > 0;)
		if (p->list[i]->pid == pid)
			return p->list[i];
	return NULL;
}

struct status {
	char state;
	int tgid, threads;
};

/* Returns 0 or -errno. */
static int read_status(pid_t tid, struct status *out)
{
	char path[64], line[256];
	FILE *f;

	*out = (struct status){.state = 'X', .threads = 1};
	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		sscanf(line, "State: %c", &out->state);
		sscanf(line, "Tgid: %d", &out->tgid);
		if (sscanf(line, "Threads: %d", &out->threads) == 1)
			break;
	}
	fclose(f);
	return 0;
}

pid_t process_of_thread(pid_t tid)
{
	struct status s;

	return read_status(tid, &s) ? 0 : s.tgid;
}

bool process_is_over(pid_t pid)
{
	struct status s;
	int err = read_status(pid, &s);

	if (err)
		return err == -ENOENT;
	return (s.state == 'Z' || s.state == 'X') && s.threads <= 1; /* the first thread may end before the others */
}

void process_read_comm(struct process *process)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", process->pid);
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(process->comm, sizeof(process->comm), f))
		process->comm[strcspn(process->comm, process->kernel_thread ? "/\n" : "\n")] = '\0';
	fclose(f);
}

void process_is_kernel_thread(struct process *process)
{
	process->kernel_thread = true;
	process->comm[strcspn(process->comm, "/")] = '\0';
}

struct process *processes_get(struct processes *p, pid_t pid)
{
	struct process *process = processes_find(p, pid);

	if (process && !process->gone)
		return process;
	process = calloc(1, sizeof(*process));
	if (!process || array_reserve((void **)&p->list, &p->capacity, p->n, sizeof(*p->list))) {
		free(process);
		return NULL;
	}
	process->pid = pid;
	process->added_ns = monotonic_ns();
	intern_init(&process->operations, MAX_SEEN_OPERATIONS);
	snprintf(process->comm, sizeof(process->comm), "[%d]", pid);
	p->list[p->n++] = process;
	return process;
}

/* Forgets processes that have been gone for a while. */
static void forget_gone(struct processes *p, uint64_t now_ns)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		struct process *process = p->list[i];

		if ((i || !p->keep_first) && process->gone && now_ns - process->gone_ns > KEEP_GONE_NS)
			process_free(process);
		else
			p->list[n++] = process;
	}
	p->n = n;
}

void processes_sweep(struct processes *p)
{
	uint64_t now_ns = monotonic_ns();

	forget_gone(p, now_ns);
	for (size_t i = 0; i < p->objects.n; i++)
		p->objects.list[i].mapped = p->objects.list[i].named = false;
	for (size_t i = 0; i < p->n; i++)
		for (size_t m = 0; m < p->list[i]->n_mappings; m++) {
			const struct user_mapping *mapping = &p->list[i]->mappings[m];
			struct object *object = &p->objects.list[mapping->object];

			object->named = true;
			if (!p->list[i]->gone && !mapping->gone_ns)
				object->mapped = true;
		}
	objects_sweep(&p->objects, now_ns);
}

void processes_forget_objects(struct processes *p)
{
	processes_sweep(p);
	objects_forget(&p->objects);
}

size_t processes_idle_objects(const struct processes *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->objects.n; i++)
		n += !p->objects.list[i].named && p->objects.list[i].name;
	return n;
}

void process_reset(struct processes *p, struct process *process)
{
	process->container_asked_ns = 0;
	process->n_mappings = process->published.n = process->before.n = 0;
	jit_free(process->jit);
	process->jit = NULL;
	kernel_drop_maps(p->kernel, &process->maps);
	process->server.known = process->speaks_mysql = process->speaks_mongo = false;
	intern_fini(&process->operations);
	intern_init(&process->operations, MAX_SEEN_OPERATIONS);
	free(process->listening);
	process->listening = NULL;
	process->runs = false;
	process_refresh(p, process);
	process_runs(p, process);
}

static bool has_symbol(struct elf_object *elf, const char *const *names)
{
	for (; *names; names++)
		if (elf_object_has_symbol(elf, *names))
			return true;
	return false;
}

struct elf_object *process_program(const struct processes *p, const struct process *process)
{
	return process->n_mappings ? p->objects.list[process->mappings[0].object].elf : NULL; /* it lies lowest */
}

const struct server_names *process_server(const struct processes *p, struct process *process)
{
	static const char *const redis[] = {"readQueryFromClient", NULL};
	/* do_command(THD*) in MySQL, do_command(THD*, bool) in MariaDB */
	static const char *const mysql[] = {"_Z10do_commandP3THD", "_Z10do_commandP3THDb", NULL};
	static const char *const mariadb[] = {"maria_delete_table_files", NULL};
	static const char *const mongo[] = {"github.com/FerretDB/FerretDB/internal/handler.(*Handler).MsgFind",
					    "github.com/FerretDB/FerretDB/v2/internal/handler.(*Handler).msgFind", NULL};
	struct server_names *names = &process->server;
	struct elf_object *elf;

	if (names->known)
		return names;
	*names = (struct server_names){.known = true};
	elf = process_program(p, process);
	if (!elf)
		return names;
	names->redis = has_symbol(elf, redis);
	names->mysql = has_symbol(elf, mysql);
	names->mariadb = has_symbol(elf, mariadb);
	names->mongo = has_symbol(elf, mongo) || !strcmp(elf_object_name(elf), "mongod") || !strcmp(elf_object_name(elf), "mongos");
	return names;
}

/* Marks the ports in LISTEN state of one table, proc(5): "sl local:PORT remote state". */
static void read_listening(struct process *process, const char *table)
{
	char path[64], line[512];
	unsigned int port, state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/net/%s", process->pid, table);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " %*[^:]: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &port, &state) == 2 &&
		    state == 0x0a && port <= 0xffff)
			process->listening[port / 8] |= 1u << port % 8;
	fclose(f);
}

bool process_listens(struct process *process, uint16_t port)
{
	uint64_t now;

	if (process->listening && process->listening[port / 8] & 1u << port % 8)
		return true;
	/* Not known to listen: look (again), at most once a second. */
	now = monotonic_ns();
	if (process->listening && now - process->listening_read_ns < LISTENING_RETRY_NS)
		return false;
	if (!process->listening)
		process->listening = calloc(1, PORT_BITMAP_BYTES);
	if (!process->listening)
		return false;
	process->listening_read_ns = now;
	read_listening(process, "tcp");
	read_listening(process, "tcp6");
	return process->listening[port / 8] & 1u << port % 8;
}
