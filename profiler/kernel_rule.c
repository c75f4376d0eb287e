/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes join the targets by themselves: bpf/target.h. */
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "kernel_internal.h"

void kernel_set_rule(struct kernel *k, const struct target_rule *rule)
{
	volatile struct target_rule *to = (volatile struct target_rule *)&k->skel->bss->rule;

	to->kind = RULE_NONE; /* nobody joins by half a rule */
	to->subsys = rule->subsys;
	to->cgroup = rule->cgroup;
	for (size_t i = 0; i < sizeof(rule->comm); i++)
		to->comm[i] = rule->comm[i];
	__atomic_thread_fence(__ATOMIC_RELEASE);
	to->kind = rule->kind;
}

static int enumerator(const struct btf *btf, const char *type, const char *name)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_ENUM);
	const struct btf_type *t = id < 0 ? NULL : btf__type_by_id(btf, id);

	for (int i = 0; t && i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, btf_enum(t)[i].name_off), name))
			return btf_enum(t)[i].val;
	return -ENOENT;
}

int kernel_cgroup_subsys(const char *controller)
{
	struct btf *btf = btf__load_vmlinux_btf();
	char name[64];
	int subsys;

	if (!btf)
		return -errno;
	snprintf(name, sizeof(name), "%s_cgrp_id", controller);
	subsys = enumerator(btf, "cgroup_subsys_id", name);
	btf__free(btf);
	return subsys;
}
