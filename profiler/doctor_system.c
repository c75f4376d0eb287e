/* SPDX-License-Identifier: Apache-2.0 */
/* See doctor_system.h. */
#include <dirent.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "capability.h"
#include "doctor_system.h"
#include "namespaces.h"
#include "sysctl.h"
#include "targets/cgroup_mounts.h"

#define MIB (1024 * 1024.0)

/* --- the kernel --- */

static bool is_before(const char *release, int major, int minor)
{
	int a = 0, b = 0;

	if (sscanf(release, "%d.%d", &a, &b) != 2)
		return false;
	return a < major || (a == major && b < minor);
}

/* Before 5.11, maps count against what a process may lock. */
static void check_memlock(void)
{
	struct rlimit limit;
	char state[64];

	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return;
	if (limit.rlim_cur == RLIM_INFINITY)
		snprintf(state, sizeof(state), "unlimited");
	else
		snprintf(state, sizeof(state), "%.0f MiB", (double)limit.rlim_cur / MIB);
	doctor_report(limit.rlim_cur == RLIM_INFINITY || capability_is_there(CAP_SYS_RESOURCE) ? FINDING_OK
											       : FINDING_FAIL,
		      "locked memory", state, "ulimit -l unlimited, systemd: LimitMEMLOCK=infinity");
}

/* "none [integrity] confidentiality" */
static void check_lockdown(void)
{
	FILE *f = fopen("/sys/kernel/security/lockdown", "re");
	char line[128] = "", *open, *close;

	if (!f)
		return; /* no such thing, or securityfs is not mounted */
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	open = strchr(line, '[');
	close = open ? strchr(open, ']') : NULL;
	if (!close)
		return;
	*close = '\0';
	doctor_report(strcmp(open + 1, "confidentiality") ? FINDING_OK : FINDING_FAIL, "kernel lockdown",
		      open + 1, "BPF must not read memory then: boot with lockdown=integrity or none");
}

static void check_settings(void)
{
	long paranoid = sysctl_number("kernel/perf_event_paranoid", 2), pointers = sysctl_number("kernel/kptr_restrict", 0),
	     unprivileged = sysctl_number("kernel/unprivileged_bpf_disabled", 0),
	     ptrace = sysctl_number("kernel/yama/ptrace_scope", 0);
	char state[160];

	snprintf(state, sizeof(state),
		 "perf_event_paranoid %ld, unprivileged_bpf_disabled %ld: with capabilities these do not count",
		 paranoid, unprivileged);
	doctor_report(FINDING_OK, "kernel settings", state, "");
	if (pointers > 1)
		doctor_report(FINDING_FAIL, "kernel.kptr_restrict",
			      "2: hides the names of kernel functions, also from root",
			      "sysctl kernel.kptr_restrict=1");
	if (ptrace > 2)
		doctor_report(FINDING_NOTE, "kernel.yama.ptrace_scope",
			      "3: forbids reading the vdso and a Go program's types",
			      "sysctl kernel.yama.ptrace_scope=2, after a reboot; stacks in the vdso are cut");
}

void doctor_check_kernel(void)
{
	struct utsname u;

	uname(&u);
	doctor_report(strcmp(u.machine, "x86_64") ? FINDING_FAIL : FINDING_OK, "machine", u.machine,
		      "only x86-64 is supported so far");
	doctor_report(is_before(u.release, 5, 17) ? FINDING_NOTE : FINDING_OK, "kernel", u.release,
		      "wireprof is made for Linux 5.17 and later: try");
	if (is_before(u.release, 5, 11))
		check_memlock();
	doctor_report(access("/sys/kernel/btf/vmlinux", R_OK) ? FINDING_FAIL : FINDING_OK, "kernel types (BTF)",
		      "/sys/kernel/btf/vmlinux",
		      "use a kernel built with CONFIG_DEBUG_INFO_BTF; in a container, mount /sys/kernel/btf");
	check_lockdown();
	check_settings();
}

/* --- capabilities --- */

/* All that are needed, each as `format` prints it: lower case as setcap wants it, and without CAP_ as docker. */
static void list_capabilities(char *out, size_t size, const char *separator, bool lower, bool prefix)
{
	size_t used = 0;

	for (size_t i = 0; i < n_needed_capabilities && used < size; i++) {
		const char *name = needed_capabilities[i].name + (prefix ? 0 : strlen("CAP_"));

		used += snprintf(out + used, size - used, "%s%s", i ? separator : "", name);
	}
	for (char *p = out; lower && *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p += 'a' - 'A';
}

static void say_how_to_get_them(void)
{
	char program[PATH_MAX] = "wireprof", text[256];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);

	if (n > 0)
		program[n] = '\0';
	printf("      run as root, or give it these six:\n");
	list_capabilities(text, sizeof(text), ",", true, true);
	printf("        for all who may run the file   setcap %s+ep %s\n", text, program);
	list_capabilities(text, sizeof(text), " ", false, true);
	printf("        systemd                        AmbientCapabilities=%s\n", text);
	list_capabilities(text, sizeof(text), " --cap-add ", false, false);
	printf("        docker                         docker run --pid=host --cap-add %s\n", text);
	list_capabilities(text, sizeof(text), ", ", false, false);
	printf("        Kubernetes                     hostPID: true, securityContext.capabilities.add: [%s]\n",
	       text);
}

