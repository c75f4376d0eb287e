/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load on a server that somebody else started: clients of our own on one CPU keep it busy on another, from start to
 * end. They count what was answered in shared memory, so that the meter knows exactly how many requests a window had,
 * without asking the server.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LOAD_CLIENTS	 8
#define MAX_REQUEST	 1024
#define MAX_REPLY	 16384 /* of all requests of a pipeline */

struct load {
	pid_t server;
	int server_cpu, client_cpu;
	pid_t clients[LOAD_CLIENTS];
	const _Atomic uint64_t *replies; /* shared with the clients; NULL: there is no load */
};

/* The same request over and over, each connection with `pipeline` of them in flight; all replies are as long as the first. */
struct raw_load {
	uint16_t port; /* of 127.0.0.1 */
	unsigned int connections, pipeline;
	size_t request_bytes;
	char request[MAX_REQUEST];
	bool spin; /* the client never sleeps, so that the server never pays for waking it */
};

/* Return when the server has answered the first thousands of requests: 0, or -1 after a message. The clients die with us. */
int load_start_raw(struct load *l, const struct raw_load *raw);
/* Point selects of a table `item` over 8 connections to a mariadbd's Unix socket. */
int load_start_mysql(struct load *l, const char *path, bool prepared);
void load_stop(struct load *l);

/* CPU time of all threads of a process. A running thread's is as old as the last tick: see meter_read(). */
uint64_t schedstat_ns(pid_t pid);

int pin_to(int cpu); /* the calling thread; 0 or -1 */

/* For load_*.c: a client process, which fork() has made; and waits until requests are answered. */
pid_t load_fork(const struct load *l);
int load_warm_up(const struct load *l);
_Atomic uint64_t *load_counter(struct load *l);

#endif
