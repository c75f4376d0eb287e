/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What containers.h and cgroups.h say on this host, for the live tests. Prints lines of "KEY VALUE".
 *
 *	driver resolve NAME | cgroup PATH	controller, id, path, label, and a line "pid N" for each process; or
 *						error -ERRNO, and why
 *	driver label PID			label
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "profiler/targets/containers.h"

static void print_pid(void *context, pid_t pid)
{
	(void)context;
	printf("pid %d\n", pid);
}

static void print_target(int err, const struct cgroup_target *t, const char *why)
{
	if (err) {
		printf("error %d\nwhy %s\n", err, why);
		return;
	}
	printf("controller %s\nid %llu\npath %s\nlabel %s\n", t->controller, (unsigned long long)t->id, t->path, t->label);
	err = cgroup_processes(t, print_pid, NULL);
	if (err)
		printf("error %d\n", err);
}

int main(int argc, char **argv)
{
	struct containers *c = containers_new("");
	char label[CONTAINER_LABEL_BYTES], why[512] = "";
	struct cgroup_target t;

	if (!c || argc != 3) {
		fprintf(stderr, "usage: %s resolve NAME | cgroup PATH | label PID\n", argv[0]);
		containers_free(c);
		return 2;
	}
	if (!strcmp(argv[1], "resolve")) {
		print_target(containers_resolve(c, argv[2], &t, why, sizeof(why)), &t, why);
	} else if (!strcmp(argv[1], "cgroup")) {
		print_target(cgroup_resolve("", argv[2], &t, why, sizeof(why)), &t, why);
	} else {
		containers_label(c, (pid_t)strtol(argv[2], NULL, 10), label);
		printf("label %s\n", label);
	}
	containers_free(c);
	return 0;
}
