/* SPDX-License-Identifier: Apache-2.0 */
/* From paths to cgroups, on v1, v2 and hybrid hosts and in containers; and who is in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include "fake_host.h"
#include "profiler/targets/cgroups.h"

static char why[512];

static int resolve(const char *path, struct cgroup_target *t)
{
	memset(t, 0xaa, sizeof(*t));
	why[0] = '\0';
	return cgroup_resolve(fake_root, path, t, why, sizeof(why));
}

static void expect(const char *path, const char *controller, const char *found)
{
	struct cgroup_target t;
	struct stat st;
	int err = resolve(path, &t);

	if (err)
		print_message("%s: %s\n", path, why);
	assert_int_equal(err, 0);
	assert_string_equal(t.controller, controller);
	assert_string_equal(fake_below(t.path), found);
	assert_string_equal(t.label, "");
	assert_int_equal(stat(t.path, &st), 0);
	assert_int_equal(t.id, st.st_ino);
}

/* One line, that says something. */
static void expect_error(const char *path, int err, const char *says)
{
	struct cgroup_target t;

	assert_int_equal(resolve(path, &t), err);
	if (!strstr(why, says))
		print_message("%s: %s\n", path, why);
	assert_non_null(strstr(why, says));
	assert_null(strchr(why, '\n'));
}

static void test_unified(void **state)
{
	(void)state;
	fake_file("/proc/self/mountinfo", UNIFIED);
	fake_cgroup("", "/system.slice/redis.service");
	expect("/sys/fs/cgroup/system.slice/redis.service", "", "/sys/fs/cgroup/system.slice/redis.service");
	expect("/sys/fs/cgroup//system.slice/./redis.service/", "", "/sys/fs/cgroup/system.slice/redis.service");
	expect("/sys/fs/cgroup/system.slice/../system.slice", "", "/sys/fs/cgroup/system.slice");
	expect("/system.slice/redis.service", "", "/sys/fs/cgroup/system.slice/redis.service");
	expect("system.slice/redis.service", "", "/sys/fs/cgroup/system.slice/redis.service");
	expect("/sys/fs/cgroup", "", "/sys/fs/cgroup");
	expect("/", "", "/sys/fs/cgroup");
}

static void test_hybrid(void **state)
{
	(void)state;
	fake_directory("/sys/fs/cgroup/systemd");
	fake_cgroup("/cpu,cpuacct", "/docker/x");
	fake_cgroup("/memory", "/docker/x");
	fake_cgroup("/blkio", "/only-io");
	fake_cgroup("/unified", "/in-v2");
	fake_file("/proc/self/mountinfo", HYBRID HYBRID_UNIFIED);
	expect("/in-v2", "", "/sys/fs/cgroup/unified/in-v2");
	expect("/sys/fs/cgroup/unified/in-v2", "", "/sys/fs/cgroup/unified/in-v2");
	/* not in v2: the first of the controllers that has it */
	expect("docker/x", "memory", "/sys/fs/cgroup/memory/docker/x");
	expect("/sys/fs/cgroup/cpu,cpuacct/docker/x", "cpu", "/sys/fs/cgroup/cpu,cpuacct/docker/x");
	/* in v2 too, but all processes are elsewhere */
	fake_process(10, "/unified", "4:memory:/\n3:cpu,cpuacct:/docker/x\n0::/\n");
	fake_cgroup("/unified", "/docker/x");
	expect("docker/x", "cpu", "/sys/fs/cgroup/cpu,cpuacct/docker/x");
	/* as the kernel's cgroup_subsys is called */
	expect("/only-io", "io", "/sys/fs/cgroup/blkio/only-io");
	/* the usual link */
	fake_directory("/sys/fs/cgroup/cpu,cpuacct");
	{
		char link[128];

		snprintf(link, sizeof(link), "%s/sys/fs/cgroup/cpu", fake_root);
		assert_int_equal(symlink("cpu,cpuacct", link), 0);
	}
	expect("/sys/fs/cgroup/cpu/docker/x", "cpu", "/sys/fs/cgroup/cpu,cpuacct/docker/x");
	expect_error("/sys/fs/cgroup", -EINVAL, "not in a cgroup tree");
	expect_error("/sys/fs/cgroup/net_cls/x", -EINVAL, "no cgroup tree is mounted there");
}

