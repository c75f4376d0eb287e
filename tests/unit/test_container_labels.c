/* SPDX-License-Identifier: Apache-2.0 */
/* Which container a process is in; and how seldom the runtimes' state is looked at for that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "fake_host.h"
#include "profiler/targets/containers_internal.h"

#define A "aaaaaaaaaaaa0000000000000000000000000000000000000000000000000001"
#define B "bbbbbbbbbbbb0000000000000000000000000000000000000000000000000002"
#define C "cccccccccccc0000000000000000000000000000000000000000000000000003"

#define SECOND 1000000000ull

static struct containers *containers;
static uint64_t now;

static uint64_t clock_of_test(void)
{
	return now;
}

static void begin(const char *mountinfo)
{
	containers_free(containers);
	fake_file("/proc/self/mountinfo", "%s", mountinfo);
	containers = containers_new(fake_root);
	assert_non_null(containers);
	now = 1000 * SECOND;
	containers->now_ns = clock_of_test;
}

static int teardown(void **state)
{
	containers_free(containers);
	containers = NULL;
	return fake_teardown(state);
}

static void expect(int pid, const char *label)
{
	char out[CONTAINER_LABEL_BYTES];

	memset(out, 'x', sizeof(out));
	containers_label(containers, pid, out);
	assert_string_equal(out, label);
}

static void docker_name(const char *id, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "/var/lib/docker/containers/%s/config.v2.json", id);
	fake_file(path, "{\"Name\":\"/%s\"}", name);
}

static void test_labels(void **state)
{
	(void)state;
	begin(UNIFIED);
	docker_name(A, "redis");
	fake_process(1, "", "0::/init.scope\n");
	fake_process(2, "", "0::/\n"); /* as kernel threads are */
	fake_process(100, "", "0::/system.slice/docker-" A ".scope\n");
	fake_process(101, "", "0::/system.slice/docker-" A ".scope/system.slice/redis.service\n");
	fake_process(102, "", "0::/system.slice/docker-" A ".scope/docker/" B "\n");
	fake_process(103, "", "0::/system.slice/docker-" A ".scope/gone (deleted)\n");
	fake_process(104, "", "0::/system.slice/docker-" B ".scope (deleted)\n");
	fake_process(105, "", "0::/../../kubepods/" C "\n");
	fake_process(106, "", "0::/lxc.payload.web/x\n");
	fake_process(107, "", "0::/machine.slice/libpod-conmon-" A ".scope\n");
	fake_process(108, "", "0::/user.slice/vte-spawn-8ae8ad24-7ee9-44a5-9a25-8a9d2a5a2a3c.scope\n");
	for (int i = 0; i < 2; i++) {
		expect(1, "");
		expect(2, "");
		expect(100, "redis");
		expect(101, "redis");
		expect(102, "redis");
		expect(103, "redis");
		expect(104, "bbbbbbbbbbbb");
		expect(105, "cccccccccccc");
		expect(106, "web");
		expect(107, "");
		expect(108, "");
		expect(99999, "");
		expect(-1, "");
		expect(0, "");
	}
	assert_int_equal(containers->state.scans, 1);
}

static void test_v1_and_hybrid(void **state)
{
	(void)state;
	begin(HYBRID HYBRID_UNIFIED);
	docker_name(A, "redis");
	fake_process(100, "/unified", "4:memory:/docker/" A "\n3:cpu,cpuacct:/\n1:name=systemd:/\n0::/\n");
	fake_process(101, "/unified", "12:pids:/\n1:name=systemd:/docker/" A "\n0::/system.slice/x.service\n");
	/* v2 says it better than a controller that is left behind */
	fake_process(102, "/unified", "4:memory:/docker/" B "\n0::/docker/" A "\n");
	expect(100, "redis");
	expect(101, "redis");
	expect(102, "redis");
}

