/* SPDX-License-Identifier: Apache-2.0 */
/* See mysql_under_load.h. */
#include <errno.h>
#include <mariadb/mysql.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "mysql_under_load.h"

#define ROWS	 10000 /* of the table item: mysql_overhead.py */
#define WARM_UP	 5000
#define READY_MS 20000

int pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

static void fail(const char *what)
{
	fprintf(stderr, "mysql_overhead: client: %s\n", what);
	_exit(1);
}

static void run_text(MYSQL *db, _Atomic uint64_t *statements)
{
	char sql[64];

	for (uint32_t i = 1;; i = i * 1664525 + 1013904223) {
		int length = snprintf(sql, sizeof(sql), "SELECT v FROM item WHERE id = %u", i % ROWS + 1);

		if (mysql_real_query(db, sql, length))
			fail(mysql_error(db));
		mysql_free_result(mysql_store_result(db));
		atomic_fetch_add_explicit(statements, 1, memory_order_relaxed);
	}
}

static void run_prepared(MYSQL *db, _Atomic uint64_t *statements)
{
	static const char sql[] = "SELECT v FROM item WHERE id = ?";
	MYSQL_STMT *stmt = mysql_stmt_init(db);
	int id;
	char row[100];
	MYSQL_BIND parameter = {.buffer_type = MYSQL_TYPE_LONG, .buffer = &id},
		   result = {.buffer_type = MYSQL_TYPE_STRING, .buffer = row, .buffer_length = sizeof(row)};

	if (mysql_stmt_prepare(stmt, sql, sizeof(sql) - 1) || mysql_stmt_bind_param(stmt, &parameter) ||
	    mysql_stmt_bind_result(stmt, &result))
		fail(mysql_stmt_error(stmt));
	for (uint32_t i = 1;; i = i * 1664525 + 1013904223) {
		id = i % ROWS + 1;
		if (mysql_stmt_execute(stmt))
			fail(mysql_stmt_error(stmt));
		while (!mysql_stmt_fetch(stmt))
			;
		atomic_fetch_add_explicit(statements, 1, memory_order_relaxed);
	}
}

static void run_client(const char *path, bool prepared, _Atomic uint64_t *statements)
{
	MYSQL *db = mysql_init(NULL);

	if (!mysql_real_connect(db, NULL, "root", "", "test", 0, path, 0))
		fail(mysql_error(db));
	if (prepared)
		run_prepared(db, statements);
	else
		run_text(db, statements);
}

static pid_t start_client(const char *path, bool prepared, int cpu, _Atomic uint64_t *statements)
{
	pid_t parent = getpid(), client = fork();

	if (client)
		return client;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || pin_to(cpu))
		_exit(1);
	run_client(path, prepared, statements);
	_exit(0);
}

int mysql_load_start(struct mysql_under_load *l, const char *path, bool prepared, int cpu)
{
	*l = (struct mysql_under_load){0};
	l->statements = mmap(NULL, sizeof(*l->statements), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (l->statements == MAP_FAILED)
		return -errno;
	for (int i = 0; i < MYSQL_CLIENTS; i++) {
		l->clients[i] = start_client(path, prepared, cpu, l->statements);
		if (l->clients[i] < 0)
			return -errno;
	}
	for (int waited = 0; *l->statements < WARM_UP; waited += 10) {
		if (waited > READY_MS || waitpid(l->clients[0], NULL, WNOHANG))
			return -ECHILD;
		usleep(10000);
	}
	return 0;
}

void mysql_load_stop(struct mysql_under_load *l)
{
	for (int i = 0; i < MYSQL_CLIENTS; i++)
		if (l->clients[i] > 0) {
			kill(l->clients[i], SIGKILL);
			waitpid(l->clients[i], NULL, 0);
		}
}
