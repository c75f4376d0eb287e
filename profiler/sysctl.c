/* SPDX-License-Identifier: Apache-2.0 */
/* See sysctl.h. */
#include <stdio.h>
#include "sysctl.h"

long sysctl_number(const char *name, long otherwise)
{
	char path[128];
	long value;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	f = fopen(path, "re");
	if (!f)
		return otherwise;
	if (fscanf(f, "%ld", &value) != 1) /* NOLINT(cert-err34-c) */
		value = otherwise;
	fclose(f);
	return value;
}