/* Containers whose cgroups do not have their names: by what runc says. */
static void test_by_cgroup(void **state)
{
	(void)state;
	begin(HYBRID HYBRID_UNIFIED);
	fake_directory("/sys/fs/cgroup/memory/redis1");
	fake_directory("/sys/fs/cgroup/blkio");
	fake_directory("/sys/fs/cgroup/systemd");
	fake_directory("/sys/fs/cgroup/unified/redis1");
	fake_file("/run/runc/redis1/state.json",
		  "{\"init_process_pid\":100,\"cgroup_paths\":{\"memory\":\"/sys/fs/cgroup/memory/redis1\",\"blkio\":\"/sys/fs/cgroup/blkio/io1\","
		  "\"\":\"/sys/fs/cgroup/unified/\",\"name=systemd\":\"/sys/fs/cgroup/systemd/s1\"}}");
	fake_file("/run/runc/" A "/state.json", "{\"cgroup_paths\":{\"\":\"/sys/fs/cgroup/unified/web\"}}");
	docker_name(A, "web-name");
	fake_process(100, "/unified", "4:memory:/redis1\n0::/\n");
	fake_process(101, "/unified", "4:memory:/redis1/sub\n0::/x\n");
	fake_process(102, "/unified", "4:memory:/redis12\n0::/\n");
	fake_process(103, "/unified", "4:memory:/\n3:cpu,cpuacct:/redis1\n0::/redis1\n"); /* not in its memory cgroup */
	fake_process(104, "/unified", "2:blkio:/io1\n0::/\n");
	fake_process(105, "/unified", "1:name=systemd:/s1\n0::/\n"); /* says nothing about who uses what */
	fake_process(106, "/unified", "0::/web\n");
	expect(100, "redis1");
	expect(101, "redis1");
	expect(102, "");
	expect(103, "");
	expect(104, "redis1");
	expect(105, "");
	expect(106, "web-name");
}

/* A runtime writes its state when the first processes are there already. */
static void test_name_that_comes_late(void **state)
{
	(void)state;
	begin(UNIFIED);
	fake_directory("/var/lib/docker/containers");
	fake_process(100, "", "0::/docker/" A "\n");
	fake_process(101, "", "0::/job\n");
	expect(100, "aaaaaaaaaaaa");
	expect(101, "");
	docker_name(A, "redis");
	fake_file("/run/runc/job/state.json", "{\"cgroup_paths\":{\"\":\"/sys/fs/cgroup/job\"}}");
	now += SECOND - 1;
	expect(100, "aaaaaaaaaaaa");
	now += 1;
	expect(100, "redis");
	expect(101, "job");
	/* after a while it is looked for less often: every half a minute */
	fake_process(200, "", "0::/docker/" B "\n");
	now += SECOND;
	expect(200, "bbbbbbbbbbbb");
	now += 10 * SECOND;
	expect(200, "bbbbbbbbbbbb");
	docker_name(B, "late");
	now += 10 * SECOND;
	expect(200, "bbbbbbbbbbbb");
	now += 20 * SECOND;
	expect(200, "late");
}

static void test_renamed(void **state)
{
	(void)state;
	begin(UNIFIED);
	docker_name(A, "before");
	fake_process(100, "", "0::/docker/" A "\n");
	expect(100, "before");
	docker_name(A, "after");
	now += 59 * SECOND;
	expect(100, "before");
	now += SECOND;
	expect(100, "after");
	/* the container's state goes before its last process */
	fake_remove("/var/lib/docker/containers/" A);
	now += 61 * SECOND;
	expect(100, "aaaaaaaaaaaa");
}

/* However many processes start, and whatever they are in: once a second at most. */
static void test_scans_are_seldom(void **state)
{
	uint64_t end;

	(void)state;
	begin(UNIFIED);
	docker_name(A, "redis");
	for (int i = 1; i <= 3000; i++) {
		char lines[256];

		snprintf(lines, sizeof(lines), i % 3 ? "0::/system.slice/run-%d.scope\n" : "0::/docker/%064x\n", i);
		fake_process(i, "", lines);
	}
	fake_process(5000, "", "0::/docker/" A "\n");
	end = now + 5 * SECOND;
	for (int i = 1; now < end; now += SECOND / 1000, i = i % 3000 + 1) {
		char out[CONTAINER_LABEL_BYTES], id[13];

		containers_label(containers, i, out);
		snprintf(id, sizeof(id), "%s", i % 3 ? "" : "000000000000");
		assert_string_equal(out, id);
		expect(5000, "redis");
		assert_true(containers->n_cached <= CONTAINER_CACHE_ENTRIES);
	}
	assert_true(containers->state.scans <= 6);
	/* the one file is read again only while it might have changed unseen */
	assert_true(containers->state.reads <= 6);
	assert_int_equal(containers->n_cached, CONTAINER_CACHE_ENTRIES);
}

