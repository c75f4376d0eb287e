/* SPDX-License-Identifier: Apache-2.0 */
/* See targets.h. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "../clock.h"
#include "containers.h"
#include "../message.h"
#include "../namespaces.h"
#include "targets.h"

#define CHECK_NS      1000000000ull
#define CHECK_SOON_NS 90000000ull
#define LOST_NS	      10000000000ull

/* --- processes by number and by name --- */

/* With `wait`, one that is there is enough. */
static int check_pids(const struct target_options *o, bool wait)
{
	size_t n = 0;

	for (size_t i = 0; i < o->n_pids; i++) {
		pid_t tgid = process_of_thread(o->pids[i]);

		n += tgid == o->pids[i];
		if (tgid == o->pids[i])
			continue;
		if (tgid)
			message_error("%d is a thread of process %d: give -p %d", o->pids[i], tgid, tgid);
		else
			message_error("there is no process %d (see: ps -e)", o->pids[i]);
		if (!wait)
			return -ESRCH;
	}
	return n ? 0 : -ESRCH;
}

/* Calls back for every process of the name; with NULL, for the first. Returns how many. */
static size_t each_called(const char *name, void (*found)(void *context, pid_t pid), void *context)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	size_t n = 0;

	while (proc && (entry = readdir(proc))) {
		struct process process = {.pid = atoi(entry->d_name)};

		if (process.pid <= 0)
			continue;
		process_read_comm(&process);
		if (strcmp(process.comm, name))
			continue;
		n++;
		if (found)
			found(context, process.pid);
	}
	if (proc)
		closedir(proc);
	return n;
}

/* --- what was asked for --- */

/* A problem is told when it is new. */
static void tell(struct targets *t, int problem, bool wait, const char *why)
{
	const char *option = target_option_of(t->options->kind), *name = t->options->name;

	if (t->problem == problem)
		return;
	t->problem = problem;
	if (problem && wait)
		message_warn("%s %s: %s; it is looked for every second", option, name, why);
	else if (problem)
		message_error("%s %s: %s", option, name, why);
}

static int find_cgroup(struct targets *t, struct containers *containers, struct cgroup_target *out, char *why, size_t size)
{
	if (t->options->kind == TARGET_CONTAINER)
		return containers_resolve(containers, t->options->name, out, why, size);
	return cgroup_resolve("", t->options->name, out, why, size);
}

static int find(struct targets *t, struct containers *containers, bool wait)
{
	char why[512] = "";
	int err = 0;

	if (t->options->kind == TARGET_CONTAINER || t->options->kind == TARGET_CGROUP)
		err = find_cgroup(t, containers, &t->cgroup, why, sizeof(why));
	else if (t->options->kind == TARGET_COMM && !each_called(t->options->name, NULL, NULL))
		err = -ESRCH;
	if (err == -ESRCH)
		snprintf(why, sizeof(why), "no process has this name (see: ps -eo comm)");
	wait = wait && err != -EINVAL;
	tell(t, err, wait, why);
	t->found = !err;
	return wait ? 0 : err;
}

int targets_find(struct targets *t, const struct target_options *options, struct containers *containers, bool wait)
{
	*t = (struct targets){.options = options, .wait = wait};
	if (!in_first_pid_namespace())
		message_warn("process ids are not the host's here, so that the wrong processes may be profiled: run it in the host's PID "
			     "namespace (docker --pid=host, hostPID: true)");
	if (options->kind == TARGET_PIDS)
		return check_pids(options, wait);
	return find(t, containers, wait);
}

/* --- while recording --- */

static void add(void *context, pid_t pid)
{
	recorder_add(context, pid); /* it may have gone meanwhile */
}

