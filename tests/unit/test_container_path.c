/* SPDX-License-Identifier: Apache-2.0 */
/* Which container a cgroup's path is in: the forms of every runtime, and what only looks like one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "guard.h"
#include "profiler/targets/container_path.h"

#define ID	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER	"fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define TASK	"0123456789abcdef0123456789abcdef-1234567890"

static void expect(const char *path, const char *id, const char *container_path)
{
	struct container_in_path in;

	if (!container_in_path(path, &in))
		fail_msg("no container in %s", path);
	assert_string_equal(in.id, id);
	assert_int_equal(in.path_length, strlen(container_path));
	assert_int_equal(strncmp(path, container_path, in.path_length), 0);
	assert_int_equal(in.is_id, container_id_whole(id));
	assert_false(in.nested);
}

static void expect_none(const char *path)
{
	struct container_in_path in;

	if (container_in_path(path, &in))
		fail_msg("container %s in %s", in.id, path);
	assert_false(container_in_path_innermost(path, &in));
}

static void test_forms(void **state)
{
	static const char *const paths[] = {
		"/docker/" ID,
		"/system.slice/docker-" ID ".scope",
		"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" ID ".scope",
		"/kubepods/besteffort/pod6d7a1b0c-0000-4000-8000-0123456789ab/" ID,
		"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod6d7a1b0c_0000.slice/cri-containerd-" ID ".scope",
		"/kubepods.slice/kubepods-pod1.slice/crio-" ID ".scope",
		"/kubepods/pod1/crio-" ID,
		"/system.slice/containerd.service/kubepods-burstable-pod1.slice:cri-containerd:" ID,
		"/machine.slice/libpod-" ID ".scope",
		"/libpod_parent/libpod-" ID,
		"/system.slice/my.service/libpod-payload-" ID,
		"/default/" ID,
		"/ecs/0123456789abcdef0123456789abcdef/" ID,
		"/" ID,
		"/../../docker-" ID ".scope",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		char below[512];

		expect(paths[i], ID, paths[i]);
		snprintf(below, sizeof(below), "%s/container", paths[i]);
		expect(below, ID, paths[i]);
		snprintf(below, sizeof(below), "%s/system.slice/redis.service", paths[i]);
		expect(below, ID, paths[i]);
	}
	expect("/ecs/" TASK, TASK, "/ecs/" TASK);
	expect("/ecs/0123456789abcdef0123456789abcdef/" TASK "/x", TASK, "/ecs/0123456789abcdef0123456789abcdef/" TASK);
}

static void test_names(void **state)
{
	(void)state;
	expect("/lxc.payload.web", "web", "/lxc.payload.web");
	expect("/lxc.payload.web/system.slice/redis.service", "web", "/lxc.payload.web");
	expect("/lxc/101/ns", "101", "/lxc/101");
	expect("/machine.slice/machine-debian.scope/payload", "debian", "/machine.slice/machine-debian.scope");
	expect("/machine.slice/machine-my\\x2ddb\\x40.scope", "my-db@", "/machine.slice/machine-my\\x2ddb\\x40.scope");
	expect("/machine.slice/machine-a\\x00b\\xg1\\x.scope", "a\\x00b\\xg1\\x", "/machine.slice/machine-a\\x00b\\xg1\\x.scope");
	expect("/machine.slice/systemd-nspawn@web.service/payload", "web", "/machine.slice/systemd-nspawn@web.service");
}

static void test_not_containers(void **state)
{
	static const char *const paths[] = {
		"", "/", "//", "/system.slice/redis.service", "/user.slice/user-0.slice/session-1.scope",
		"/user.slice/user-1000.slice/user@1000.service/apps.slice/vte-spawn-8ae8ad24-7ee9-44a5-9a25-8a9d2a5a2a3c.scope",
		"/process_api/67ab6ab8f4a8ef320866738712a1e18d",
		"/docker/a" ID, "/docker/" ID "a", "/docker/" ID ".slice", "/docker/x" ID, "/docker",
		"/docker/0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
		"/machine.slice/libpod-conmon-" ID ".scope", "/crio-conmon-" ID ".scope",
		"/lxc.monitor.web", "/lxc.pivot", "/lxc", "/lxc.payload.", "/system.slice/lxc/web",
		"/machine.slice/machine-qemu\\x2d1\\x2dvm.scope", "/machine.slice/machine-.scope",
		"/system.slice/var-lib-docker-containers-" ID "-mounts-shm.mount",
		"/x/0123456789abcdef0123456789abcdef-", "/x/0123456789abcdef0123456789abcdef-1a",
		"/x/0123456789abcdef0123456789abcde-12", "/x/00123456789abcdef0123456789abcdef-12",
	};
	char long_name[700] = "/lxc.payload.";

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		expect_none(paths[i]);
	memset(long_name + strlen(long_name), 'a', 600);
	expect_none(long_name);
}

static void test_container_in_container(void **state)
{
	struct container_in_path in;

	(void)state;
	expect("/docker/" ID "/docker/" OTHER, ID, "/docker/" ID);
	assert_true(container_in_path_innermost("/docker/" ID "/docker/" OTHER "/x", &in));
	assert_string_equal(in.id, OTHER);
	assert_true(in.nested);
	assert_int_equal(in.path_length, strlen("/docker/" ID "/docker/" OTHER));
	/* the same once more is no other */
	assert_true(container_in_path_innermost("/docker/" ID "/docker/" ID "/x", &in));
	assert_false(in.nested);
	assert_int_equal(in.path_length, strlen("/docker/" ID));
}

static void test_digits(void **state)
{
	(void)state;
	assert_true(container_id_whole(ID));
	assert_true(container_id_whole(TASK));
	assert_false(container_id_whole("x" ID));
	assert_false(container_id_whole("docker-" ID));
	assert_false(container_id_whole(""));
	assert_true(container_id_digits(ID));
	assert_true(container_id_digits(TASK));
	assert_true(container_id_digits("0123456789abcdef0123456789abcdef-"));
	assert_true(container_id_digits("abc"));
	assert_false(container_id_digits(ID "0"));
	assert_false(container_id_digits("abcg"));
	assert_false(container_id_digits("ABC"));
	assert_false(container_id_digits("abc-1"));
	assert_false(container_id_digits(""));
}

/* Every part of a path, at the end of readable memory: whatever it is, nothing reads beyond. */
static void test_every_part(void **state)
{
	static const char path[] = "/lxc.payload.a/machine-b\\x2d.scope/docker-" ID ".scope/lxc/" TASK "/systemd-nspawn@\\x4.service";
	char part[sizeof(path)];

	(void)state;
	for (size_t from = 0; from < sizeof(path); from++)
		for (size_t n = 0; from + n < sizeof(path); n++) {
			struct container_in_path in;
			struct slice copy;

			memcpy(part, path + from, n);
			part[n] = '\0';
			copy = guard_copy(part, n + 1);
			container_in_path((const char *)copy.ptr, &in);
			assert_true(in.path_length <= n && strlen(in.id) <= n);
			container_in_path_innermost((const char *)copy.ptr, &in);
			assert_true(in.path_length <= n && strlen(in.id) <= n);
			guard_free(copy);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),		       cmocka_unit_test(test_names),
		cmocka_unit_test(test_not_containers),	       cmocka_unit_test(test_container_in_container),
		cmocka_unit_test(test_digits),		       cmocka_unit_test(test_every_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
