/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIREPROF_SYSCTL_H
#define WIREPROF_SYSCTL_H

/* A number out of /proc/sys, "kernel/perf_event_paranoid"; `otherwise` if there is none, or it cannot be read. */
long sysctl_number(const char *name, long otherwise);

#endif