static int use_cgroup(struct targets *t)
{
	int subsys = -1, err;

	if (!t->found)
		return 0;
	if (*t->cgroup.controller) {
		subsys = kernel_cgroup_subsys(t->cgroup.controller);
		if (subsys < 0) {
			message_error("cannot follow cgroup %s: this kernel knows no controller \"%s\"", t->cgroup.path,
				      t->cgroup.controller);
			return subsys;
		}
	}
	message_verbose("cgroup %s, id %llu", t->cgroup.path, (unsigned long long)t->cgroup.id);
	snprintf(t->recorder->container, sizeof(t->recorder->container), "%s", t->cgroup.label);
	kernel_set_rule(t->recorder->kernel, &(struct target_rule){.kind = RULE_CGROUP, .subsys = subsys, .cgroup = t->cgroup.id});
	err = cgroup_processes(&t->cgroup, add, t->recorder);
	if (!err || err == -ENOENT)
		return 0;
	message_error("cannot read the processes of cgroup %s: %s", t->cgroup.path, strerror(-err));
	return err;
}

static int use_comm(struct targets *t)
{
	struct target_rule rule = {.kind = RULE_COMM};

	snprintf(rule.comm, sizeof(rule.comm), "%s", t->options->name);
	kernel_set_rule(t->recorder->kernel, &rule);
	each_called(t->options->name, add, t->recorder);
	return 0;
}

static int use_pids(struct targets *t)
{
	for (size_t i = 0; i < t->options->n_pids; i++) {
		int err = recorder_add(t->recorder, t->options->pids[i]);

		if (err == -ESRCH && t->wait)
			continue;
		if (err) {
			message_error("cannot follow process %d: %s", t->options->pids[i], strerror(-err));
			return err;
		}
	}
	return 0;
}

int targets_start(struct targets *t, struct recorder *r)
{
	t->recorder = r;
	switch (t->options->kind) {
	case TARGET_PIDS:
		return use_pids(t);
	case TARGET_COMM:
		return use_comm(t);
	case TARGET_CONTAINER:
	case TARGET_CGROUP:
		return use_cgroup(t);
	case TARGET_ALL:
		kernel_set_rule(r->kernel, &(struct target_rule){.kind = RULE_ALL});
		return 0;
	case TARGET_COMMAND: /* added when it is there */
	case TARGET_NOTHING:
		break;
	}
	return 0;
}

/* What has just lost its last process is often started again: that is looked for more often, for a while. */
static bool is_due(struct targets *t)
{
	uint64_t now_ns = monotonic_ns();
	bool soon = !t->recorder->live && t->alive_ns && now_ns - t->alive_ns < LOST_NS;

	if (t->recorder->live)
		t->alive_ns = now_ns;
	if (now_ns - t->checked_ns < (soon ? CHECK_SOON_NS : CHECK_NS))
		return false;
	t->checked_ns = now_ns;
	return true;
}

void targets_check(struct targets *t)
{
	struct stat st;

	if ((t->options->kind != TARGET_CONTAINER && t->options->kind != TARGET_CGROUP) || !is_due(t))
		return;
	if (t->found && !stat(t->cgroup.path, &st) && st.st_ino == t->cgroup.id)
		return;
	if (!find(t, t->recorder->containers, true) && t->found)
		use_cgroup(t);
}

void targets_describe(const struct targets *t, char *out, size_t size)
{
	const struct target_options *o = t->options;
	const struct processes *p = t->recorder ? &t->recorder->processes : NULL;

	if (o->kind == TARGET_COMMAND)
		snprintf(out, size, "%s", o->command[0]);
	else if (o->kind == TARGET_PIDS && o->n_pids == 1 && p && p->n)
		snprintf(out, size, "%s (pid %d)", p->list[0]->comm, p->list[0]->pid);
	else if (o->kind == TARGET_PIDS)
		snprintf(out, size, "%zu processes", o->n_pids);
	else if (o->kind == TARGET_ALL)
		snprintf(out, size, "all processes");
	else if (o->kind == TARGET_CONTAINER)
		snprintf(out, size, "container %s", *t->cgroup.label ? t->cgroup.label : o->name);
	else
		snprintf(out, size, "%s %s", o->kind == TARGET_COMM ? "processes called" : "cgroup", o->name);
}
