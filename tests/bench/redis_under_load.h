/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A redis-server of our own on one CPU, kept busy by a client of our own on another: some connections, each
 * with one GET in flight. The client counts its replies in shared memory, so that the meter knows exactly how
 * many requests a window had, without asking the server.
 */
#ifndef REDIS_UNDER_LOAD_H
#define REDIS_UNDER_LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MAX_SERVER_THREADS 64

struct load_counters {
	_Atomic uint64_t replies; /* requests that the server has answered */
};

struct redis_under_load {
	pid_t server, client;
	int server_cpu, client_cpu;
	uint16_t port;
	const struct load_counters *counters; /* shared with the client */
	int schedstat[MAX_SERVER_THREADS];    /* one a thread of the server */
	size_t n_threads;
};

/*
 * Starts both, and returns when the server has answered the first thousands of requests. `spin`: the client
 * never sleeps, so that the server never pays for waking it. Returns 0, or -1 after a message. Both die with us.
 */
int redis_start(struct redis_under_load *r, const char *binary, int server_cpu, int client_cpu,
		unsigned int connections, bool spin);
void redis_stop(struct redis_under_load *r);

/* CPU time of all the server's threads. A running thread's is as old as the last tick: see meter_read(). */
uint64_t redis_cpu_ns(const struct redis_under_load *r);

/* Calls of read() that the server has made; 0 where the kernel does not count them. */
uint64_t redis_reads(const struct redis_under_load *r);

int pin_to(int cpu); /* the calling thread; 0 or -1 */

#endif
