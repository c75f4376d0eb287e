/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See debuginfod.h. Helpers are forked, not threads: a thread that waits for a server, or for a name to be resolved, cannot be
 * ended, and what libcurl allocates would stay ours. They share one end of a socket that keeps messages apart, so
 * the kernel hands each request to a helper that is free.
 *
 * A helper that dies (of a bug in a library, of no memory) takes its request along: that stays pending, and
 * nobody waits for it longer than for a slow server.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "debuginfod.h"

#define URLS_VARIABLE "DEBUGINFOD_URLS"
#define LIBRARY	      "libdebuginfod.so.1"

struct request {
	char build_id[DEBUGINFOD_BUILD_ID_MAX + 1];
};

struct answer {
	char build_id[DEBUGINFOD_BUILD_ID_MAX + 1];
	int err; /* 0: path is the file's; -ELIBACC: there is no library */
	char path[PATH_MAX];
};

enum entry_state { UNSENT, PENDING, FOUND, ABSENT };

struct entry {
	enum entry_state state;
	char *path; /* of FOUND */
	struct request request;
};

static struct {
	pthread_mutex_t lock;
	int socket; /* -1: off */
	pid_t helpers[DEBUGINFOD_HELPERS];
	struct entry *entries;
	size_t n, capacity;
	size_t failed, refused;
	bool no_library;
	int error;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .socket = -1};

/* --- a helper --- */

/* The part of debuginfod.h, elfutils, that is used: its manual page debuginfod_find_debuginfo(3). */
struct client {
	void *handle;
	int (*find)(void *handle, const unsigned char *build_id, int length, char **path);
};

static int client_open(struct client *c)
{
	void *library = dlopen(LIBRARY, RTLD_NOW);
	void *(*begin)(void);

	if (!library)
		return -ELIBACC;
	*(void **)&begin = dlsym(library, "debuginfod_begin");
	*(void **)&c->find = dlsym(library, "debuginfod_find_debuginfo");
	c->handle = begin && c->find ? begin() : NULL;
	return c->handle ? 0 : -ELIBACC;
}

static void answer(struct client *c, const struct request *request, struct answer *out)
{
	char *path = NULL;
	int fd;

	memset(out, 0, sizeof(*out));
	memcpy(out->build_id, request->build_id, sizeof(out->build_id));
	out->err = c->handle ? 0 : client_open(c);
	if (out->err)
		return;
	fd = c->find(c->handle, (const unsigned char *)request->build_id, 0, &path); /* 0: it is text */
	if (fd < 0)
		out->err = fd;
	else if (!path || strlen(path) >= sizeof(out->path))
		out->err = -ENAMETOOLONG;
	else
		memcpy(out->path, path, strlen(path) + 1);
	if (fd >= 0)
		close(fd);
	free(path);
}

/* Nothing of the parent's is kept open, Ctrl-C is its affair, and without it there is nothing to do. */
static void detach_from_parent(int socket, pid_t parent)
{
	int null;

	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(socket, STDERR_FILENO + 1) < 0)
		_exit(1);
	closefrom(STDERR_FILENO + 2);
}

static void helper(int socket, pid_t parent)
{
	struct client client = {0};
	struct request request;
	struct answer out;

	detach_from_parent(socket, parent);
	socket = STDERR_FILENO + 1;
	while (recv(socket, &request, sizeof(request), 0) == sizeof(request)) {
		answer(&client, &request, &out);
		if (send(socket, &out, sizeof(out), MSG_NOSIGNAL) != sizeof(out))
			break;
	}
	_exit(0);
}

/* --- this side; the lock is held --- */

static struct entry *find_entry(const char *build_id)
{
	for (size_t i = 0; i < state.n; i++)
		if (!strcmp(state.entries[i].request.build_id, build_id))
			return &state.entries[i];
	return NULL;
}

static struct entry *add_entry(const char *build_id)
{
	struct entry *e;

	if (state.n == state.capacity) {
		size_t more = state.capacity ? 2 * state.capacity : 64;

		e = state.n < DEBUGINFOD_ASKED_MAX ? realloc(state.entries, more * sizeof(*e)) : NULL;
		if (!e) {
			state.refused++;
			return NULL;
		}
		state.entries = e;
		state.capacity = more;
	}
	e = &state.entries[state.n++];
	memset(e, 0, sizeof(*e));
	memcpy(e->request.build_id, build_id, strlen(build_id));
	return e;
}