static void test_v1_only(void **state)
{
	(void)state;
	fake_cgroup("/cpu,cpuacct", "/docker/x");
	fake_directory("/sys/fs/cgroup/memory");
	fake_file("/proc/self/mountinfo", HYBRID);
	expect("/docker/x", "cpu", "/sys/fs/cgroup/cpu,cpuacct/docker/x");
	expect_error("/docker/y", -ENOENT, "no cgroup tree of this host has it");
}

static void test_hierarchy_without_controllers(void **state)
{
	(void)state;
	fake_file("/proc/self/mountinfo", HYBRID HYBRID_UNIFIED);
	fake_directory("/sys/fs/cgroup/unified");
	fake_directory("/sys/fs/cgroup/blkio");
	fake_directory("/sys/fs/cgroup/cpu,cpuacct");
	fake_process(10, "/unified", "4:memory:/a\n1:name=systemd:/a\n0::/\n");
	fake_process(11, "/unified", "4:memory:/b\n1:name=systemd:/b\n0::/\n");
	fake_process(12, "/unified", "4:memory:/b\n1:name=systemd:/other\n0::/\n");
	fake_cgroup("/systemd", "/empty");
	fake_cgroup("/memory", "/empty");
	/* where the same processes are */
	expect("/sys/fs/cgroup/systemd/a", "memory", "/sys/fs/cgroup/memory/a");
	/* others too; nobody at all; nothing of that name */
	expect_error("/sys/fs/cgroup/systemd/b", -EINVAL, "/sys/fs/cgroup/unified");
	expect_error("/sys/fs/cgroup/systemd/empty", -EINVAL, "without controllers");
	expect_error("/sys/fs/cgroup/systemd/other", -EINVAL, "without controllers");
	expect_error("/other", -EINVAL, "without controllers");
}

static void test_outside(void **state)
{
	char link[128];

	(void)state;
	fake_file("/proc/self/mountinfo", UNIFIED);
	fake_cgroup("", "/a");
	fake_directory("/etc");
	fake_directory("/sys/fs/cgroups/a");
	expect_error("/sys/fs/cgroup/nothing", -ENOENT, "no such cgroup");
	expect_error("/sys/fs/cgroup/a/nothing/deep", -ENOENT, "no such cgroup");
	expect_error("/sys/fs/cgroup/nothing/../../../../etc", -EINVAL, "..");
	expect_error("/sys/fs/cgroup/a/../../../../etc", -EINVAL, "not in a cgroup tree");
	expect_error("/etc", -EINVAL, "not in a cgroup tree");
	/* begins like the tree's path, and is not in it */
	expect_error("/sys/fs/cgroups/a", -EINVAL, "not in a cgroup tree");
	expect_error("../../etc", -EINVAL, "out of the cgroup tree");
	expect_error("", -EINVAL, "empty");
	expect_error("/sys/fs/cgroup/a/cgroup.procs", -EINVAL, "file of a cgroup");
	expect_error("nothing", -ENOENT, "/sys/fs/cgroup");
	snprintf(link, sizeof(link), "%s/sys/fs/cgroup/a/out", fake_root);
	assert_int_equal(symlink("../../../../etc", link), 0);
	expect_error("/sys/fs/cgroup/a/out", -EINVAL, "not in a cgroup tree");
	expect_error("a/out", -EINVAL, "out of the cgroup tree");
	snprintf(link, sizeof(link), "%s/sys/fs/cgroup/a/loop", fake_root);
	assert_int_equal(symlink("loop", link), 0);
	expect_error("/sys/fs/cgroup/a/loop", -ENOENT, "no such cgroup");
	/* from the outside in is fine */
	snprintf(link, sizeof(link), "%s/etc/in", fake_root);
	assert_int_equal(symlink("../sys/fs/cgroup/a", link), 0);
	expect("/etc/in", "", "/sys/fs/cgroup/a");
}