void doctor_check_capabilities(void)
{
	char missing[256] = "";
	size_t used = 0;

	for (size_t i = 0; i < n_needed_capabilities; i++)
		if (capability_is_missing(&needed_capabilities[i]) && used < sizeof(missing))
			used += snprintf(missing + used, sizeof(missing) - used, "%s%s",
					 used ? ", " : "missing ", needed_capabilities[i].name);
	doctor_report(used ? FINDING_FAIL : FINDING_OK, "capabilities", used ? missing : "all there", NULL);
	if (!used)
		return;
	for (size_t i = 0; i < n_needed_capabilities; i++)
		if (capability_is_missing(&needed_capabilities[i]))
			printf("        %-28s %s\n", needed_capabilities[i].name,
			       needed_capabilities[i].needed_for);
	say_how_to_get_them();
}

/* --- where we are --- */

static void check_namespaces(void)
{
	if (!in_first_user_namespace())
		doctor_report(FINDING_FAIL, "user namespace",
			      "one of its own, where capabilities do not count for BPF",
			      "run outside of it: a rootless container cannot profile");
	if (!in_first_pid_namespace())
		doctor_report(FINDING_NOTE, "process namespace",
			      "one of its own: processes outside are not seen",
			      "docker run --pid=host, Kubernetes hostPID: true");
}

static bool opens(const char *pid, const char *name, bool with_content)
{
	char path[64];
	FILE *f;
	bool opened;

	snprintf(path, sizeof(path), "/proc/%.16s/%s", pid, name);
	f = fopen(path, "re");
	opened = f && (!with_content || fgetc(f) != EOF);
	if (f)
		fclose(f);
	return opened;
}

/* Of the programs that run (kernel threads have no command line), whose mappings can be read; but not of this one. */
static void count_programs(unsigned int *readable, unsigned int *all)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	*readable = *all = 0;
	while (dir && (entry = readdir(dir))) {
		if (strtol(entry->d_name, NULL, 10) <= 0 || strtol(entry->d_name, NULL, 10) == getpid() ||
		    !opens(entry->d_name, "cmdline", true))
			continue;
		*all += 1;
		*readable += opens(entry->d_name, "maps", false);
	}
	if (dir)
		closedir(dir);
}

/* Where the capability is there, and does not help; where it is missing, that was said. */
static void check_other_processes(void)
{
	unsigned int readable, all;
	char state[64];

	if (!capability_is_there(CAP_SYS_PTRACE))
		return;
	count_programs(&readable, &all);
	snprintf(state, sizeof(state), "%u of %u can be read", readable, all);
	doctor_report(2 * readable >= all ? FINDING_OK : FINDING_FAIL, "other programs", state,
		      "a security module forbids it? docker --security-opt apparmor=unconfined (Kubernetes: "
		      "appArmorProfile), with SELinux type spc_t");
}

const char *doctor_seccomp(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	int mode = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Seccomp: %d", &mode) == 1)
			break;
	if (f)
		fclose(f);
	return mode ? "a filter of system calls is in force: docker --security-opt seccomp=unconfined, "
		      "systemd SystemCallFilter=bpf perf_event_open"
		    : NULL;
}

/* For -c and --cgroup: "v2 at /sys/fs/cgroup/unified, v1: cpu memory". */
static void check_cgroups(void)
{
	char v2[256] = "", v1[256] = "", state[600];
	struct cgroup_mounts mounts;
	size_t used = 0;

	cgroup_mounts_read("", &mounts);
	for (size_t i = 0; i < mounts.n; i++) {
		const struct cgroup_mount *m = &mounts.list[i];

		if (m->v2 && !*v2)
			snprintf(v2, sizeof(v2), "v2 at %.200s", m->path);
		else if (!m->v2 && used < sizeof(v1))
			used += snprintf(v1 + used, sizeof(v1) - used, " %.60s", strrchr(m->path, '/') + 1);
	}
	cgroup_mounts_fini(&mounts);
	snprintf(state, sizeof(state), "%s%s%s%s", v2, *v2 && *v1 ? ", " : "", *v1 ? "v1:" : "", v1);
	doctor_report(*state ? FINDING_OK : FINDING_NOTE, "cgroups", *state ? state : "not mounted here",
		      "-c and --cgroup find nothing: mount /sys/fs/cgroup of the host, read-only");
}

void doctor_check_surroundings(void)
{
	check_namespaces();
	check_other_processes();
	check_cgroups();
}
