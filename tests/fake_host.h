/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host's /proc, /sys, /run and /var in a temporary directory, with cgroups of any kind and processes in them.
 * Include after cmocka.h.
 */
#ifndef WIREPROF_FAKE_HOST_H
#define WIREPROF_FAKE_HOST_H

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNIFIED "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define HYBRID                                                                                    \
	"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"                                       \
	"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"              \
	"33 31 0:30 / /sys/fs/cgroup/memory rw shared:1 master:2 - cgroup cgroup rw,memory\n"      \
	"34 31 0:31 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n"                          \
	"35 31 0:32 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
#define HYBRID_UNIFIED "36 31 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"

#define FORMAT(n) __attribute__((format(printf, n, n + 1)))

static char fake_root[64];

static inline void fake_make_parents(char *path)
{
	for (char *slash = path + strlen(fake_root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		mkdir(path, 0755);
	}
}

/* Makes a directory of the host, and those above it. */
FORMAT(1) static inline void fake_directory(const char *format, ...)
{
	char path[8192];
	va_list args;
	int n = snprintf(path, sizeof(path), "%s", fake_root);

	va_start(args, format);
	vsnprintf(path + n, sizeof(path) - n, format, args);
	va_end(args);
	fake_make_parents(path);
	mkdir(path, 0755);
}

static inline void fake_bytes(const char *name, const char *mode, const void *bytes, size_t n)
{
	char path[8192];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", fake_root, name);
	fake_make_parents(path);
	f = fopen(path, mode);
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

/* Writes a file of the host. */
FORMAT(2) static inline void fake_file(const char *name, const char *format, ...)
{
	static char text[1 << 20];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fake_bytes(name, "w", text, n);
}

/* A directory of a hierarchy, with what a kernel would have in it. */
static inline void fake_cgroup(const char *mount, const char *path)
{
	char name[4096];

	snprintf(name, sizeof(name), "/sys/fs/cgroup%s%s/cgroup.procs", mount, path);
	fake_bytes(name, "a", "", 0);
}

/*
 * A process of which /proc/PID/cgroup says `lines`, one "hierarchy:controllers:path" each; it is listed in the cgroups
 * that are mounted as above: `unified` says where v2 is, "" or "/unified".
 */
static inline void fake_process(int pid, const char *unified, const char *lines)
{
	char name[4096], text[4096], number[16], *at = text, *line;

	snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
	fake_bytes(name, "w", lines, strlen(lines));
	snprintf(text, sizeof(text), "%s", lines);
	while ((line = strsep(&at, "\n")) && *line) {
		char *controllers = strchr(line, ':') + 1, *path = strchr(controllers, ':');

		*path++ = '\0';
		if (!strncmp(controllers, "name=", 5))
			controllers += 5;
		snprintf(name, sizeof(name), "/sys/fs/cgroup%s%s%s/cgroup.procs", *controllers ? "/" : unified, controllers, path);
		fake_bytes(name, "a", number, snprintf(number, sizeof(number), "%d\n", pid));
	}
}

static inline int fake_remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

static inline void fake_remove(const char *name)
{
	char path[8192];

	snprintf(path, sizeof(path), "%s%s", fake_root, name);
	nftw(path, fake_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* For cmocka's setup and teardown of each test. */
static inline int fake_setup(void **state)
{
	(void)state;
	strcpy(fake_root, "/tmp/wireprof-host-XXXXXX");
	if (!mkdtemp(fake_root))
		return -1;
	fake_directory("/sys/fs/cgroup");
	return 0;
}

static inline int fake_teardown(void **state)
{
	(void)state;
	fake_remove("");
	return 0;
}

/* What of a host's path is below the temporary directory. */
static inline const char *fake_below(const char *path)
{
	assert_int_equal(strncmp(path, fake_root, strlen(fake_root)), 0);
	return path + strlen(fake_root);
}

#endif