static void take_answer(const struct answer *a)
{
	struct entry *e = find_entry(a->build_id);

	if (!e || e->state != PENDING)
		return;
	e->state = ABSENT;
	if (!a->err) {
		e->path = strdup(a->path);
		if (e->path)
			e->state = FOUND;
	} else if (a->err == -ELIBACC) {
		state.no_library = true;
	} else if (a->err != -ENOENT) {
		state.failed++;
		state.error = a->err;
	}
}

static void take_answers(void)
{
	struct answer a;
	ssize_t n;

	while (state.socket >= 0) {
		n = recv(state.socket, &a, sizeof(a), MSG_DONTWAIT);
		if (n == sizeof(a))
			take_answer(&a);
		else if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		else { /* no helper is left */
			close(state.socket);
			state.socket = -1;
		}
	}
}

/* As many as the socket takes; the others when it has room. */
static void send_requests(void)
{
	for (size_t i = 0; i < state.n && state.socket >= 0; i++) {
		struct entry *e = &state.entries[i];

		if (e->state != UNSENT)
			continue;
		if (send(state.socket, &e->request, sizeof(e->request), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			return;
		e->state = PENDING;
	}
}

int debuginfod_get(const char *build_id, char path[static PATH_MAX])
{
	size_t n = strlen(build_id);
	struct entry *e;
	int err = -ENOENT;

	if (n < 4 || n > DEBUGINFOD_BUILD_ID_MAX || strspn(build_id, "0123456789abcdef") != n)
		return -ENOENT;
	pthread_mutex_lock(&state.lock);
	take_answers();
	e = find_entry(build_id);
	if (!e && state.socket >= 0)
		e = add_entry(build_id);
	send_requests();
	if (e && e->state == FOUND) {
		snprintf(path, PATH_MAX, "%s", e->path);
		err = 0;
	} else if (e && e->state != ABSENT && state.socket >= 0) {
		err = -EAGAIN;
	}
	pthread_mutex_unlock(&state.lock);
	return err;
}

bool debuginfod_has(const char *build_id)
{
	const struct entry *e;
	bool has;

	pthread_mutex_lock(&state.lock);
	take_answers();
	e = find_entry(build_id);
	has = e && e->state == FOUND;
	pthread_mutex_unlock(&state.lock);
	return has;
}

void debuginfod_wait(int timeout_ms)
{
	struct pollfd p;

	pthread_mutex_lock(&state.lock);
	p = (struct pollfd){.fd = state.socket, .events = POLLIN};
	pthread_mutex_unlock(&state.lock);
	if (p.fd < 0 || poll(&p, 1, timeout_ms) <= 0)
		return;
	pthread_mutex_lock(&state.lock);
	take_answers();
	send_requests();
	pthread_mutex_unlock(&state.lock);
}

void debuginfod_counts(struct debuginfod_counts *out)
{
	pthread_mutex_lock(&state.lock);
	take_answers();
	*out = (struct debuginfod_counts){
		.failed = state.failed,
		.refused = state.refused,
		.no_library = state.no_library,
		.error = state.error,
	};
	for (size_t i = 0; i < state.n; i++) {
		enum entry_state s = state.entries[i].state;

		out->found += s == FOUND;
		out->absent += s == ABSENT;
		out->pending += state.socket >= 0 && (s == PENDING || s == UNSENT);
	}
	pthread_mutex_unlock(&state.lock);
}

int debuginfod_start(void)
{
	const char *urls = getenv(URLS_VARIABLE);
	pid_t us = getpid();
	int sockets[2];

	if (!urls || urls[strspn(urls, " \t")] == '\0' || state.socket >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return -errno;
	for (size_t i = 0; i < DEBUGINFOD_HELPERS; i++) {
		state.helpers[i] = fork();
		if (state.helpers[i] == 0)
			helper(sockets[1], us);
		if (state.helpers[i] < 0)
			break; /* fewer, or none: then the socket says so */
	}
	close(sockets[1]);
	state.socket = sockets[0];
	return 0;
}

void debuginfod_stop(void)
{
	pthread_mutex_lock(&state.lock);
	if (state.socket >= 0)
		close(state.socket);
	state.socket = -1;
	for (size_t i = 0; i < DEBUGINFOD_HELPERS; i++) {
		if (state.helpers[i] <= 0)
			continue;
		kill(state.helpers[i], SIGKILL);
		waitpid(state.helpers[i], NULL, 0);
		state.helpers[i] = 0;
	}
	for (size_t i = 0; i < state.n; i++)
		free(state.entries[i].path);
	free(state.entries);
	state.entries = NULL;
	state.n = state.capacity = state.failed = state.refused = 0;
	state.no_library = false;
	pthread_mutex_unlock(&state.lock);
}