static void test_long_paths(void **state)
{
	static char path[10000];
	struct cgroup_target t;

	(void)state;
	fake_file("/proc/self/mountinfo", UNIFIED);
	for (size_t n = 4000; n < 4200; n++) {
		memset(path, 'a', n);
		path[0] = '/';
		path[n] = '\0';
		assert_int_not_equal(resolve(path, &t), 0);
		assert_int_not_equal(resolve(path + 1, &t), 0);
	}
	memset(path, '/', sizeof(path) - 1);
	assert_int_equal(resolve(path, &t), -EINVAL);
}

static void test_mountinfo(void **state)
{
	struct cgroup_target t;

	(void)state;
	fake_cgroup("", "/a b/c\\d");
	fake_cgroup("", "/hidden/x");
	expect_error("/x", -ENOENT, "mountinfo");
	fake_file("/proc/self/mountinfo", "%s", "");
	expect_error("/x", -EINVAL, "no cgroup tree mounted");
	/* only a hierarchy that nothing can be told by */
	fake_file("/proc/self/mountinfo", "1 2 0:1 / /sys/fs/cgroup rw - cgroup cgroup rw,name=cpu\n");
	expect_error("/x", -EINVAL, "no cgroup tree mounted");
	/* escapes; lines that do not parse; no newline at the end */
	fake_file("/proc/self/mountinfo", "%s",
		  "\n- - -\n1 2 3 - cgroup2\n1 2 0:1 / / - \n1 2 0:1 / /sys/fs/cgroup rw cgroup2 cgroup2 rw\n"
		  "1 2 0:1 / /nowhere rw - cgroup2 cgroup2 rw\n1 2 0:1 / /a\\0 rw - cgroup2 cgroup2 rw\n"
		  "1 2 0:1 / /sys/fs/cgroup/a\\040b rw - cgroup2 cgroup2 rw");
	expect("/c\\d", "", "/sys/fs/cgroup/a b/c\\d");
	/* what is mounted over a tree hides it */
	fake_file("/proc/self/mountinfo", UNIFIED "31 30 0:9 / /sys/fs/cgroup rw - tmpfs none rw\n");
	assert_int_equal(resolve("/hidden/x", &t), -EINVAL);
	fake_file("/proc/self/mountinfo", "29 23 0:9 / /sys/fs/cgroup rw - cgroup cgroup rw,memory\n" UNIFIED);
	expect("/hidden/x", "", "/sys/fs/cgroup/hidden/x");
}

static void test_long_line(void **state)
{
	static char text[400000];

	(void)state;
	memset(text, 'a', sizeof(text) - 200);
	strcat(text, " - \n" UNIFIED);
	fake_bytes("/proc/self/mountinfo", "w", text, strlen(text));
	fake_cgroup("", "/x");
	expect("/x", "", "/sys/fs/cgroup/x");
}

