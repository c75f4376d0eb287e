/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which processes are targets: those in the map, and those that fit the rule, which get in by it: when they exec, and at the
 * latest when their first sample fires. Processes that do not fit pay for no more than that look.
 *
 * A process's cgroup is looked for among its cgroup and those above, in one hierarchy: the unified one (v2), or that of a
 * controller (v1). Their ids are unique within a hierarchy only.
 */
#ifndef WIREPROF_TARGET_H
#define WIREPROF_TARGET_H

#include <bpf/bpf_core_read.h>
#include "maps.h"

/* Set by the user side; a container that is started again has another cgroup. */
struct target_rule rule;

#define MAX_CGROUP_DEPTH 32

static __always_inline struct cgroup *cgroup_of(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct cgroup_subsys_state *css = NULL;
	u64 at;

	if (rule.subsys < 0)
		return BPF_CORE_READ(set, dfl_cgrp);
	at = (u64)set + bpf_core_field_offset(struct css_set, subsys) + rule.subsys * sizeof(void *);
	bpf_probe_read_kernel(&css, sizeof(css), (void *)at);
	return BPF_CORE_READ(css, cgroup);
}

static __always_inline bool in_cgroup(struct task_struct *task)
{
	struct cgroup *cgroup = cgroup_of(task);
	struct cgroup_subsys_state *parent;

	for (u32 depth = 0; depth < MAX_CGROUP_DEPTH && cgroup; depth++) {
		if (BPF_CORE_READ(cgroup, kn, id) == rule.cgroup)
			return true;
		parent = BPF_CORE_READ(cgroup, self.parent);
		cgroup = parent ? BPF_CORE_READ(parent, cgroup) : NULL;
	}
	return false;
}

static __always_inline bool is_called(struct task_struct *task)
{
	char comm[COMM_BYTES] = "";

	BPF_CORE_READ_INTO(&comm, task, group_leader, comm);
	for (u32 i = 0; i < COMM_BYTES; i++) {
		if (comm[i] != rule.comm[i])
			return false;
		if (!comm[i])
			break;
	}
	return true;
}

static __noinline bool fits(struct task_struct *task)
{
	switch (rule.kind) {
	case RULE_ALL:
		return true;
	case RULE_COMM:
		return is_called(task);
	case RULE_CGROUP:
		return in_cgroup(task);
	}
	return false;
}

/* Makes the current process a target, if it fits. Returns its entry, or NULL. */
static __always_inline struct target *join(struct task_struct *task, u32 tgid)
{
	struct target fresh = {};

	if (!rule.kind || !tgid || task->flags & PF_EXITING || !fits(task))
		return NULL;
	if (!bpf_map_update_elem(&targets, &tgid, &fresh, BPF_NOEXIST))
		send_process_event(EVENT_JOIN, tgid, 0);
	else if (!bpf_map_lookup_elem(&targets, &tgid)) /* else another CPU came first */
		count(COUNTER_TARGETS_FULL);
	return bpf_map_lookup_elem(&targets, &tgid);
}

/* The entry of the process that is sampled; NULL: it is no target, or none any more, having left the cgroup. */
static __always_inline struct target *sampled_target(struct task_struct *task, u32 tgid)
{
	struct target *target = bpf_map_lookup_elem(&targets, &tgid);

	if (!target)
		return join(task, tgid);
	if (rule.kind != RULE_CGROUP || fits(task))
		return target;
	if (!bpf_map_delete_elem(&targets, &tgid)) /* by one CPU alone */
		send_process_event_with(EVENT_EXIT, tgid, 0, CPU_NOT_KNOWN);
	return NULL;
}

#endif