/* Files that did not change are not read again: an old one is known to be unchanged. */
static void test_unchanged_files(void **state)
{
	struct stat st;

	(void)state;
	begin(UNIFIED);
	docker_name(A, "redis");
	docker_name(B, "web");
	fake_process(100, "", "0::/docker/" A "\n");
	expect(100, "redis");
	assert_int_equal(containers->state.reads, 2);
	/* as if they were read later */
	for (size_t i = 0; i < containers->state.n; i++)
		containers->state.files[i].read_ns += 10 * SECOND;
	now += 100 * SECOND;
	expect(100, "redis");
	assert_int_equal(containers->state.scans, 2);
	assert_int_equal(containers->state.reads, 2);
	docker_name(A, "other");
	fake_remove("/var/lib/docker/containers/" B);
	now += 100 * SECOND;
	expect(100, "other");
	assert_int_equal(containers->state.reads, 3);
	assert_int_equal(containers->state.n, 1);
	assert_int_equal(containers->state.n_records, 1);
	/* rewritten in the very tick of the clock that it was read in: only that it is so new tells */
	docker_name(A, "hasty");
	assert_int_equal(stat(containers->state.files[0].path, &st), 0);
	containers->state.files[0].changed_ns = st.st_ctim.tv_sec * SECOND + st.st_ctim.tv_nsec;
	containers->state.files[0].read_ns = containers->state.files[0].changed_ns;
	now += 100 * SECOND;
	expect(100, "hasty");
}

static void test_odd_proc_files(void **state)
{
	static char text[70000];

	(void)state;
	begin(UNIFIED);
	fake_file("/proc/1/cgroup", "%s", "");
	fake_file("/proc/2/cgroup", "%s", "\n\n::\n:\n0:\n0::\nx\n0::/docker/");
	fake_file("/proc/3/cgroup", "%s", "0::/a:b:c/docker-" A ".scope");
	memset(text, 'a', sizeof(text) - 1);
	memcpy(text, "0::/", 4);
	fake_bytes("/proc/4/cgroup", "w", text, sizeof(text) - 1);
	memset(text, '\n', sizeof(text) - 1);
	fake_bytes("/proc/5/cgroup", "w", text, sizeof(text) - 1);
	for (size_t i = 0; i + 5 < sizeof(text); i += 5)
		memcpy(text + i, "1:a:/\n", 5);
	fake_bytes("/proc/6/cgroup", "w", text, sizeof(text) - 1);
	fake_bytes("/proc/7/cgroup", "w", "0::/\0/docker/" A "\n", 78);
	fake_directory("/proc/8/cgroup");
	/* the same but for what is far behind */
	memset(text, 'a', 4000);
	memcpy(text, "1:name=systemd:/", 16);
	memcpy(text + 3000, "\n0::/docker/" A "\n", 78);
	fake_bytes("/proc/9/cgroup", "w", text, 3078);
	memcpy(text + 3000, "\n0::/docker/x", 14);
	fake_bytes("/proc/10/cgroup", "w", text, 3014);
	expect(1, "");
	expect(2, "");
	expect(3, "aaaaaaaaaaaa");
	for (int pid = 4; pid <= 8; pid++)
		expect(pid, "");
	expect(9, "aaaaaaaaaaaa");
	expect(10, "");
	expect(9, "aaaaaaaaaaaa");
	for (size_t i = 0; i < containers->n_cached; i++)
		assert_true(strlen(containers->cache[i].cgroup) <= 1024);
}

static void test_root(void **state)
{
	char root[128];

	(void)state;
	begin(UNIFIED);
	fake_process(100, "", "0::/docker/" A "\n");
	containers_free(containers);
	snprintf(root, sizeof(root), "%s///", fake_root);
	containers = containers_new(root);
	expect(100, "aaaaaaaaaaaa");
	containers_free(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_labels),
		TEST(test_v1_and_hybrid),
		TEST(test_by_cgroup),
		TEST(test_name_that_comes_late),
		TEST(test_renamed),
		TEST(test_scans_are_seldom),
		TEST(test_unchanged_files),
		TEST(test_odd_proc_files),
		TEST(test_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