/* In a container, a part of the tree is mounted: its root field says which. */
static void test_part_of_the_tree(void **state)
{
	(void)state;
	fake_file("/proc/self/mountinfo", "1 2 0:1 /docker/abc /sys/fs/cgroup ro - cgroup cgroup rw,memory\n");
	fake_cgroup("", "/sub");
	expect("/docker/abc/sub", "memory", "/sys/fs/cgroup/sub");
	expect("/docker/abc", "memory", "/sys/fs/cgroup");
	expect_error("/docker/abcd", -ENOENT, "no cgroup tree of this host has it");
	expect_error("/sub", -ENOENT, "no cgroup tree of this host has it");
	/* the host's tree, mounted into a container with a cgroup namespace of its own */
	fake_file("/proc/self/mountinfo", "1 2 0:1 /../../.. /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
	expect("/sub", "", "/sys/fs/cgroup/sub");
}

/* --- processes --- */

static unsigned long sum;
static size_t count;

static void found(void *context, pid_t pid)
{
	assert_ptr_equal(context, &sum);
	sum += pid;
	count++;
}

static int processes(const char *path)
{
	struct cgroup_target t;

	assert_int_equal(resolve(path, &t), 0);
	sum = count = 0;
	return cgroup_processes(&t, found, &sum);
}

static void test_processes(void **state)
{
	struct cgroup_target t;
	char link[128];

	(void)state;
	fake_file("/proc/self/mountinfo", UNIFIED);
	fake_file("/sys/fs/cgroup/a/cgroup.procs", "1\n20\n0\n\nx\n-3\n99999999999999999999\n");
	fake_file("/sys/fs/cgroup/a/b/cgroup.procs", "300\n");
	fake_file("/sys/fs/cgroup/a/b/c/d/cgroup.procs", "4000");
	fake_file("/sys/fs/cgroup/other/cgroup.procs", "50000\n");
	/* vanished: a directory without the file */
	fake_directory("/sys/fs/cgroup/a/gone");
	/* kernels have no links there */
	snprintf(link, sizeof(link), "%s/sys/fs/cgroup/a/b/up", fake_root);
	assert_int_equal(symlink("..", link), 0);
	assert_int_equal(processes("/a"), 0);
	assert_int_equal(sum, 4321);
	assert_int_equal(count, 4);
	assert_int_equal(processes("/a/b/c"), -ENOENT); /* no list of its own: gone */
	assert_int_equal(resolve("/a", &t), 0);
	fake_remove("/sys/fs/cgroup/a");
	assert_int_equal(cgroup_processes(&t, found, &sum), -ENOENT);
}

static void test_many_processes(void **state)
{
	static char text[200000];
	size_t n = 0;

	(void)state;
	fake_file("/proc/self/mountinfo", UNIFIED);
	for (int i = 1; i <= 20000; i++)
		n += sprintf(text + n, "%d\n", i);
	fake_bytes("/sys/fs/cgroup/a/cgroup.procs", "w", text, n);
	assert_int_equal(processes("/a"), 0);
	assert_int_equal(count, 20000);
	assert_int_equal(sum, 20000ul * 20001 / 2);
}

static void test_deep(void **state)
{
	char name[4096] = "/sys/fs/cgroup/a";

	(void)state;
	fake_file("/proc/self/mountinfo", UNIFIED);
	for (int i = 0; i < 500; i++) {
		char file[4200];

		snprintf(file, sizeof(file), "%s/cgroup.procs", name);
		fake_bytes(file, "w", "7\n", 2);
		strcat(name, "/d");
	}
	assert_int_equal(processes("/a"), 0);
	assert_in_range(count, 64, 66);
}

/* This very process, where the kernel lists it. */
static void test_the_real_one(void **state)
{
	char line[4096], path[4096] = "";
	struct cgroup_target t;
	FILE *f = fopen("/proc/self/cgroup", "r");

	(void)state;
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "0::/", 4))
			snprintf(path, sizeof(path), "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
	if (f)
		fclose(f);
	if (!*path || cgroup_resolve("", path, &t, why, sizeof(why)))
		skip();
	if (*t.controller) /* no v2 mounted: another tree may have the same path, and not us in it */
		skip();
	sum = count = 0;
	assert_int_equal(cgroup_processes(&t, found, &sum), 0);
	assert_true(count > 0 && sum >= (unsigned long)getpid());
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_unified),
		TEST(test_hybrid),
		TEST(test_v1_only),
		TEST(test_hierarchy_without_controllers),
		TEST(test_outside),
		TEST(test_long_paths),
		TEST(test_mountinfo),
		TEST(test_long_line),
		TEST(test_part_of_the_tree),
		TEST(test_processes),
		TEST(test_many_processes),
		TEST(test_deep),
		TEST(test_the_real_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
