/* SPDX-License-Identifier: Apache-2.0 */
/* See capability.h. Reads the effective set from /proc/self/status, capabilities(7). */
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include "capability.h"

static const struct {
	int bit;
	const char *name;
} needed[] = {
	{CAP_BPF, "CAP_BPF"},
	{CAP_PERFMON, "CAP_PERFMON"},
	{CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
	{CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"},
	{CAP_SYSLOG, "CAP_SYSLOG"},
};

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

void missing_capabilities(char *out, size_t size)
{
	unsigned long long set = effective_set();
	size_t used = 0;

	*out = '\0';
	if (set & 1ull << CAP_SYS_ADMIN)
		return; /* stands for all of them */
	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		if (!(set & 1ull << needed[i].bit) && used < size)
			used += snprintf(out + used, size - used, "%s%s", used ? ", " : "",
					 needed[i].name);
}
