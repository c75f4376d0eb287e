/* SPDX-License-Identifier: Apache-2.0 */
/* See capability.h. Reads the effective set from /proc/self/status, capabilities(7). */
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include "capability.h"

const struct capability needed_capabilities[] = {
	{CAP_BPF, CAP_SYS_ADMIN, "CAP_BPF", "to load BPF programs: nothing works without", true},
	{CAP_PERFMON, CAP_SYS_ADMIN, "CAP_PERFMON", "to sample and trace: nothing works without", true},
	{CAP_SYS_PTRACE, -1, "CAP_SYS_PTRACE", "other users' processes: their stacks are cut, without names",
	 false},
	{CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN, "CAP_CHECKPOINT_RESTORE",
	 "files that were deleted or replaced while they run: no names", false},
	{CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE, "CAP_DAC_READ_SEARCH",
	 "programs in directories of others, the vdso: stacks are cut there", false},
	{CAP_SYSLOG, -1, "CAP_SYSLOG", "addresses in /proc/kallsyms: kernel functions have no names", false},
};

const size_t n_needed_capabilities = sizeof(needed_capabilities) / sizeof(*needed_capabilities);

static unsigned long long effective_set(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long set = 0;
	char line[256];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %llx", &set) == 1)
			break;
	fclose(f);
	return set;
}

static bool is_missing(const struct capability *c, unsigned long long set)
{
	return !(set & 1ull << c->number) && (c->or_number < 0 || !(set & 1ull << c->or_number));
}

bool capability_is_missing(const struct capability *c)
{
	return is_missing(c, effective_set());
}

bool capability_is_there(int number)
{
	return effective_set() & 1ull << number;
}

void missing_capabilities(char *out, size_t size)
{
	unsigned long long set = effective_set();
	bool vital = false;
	size_t used = 0;

	*out = '\0';
	for (size_t i = 0; i < n_needed_capabilities; i++) {
		const struct capability *c = &needed_capabilities[i];

		if (!is_missing(c, set))
			continue;
		vital |= c->vital;
		if (used < size)
			used += snprintf(out + used, size - used, "%s%s", used ? ", " : "", c->name);
	}
	if (!vital)
		*out = '\0';
}
