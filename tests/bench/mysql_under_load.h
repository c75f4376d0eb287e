/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients of mariadbd, so many that it always has something to do: each has one connection, with one point select at a time.
 * They count what was answered in shared memory.
 */
#ifndef MYSQL_UNDER_LOAD_H
#define MYSQL_UNDER_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MYSQL_CLIENTS 8

struct mysql_under_load {
	pid_t clients[MYSQL_CLIENTS];
	_Atomic uint64_t *statements; /* shared with the clients */
};

/* Returns when the server at this socket has answered the first thousands: 0 or -errno. The clients die with us. */
int mysql_load_start(struct mysql_under_load *l, const char *path, bool prepared, int cpu);
void mysql_load_stop(struct mysql_under_load *l);

int pin_to(int cpu); /* the calling thread; 0 or -1 */

#endif
