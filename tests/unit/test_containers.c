/* SPDX-License-Identifier: Apache-2.0 */
/* From what the user says to the one container meant: every runtime's layout, on v1, v2 and hybrid hosts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include "fake_host.h"
#include "profiler/targets/containers.h"

#define A "aaaaaaaaaaaa0000000000000000000000000000000000000000000000000001"
#define B "aaaaaaaabbbb0000000000000000000000000000000000000000000000000002"
#define C "cccccccccccc0000000000000000000000000000000000000000000000000003"
#define D "dddddddddddd0000000000000000000000000000000000000000000000000004"

static char why[1024];

static int resolve(const char *wanted, struct cgroup_target *t)
{
	struct containers *c = containers_new(fake_root);
	int err;

	assert_non_null(c);
	memset(t, 0xaa, sizeof(*t));
	why[0] = '\0';
	err = containers_resolve(c, wanted, t, why, sizeof(why));
	containers_free(c);
	return err;
}

static void expect(const char *wanted, const char *controller, const char *path, const char *label)
{
	struct cgroup_target t;
	struct stat st;
	int err = resolve(wanted, &t);

	if (err)
		fail_msg("%s: %d, %s", wanted, err, why);
	assert_string_equal(fake_below(t.path), path);
	assert_string_equal(t.controller, controller);
	assert_string_equal(t.label, label);
	assert_int_equal(stat(t.path, &st), 0);
	assert_int_equal(t.id, st.st_ino);
}

static void expect_error(const char *wanted, int err, const char *says)
{
	struct cgroup_target t;
	int got = resolve(wanted, &t);

	if (got != err || !strstr(why, says))
		fail_msg("%s: %d, %s", wanted, got, got ? why : t.path);
	assert_null(strchr(why, '\n'));
}

static void unified(void)
{
	fake_file("/proc/self/mountinfo", UNIFIED);
}

static void hybrid(const char *more)
{
	fake_directory("/sys/fs/cgroup/cpu,cpuacct");
	fake_directory("/sys/fs/cgroup/memory");
	fake_directory("/sys/fs/cgroup/blkio");
	fake_directory("/sys/fs/cgroup/systemd");
	fake_directory("/sys/fs/cgroup/unified");
	fake_file("/proc/self/mountinfo", HYBRID "%s", more);
}

static void docker_name(const char *id, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "/var/lib/docker/containers/%s/config.v2.json", id);
	fake_file(path, "{\"State\":{\"Running\":true},\"ID\":\"%s\",\"Name\":\"/%s\",\"Config\":{\"Labels\":{\"a\":\"b\"}}}", id, name);
}

static void k8s_bundle(const char *id, const char *pod, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "/run/containerd/io.containerd.runtime.v2.task/k8s.io/%s/config.json", id);
	fake_file(path, "{\"ociVersion\":\"1.0.2\",\"annotations\":{\"io.kubernetes.cri.container-type\":\"%s\",%s%s%s"
			"\"io.kubernetes.cri.sandbox-name\":\"%s\",\"io.kubernetes.cri.sandbox-namespace\":\"default\"},"
			"\"linux\":{\"cgroupsPath\":\"kubepods-pod1.slice:cri-containerd:%s\"}}",
		  name ? "container" : "sandbox", name ? "\"io.kubernetes.cri.container-name\":\"" : "", name ? name : "",
		  name ? "\"," : "", pod, id);
}

static void test_docker_v2(void **state)
{
	(void)state;
	unified();
	docker_name(A, "redis");
	docker_name(C, "web");
	fake_process(100, "", "0::/system.slice/docker-" A ".scope\n");
	fake_process(200, "", "0::/docker/" C "\n");
	fake_process(1, "", "0::/init.scope\n");
	expect("redis", "", "/sys/fs/cgroup/system.slice/docker-" A ".scope", "redis");
	expect("/redis", "", "/sys/fs/cgroup/system.slice/docker-" A ".scope", "redis");
	expect("web", "", "/sys/fs/cgroup/docker/" C, "web");
	expect("docker://" A, "", "/sys/fs/cgroup/system.slice/docker-" A ".scope", "redis");
	/* the cgroup that all containers are in */
	expect_error("docker", -ENOENT, "no container ");
	expect(A, "", "/sys/fs/cgroup/system.slice/docker-" A ".scope", "redis");
	expect("aaaaaa", "", "/sys/fs/cgroup/system.slice/docker-" A ".scope", "redis");
	expect("aaaaaaaaaaaa0", "", "/sys/fs/cgroup/system.slice/docker-" A ".scope", "redis");
	expect_error("redi", -ENOENT, "no container ");
	expect_error("Redis", -ENOENT, "no container ");
	expect_error("aaaaa", -EINVAL, "at least 6");
	expect_error("abc", -ENOENT, "at least 6");
	expect_error("ffffff", -ENOENT, "no container ");
	expect_error("", -EINVAL, "empty");
	expect_error("/", -EINVAL, "empty");
	expect_error("AAAAAA", -ENOENT, "no container ");
}

static void test_docker_elsewhere(void **state)
{
	(void)state;
	unified();
	fake_file("/etc/docker/daemon.json", "{\"data-root\":\"/var/data/docker\"}");
	fake_file("/var/data/docker/containers/" A "/config.v2.json", "{\"Name\":\"/moved\"}");
	fake_file("/var/lib/docker/100000.100000/containers/" C "/config.v2.json", "{\"Name\":\"/remapped\"}");
	fake_process(100, "", "0::/system.slice/docker-" A ".scope\n");
	fake_process(101, "", "0::/system.slice/docker-" C ".scope\n");
	expect("moved", "", "/sys/fs/cgroup/system.slice/docker-" A ".scope", "moved");
	expect("remapped", "", "/sys/fs/cgroup/system.slice/docker-" C ".scope", "remapped");
	/* patterns in a path are no patterns; other types are not followed */
	fake_file("/etc/docker/daemon.json", "{\"data-root\":\"/var/*/docker\"}");
	expect_error("moved", -ENOENT, "no container ");
	fake_file("/etc/docker/daemon.json", "{\"data-root\":[1]}");
	expect_error("moved", -ENOENT, "no container ");
}

static void test_stopped(void **state)
{
	(void)state;
	unified();
	docker_name(A, "redis");
	fake_process(1, "", "0::/init.scope\n");
	expect_error("redis", -ENOENT, "not running");
	expect_error("aaaaaa", -ENOENT, "not running");
	expect_error(A, -ENOENT, "not running");
	/* called like another's first digits: it is the one that is meant */
	docker_name(C, "dddddd");
	fake_process(100, "", "0::/docker/" D "\n");
	expect_error("dddddd", -ENOENT, "not running");
	expect("ddddddd", "", "/sys/fs/cgroup/docker/" D, "dddddddddddd");
	/* a cgroup without a process is one nevertheless */
	fake_cgroup("", "/docker/" A);
	expect("redis", "", "/sys/fs/cgroup/docker/" A, "redis");
}

static void test_precedence(void **state)
{
	(void)state;
	unified();
	docker_name(A, "one");
	docker_name(B, "cccccc");
	docker_name(C, D); /* its name is another's id */
	docker_name(D, "four");
	fake_process(1, "", "0::/docker/" A "\n");
	fake_process(2, "", "0::/docker/" B "\n");
	fake_process(3, "", "0::/docker/" C "\n");
	fake_process(4, "", "0::/docker/" D "\n");
	expect("cccccc", "", "/sys/fs/cgroup/docker/" B, "cccccc");
	expect("ccccccc", "", "/sys/fs/cgroup/docker/" C, D);
	expect(D, "", "/sys/fs/cgroup/docker/" D, "four");
	expect_error("aaaaaa", -ENOTUNIQ, "cccccc (aaaaaaaabbbb)");
	expect_error("aaaaaaaa", -ENOTUNIQ, "one (aaaaaaaaaaaa)");
	expect("aaaaaaaab", "", "/sys/fs/cgroup/docker/" B, "cccccc");
}

/* Hybrid hosts: v2 has the processes, or all are in its root, or it has a directory and none in it. */
static void test_hybrid(void **state)
{
	(void)state;
	hybrid(HYBRID_UNIFIED);
	docker_name(A, "in-v2");
	docker_name(B, "in-v1");
	docker_name(C, "left-in-v2");
	fake_process(100, "/unified", "4:memory:/docker/" A "\n3:cpu,cpuacct:/docker/" A "\n1:name=systemd:/docker/" A "\n0::/docker/" A "\n");
	fake_process(200, "/unified", "4:memory:/docker/" B "\n3:cpu,cpuacct:/docker/" B "\n1:name=systemd:/docker/" B "\n0::/\n");
	fake_process(201, "/unified", "4:memory:/\n3:cpu,cpuacct:/\n1:name=systemd:/\n0::/\n");
	fake_process(300, "/unified", "4:memory:/\n3:cpu,cpuacct:/docker/" C "\n2:blkio:/docker/" C "\n0::/system.slice\n");
	fake_cgroup("/unified", "/docker/" C);
	expect("in-v2", "", "/sys/fs/cgroup/unified/docker/" A, "in-v2");
	expect("in-v1", "memory", "/sys/fs/cgroup/memory/docker/" B, "in-v1");
	expect("left-in-v2", "cpu", "/sys/fs/cgroup/cpu,cpuacct/docker/" C, "left-in-v2");
	/* a second process, in v1 only: v2 has not all of it */
	fake_process(101, "/unified", "4:memory:/docker/" A "/sub\n3:cpu,cpuacct:/docker/" A "\n0::/\n");
	expect("in-v2", "memory", "/sys/fs/cgroup/memory/docker/" A, "in-v2");
}

static void test_v1(void **state)
{
	(void)state;
	hybrid("");
	docker_name(A, "redis");
	fake_process(100, "", "4:memory:/docker/" A "\n3:cpu,cpuacct:/docker/" A "\n1:name=systemd:/docker/" A "\n");
	fake_process(200, "", "4:memory:/\n2:blkio:/docker/" B "\n");
	fake_process(300, "", "4:memory:/\n1:name=systemd:/docker/" C "\n");
	expect("redis", "memory", "/sys/fs/cgroup/memory/docker/" A, "redis");
	expect(B, "io", "/sys/fs/cgroup/blkio/docker/" B, "aaaaaaaabbbb");
	/* only in a hierarchy that nothing can be told by */
	expect_error(C, -ENOENT, "no container ");
}

/* The whole container: its topmost cgroup. */
static void test_topmost(void **state)
{
	(void)state;
	unified();
	fake_process(100, "", "0::/machine.slice/libpod-" A ".scope/container/system.slice/redis.service\n");
	fake_process(101, "", "0::/machine.slice/libpod-conmon-" A ".scope\n");
	fake_process(102, "", "0::/machine.slice/libpod-" A ".scope/container/init.scope\n");
	expect(A, "", "/sys/fs/cgroup/machine.slice/libpod-" A ".scope", "aaaaaaaaaaaa");
}

static void test_container_in_container(void **state)
{
	(void)state;
	unified();
	docker_name(A, "kind");
	docker_name(C, "real");
	fake_process(100, "", "0::/docker/" A "/kubelet.slice/cri-containerd-" D ".scope\n");
	fake_process(101, "", "0::/docker/" A "/init.scope\n");
	/* what a container makes below itself cannot pass for another container */
	fake_process(102, "", "0::/docker/" A "/docker/" C "\n");
	fake_process(103, "", "0::/docker/" A "/docker/x\n");
	expect("kind", "", "/sys/fs/cgroup/docker/" A, "kind");
	expect(D, "", "/sys/fs/cgroup/docker/" A "/kubelet.slice/cri-containerd-" D ".scope", "dddddddddddd");
	/* wherever these are found, before it or after it, and however much there is in them */
	fake_process(104, "", "0::/system.slice/docker-" C ".scope\n");
	for (int i = 0; i < 40; i++) {
		char lines[512];

		snprintf(lines, sizeof(lines), "0::/%c/docker/" A "/docker/" C "\n", 'a' + i % 8);
		fake_process(200 + i, "", lines);
	}
	expect("real", "", "/sys/fs/cgroup/system.slice/docker-" C ".scope", "real");
	expect_error("x", -ENOENT, "no container ");
}

static void test_podman(void **state)
{
	(void)state;
	unified();
	fake_file("/var/lib/containers/storage/overlay-containers/containers.json",
		  "[{\"id\":\"" A "\",\"names\":[\"db\"],\"metadata\":\"{}\"},{\"id\":\"" B "\",\"names\":[\"stopped\"]}]");
	fake_file("/var/lib/containers/storage/vfs-containers/volatile-containers.json", "[{\"id\":\"" C "\",\"names\":[\"quick\"]}]");
	/* podman's bundles do not say how the container is called */
	fake_file("/run/containers/storage/overlay-containers/" A "/userdata/config.json", "{\"hostname\":\"x\",\"annotations\":{}}");
	fake_process(100, "", "0::/machine.slice/libpod-" A ".scope/container\n");
	fake_process(200, "", "0::/libpod_parent/libpod-" C "\n");
	expect("db", "", "/sys/fs/cgroup/machine.slice/libpod-" A ".scope", "db");
	expect("quick", "", "/sys/fs/cgroup/libpod_parent/libpod-" C, "quick");
	expect_error("stopped", -ENOENT, "not running");
}

/* Users' own containers: their files may speak of these only. */
static void test_rootless(void **state)
{
	char home[128], file[256];

	(void)state;
	if (geteuid())
		skip();
	unified();
	fake_directory("/run/user/1000");
	fake_file("/home/me/.local/share/containers/storage/overlay-containers/containers.json",
		  "[{\"id\":\"" A "\",\"names\":[\"mine\"]},{\"id\":\"" C "\",\"names\":[\"not-mine\"]}]");
	snprintf(home, sizeof(home), "%s/home/me", fake_root);
	snprintf(file, sizeof(file), "%s/.local/share/containers/storage/overlay-containers/containers.json", home);
	assert_int_equal(chown(home, 1000, 1000), 0);
	assert_int_equal(chown(file, 1000, 1000), 0);
	fake_process(100, "", "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" A ".scope/container\n");
	fake_process(200, "", "0::/machine.slice/libpod-" C ".scope\n");
	expect("mine", "", "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" A ".scope", "mine");
	expect_error("not-mine", -ENOENT, "no container ");
	expect(C, "", "/sys/fs/cgroup/machine.slice/libpod-" C ".scope", "cccccccccccc");
	/* not here: the home is not looked into */
	fake_remove("/run/user/1000");
	expect_error("mine", -ENOENT, "no container ");
}

static void crio_bundle(const char *run, const char *id, const char *pod, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/containers/storage/overlay-containers/%s/userdata/config.json", run, id);
	fake_file(path, "{\"annotations\":{\"io.container.manager\":\"cri-o\",\"io.kubernetes.container.name\":\"%s\","
			"\"io.kubernetes.cri-o.ContainerType\":\"%s\",\"io.kubernetes.pod.name\":\"%s\","
			"\"io.kubernetes.pod.namespace\":\"default\"}}",
		  name ? name : "POD", name ? "container" : "sandbox", pod);
}

static void test_crio(void **state)
{
	(void)state;
	unified();
	crio_bundle("/run", A, "redis-0", "redis");
	crio_bundle("/run", C, "redis-0", NULL);
	crio_bundle("/var/run", D, "web-0", "web");
	fake_file("/var/lib/containers/storage/overlay-containers/containers.json",
		  "[{\"id\":\"" A "\",\"names\":[\"k8s_redis_redis-0_default_1-2-3_0\"]},{\"id\":\"" C "\",\"names\":[\"k8s_POD_redis-0_default_1-2-3_0\"]}]");
	fake_process(100, "", "0::/kubepods.slice/kubepods-pod1.slice/crio-" A ".scope/container\n");
	fake_process(101, "", "0::/kubepods.slice/kubepods-pod1.slice/crio-" C ".scope\n");
	fake_process(102, "", "0::/kubepods.slice/kubepods-pod2.slice/crio-" D ".scope\n");
	expect("redis", "", "/sys/fs/cgroup/kubepods.slice/kubepods-pod1.slice/crio-" A ".scope", "redis");
	expect("redis-0/redis", "", "/sys/fs/cgroup/kubepods.slice/kubepods-pod1.slice/crio-" A ".scope", "redis");
	expect("default/redis-0/redis", "", "/sys/fs/cgroup/kubepods.slice/kubepods-pod1.slice/crio-" A ".scope", "redis");
	expect("k8s_redis_redis-0_default_1-2-3_0", "", "/sys/fs/cgroup/kubepods.slice/kubepods-pod1.slice/crio-" A ".scope", "redis");
	expect("web", "", "/sys/fs/cgroup/kubepods.slice/kubepods-pod2.slice/crio-" D ".scope", "web");
	expect("cccccc", "", "/sys/fs/cgroup/kubepods.slice/kubepods-pod1.slice/crio-" C ".scope", "POD");
	expect_error("other/redis-0/redis", -ENOENT, "no container ");
}

static void test_kubernetes_containerd(void **state)
{
	(void)state;
	unified();
	k8s_bundle(A, "redis-0", "redis");
	k8s_bundle(C, "redis-1", "redis");
	k8s_bundle(D, "redis", NULL);
	k8s_bundle(B, "redis-9", "redis"); /* ended */
	fake_process(100, "", "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" A ".scope\n");
	fake_process(102, "", "0::/kubepods.slice/kubepods-pod2.slice/cri-containerd-" D ".scope\n");
	/* one of these runs, so that one is meant */
	expect("redis", "", "/sys/fs/cgroup/kubepods.slice/kubepods-pod1.slice/cri-containerd-" A ".scope", "redis");
	fake_process(101, "", "0::/system.slice/containerd.service/kubepods-burstable-pod2.slice:cri-containerd:" C "\n");
	expect_error("redis", -ENOTUNIQ, "redis-0/redis (aaaaaaaaaaaa)");
	expect_error("redis", -ENOTUNIQ, "redis-1/redis (cccccccccccc)");
	expect("redis-1/redis", "", "/sys/fs/cgroup/system.slice/containerd.service/kubepods-burstable-pod2.slice:cri-containerd:" C, "redis");
}

static void test_kubernetes_docker(void **state)
{
	(void)state;
	unified();
	docker_name(A, "k8s_redis_redis-0_default_1-2-3_0");
	docker_name(C, "k8s_POD_redis-0_default_1-2-3_0");
	fake_file("/var/lib/docker/containers/" D "/config.v2.json", "{\"Name\":\"/x\",\"Config\":{\"Labels\":"
		  "{\"io.kubernetes.container.name\":\"redis\",\"io.kubernetes.docker.type\":\"podsandbox\"}}}");
	fake_process(100, "", "0::/kubepods/burstable/pod1/" A "\n");
	fake_process(101, "", "0::/kubepods/burstable/pod1/" C "\n");
	fake_process(102, "", "0::/kubepods/burstable/pod1/" D "\n");
	/* a pod's pause does not make a name ambiguous */
	expect("redis", "", "/sys/fs/cgroup/kubepods/burstable/pod1/" A, "redis");
	expect("redis-0/redis", "", "/sys/fs/cgroup/kubepods/burstable/pod1/" A, "redis");
	expect("k8s_redis_redis-0_default_1-2-3_0", "", "/sys/fs/cgroup/kubepods/burstable/pod1/" A, "redis");
	expect("x", "", "/sys/fs/cgroup/kubepods/burstable/pod1/" D, "redis");
}

static void test_several(void **state)
{
	(void)state;
	unified();
	for (int i = 0; i < 300; i++) {
		char id[65], line[256], pod[32];

		snprintf(id, sizeof(id), "%064x", 0xabcdef00 + i);
		snprintf(line, sizeof(line), "0::/kubepods/pod%d/%s\n", i, id);
		snprintf(pod, sizeof(pod), "pod-%d", i);
		fake_process(1000 + i, "", line);
		k8s_bundle(id, pod, "sidecar");
	}
	expect_error("sidecar", -ENOTUNIQ, " more; give");
	expect_error("000000", -ENOTUNIQ, "/sidecar (000000000000)");
	expect("pod-299/sidecar", "", "/sys/fs/cgroup/kubepods/pod299/00000000000000000000000000000000000000000000000000000000abcdf02b", "sidecar");
}

static void test_nerdctl(void **state)
{
	(void)state;
	unified();
	fake_file("/run/containerd/io.containerd.runtime.v2.task/default/" A "/config.json", "{\"annotations\":{\"nerdctl/name\":\"cache\"}}");
	fake_process(100, "", "0::/system.slice/nerdctl-" A ".scope\n");
	expect("cache", "", "/sys/fs/cgroup/system.slice/nerdctl-" A ".scope", "cache");
}

static void runc_state(const char *run, const char *id, int pid, const char *cgroup)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s/state.json", run, id);
	fake_file(path, "{\"id\":\"%s\",\"init_process_pid\":%d,\"cgroup_paths\":{\"memory\":\"/sys/fs/cgroup/memory%s\","
			"\"\":\"/sys/fs/cgroup/unified%s\",\"name=systemd\":\"/sys/fs/cgroup/systemd%s\"},\"config\":{}}",
		  id, pid, cgroup, cgroup, cgroup);
}

static void test_runc(void **state)
{
	(void)state;
	hybrid(HYBRID_UNIFIED);
	/* the id is in the cgroup; it is not; Docker's own state */
	runc_state("/run/runc", "redis1", 100, "/redis1");
	runc_state("/run/runc", "redis2", 200, "/some/where");
	runc_state("/run/docker/runtime-runc/moby", A, 300, "/odd");
	runc_state("/run/containerd/runc/default", "redis3", 400, "/default/redis3");
	fake_process(100, "/unified", "4:memory:/redis1\n0::/redis1\n");
	fake_process(200, "/unified", "4:memory:/some/where\n0::/\n");
	fake_process(300, "/unified", "4:memory:/odd\n0::/odd\n");
	fake_process(400, "/unified", "4:memory:/default/redis3\n0::/default/redis3\n");
	fake_cgroup("/unified", "/some/where");
	docker_name(A, "web");
	expect("redis1", "", "/sys/fs/cgroup/unified/redis1", "redis1");
	expect("redis2", "memory", "/sys/fs/cgroup/memory/some/where", "redis2");
	expect("redis3", "", "/sys/fs/cgroup/unified/default/redis3", "redis3");
	expect("web", "", "/sys/fs/cgroup/unified/odd", "web");
	expect("aaaaaa", "", "/sys/fs/cgroup/unified/odd", "web");
	expect_error("redis", -ENOENT, "no container ");
}

/* State that is not true any more, or claims too much. */
static void test_runc_states_that_lie(void **state)
{
	(void)state;
	hybrid(HYBRID_UNIFIED);
	runc_state("/run/runc", "everything", 100, "/");
	runc_state("/run/runc", "everything2", 100, "");
	runc_state("/run/runc", "etc", 100, "/../../../../etc");
	runc_state("/run/runc", "gone", 7, "/taken");
	runc_state("/run/runc", "twin1", 300, "/shared");
	runc_state("/run/runc", "twin2", 301, "/shared");
	fake_process(100, "/unified", "4:memory:/\n0::/\n");
	fake_process(200, "/unified", "4:memory:/taken\n0::/taken\n");
	fake_process(300, "/unified", "4:memory:/shared\n0::/shared\n");
	fake_process(301, "/unified", "4:memory:/shared\n0::/shared\n");
	fake_directory("/etc");
	expect_error("everything", -ENOENT, "not running");
	expect_error("everything2", -ENOENT, "not running");
	expect_error("etc", -ENOENT, "not running");
	expect_error("gone", -ENOENT, "not running");
	expect_error("twin1", -EINVAL, "shares its cgroup with the container twin2");
}

/* runc with another --root: only the cgroup has the container's name. */
static void test_component(void **state)
{
	(void)state;
	hybrid(HYBRID_UNIFIED);
	fake_process(100, "/unified", "4:memory:/group/job/redis1\n3:cpu,cpuacct:/redis1\n0::/redis1\n");
	fake_process(101, "/unified", "4:memory:/group/job/redis1/redis1\n3:cpu,cpuacct:/redis1\n0::/redis1\n");
	fake_process(200, "/unified", "0::/system.slice/runc-redis2.scope\n");
	fake_process(300, "/unified", "0::/x/redis3\n");
	fake_process(301, "/unified", "0::/y/redis3\n");
	fake_process(400, "/unified", "0::/x/redis1-not\n");
	expect("redis1", "", "/sys/fs/cgroup/unified/redis1", "redis1");
	expect("redis2", "", "/sys/fs/cgroup/unified/system.slice/runc-redis2.scope", "redis2");
	expect_error("redis3", -ENOTUNIQ, "/x/redis3 and ");
	expect_error("redis", -ENOENT, "no container ");
	/* these are cgroups, but no containers */
	expect_error("runc-redis2.scope", -ENOENT, "no container ");
	expect_error("system.slice", -ENOENT, "no container ");
	/* a name that a runtime knows is meant before it */
	docker_name(A, "redis1");
	fake_process(500, "/unified", "4:memory:/docker/" A "\n0::/docker/" A "\n");
	expect("redis1", "", "/sys/fs/cgroup/unified/docker/" A, "redis1");
}

static void test_crun(void **state)
{
	(void)state;
	unified();
	fake_file("/run/crun/job/status", "{\"pid\":100,\"cgroup-path\":\"/user.slice/thing\",\"bundle\":\"/x\"}");
	fake_process(100, "", "0::/user.slice/thing\n");
	expect("job", "", "/sys/fs/cgroup/user.slice/thing", "job");
}

static void test_lxc_and_machines(void **state)
{
	(void)state;
	unified();
	fake_process(100, "", "0::/lxc.payload.web/system.slice/redis.service\n");
	fake_process(101, "", "0::/lxc.monitor.web\n");
	fake_process(200, "", "0::/machine.slice/machine-my\\x2ddb.scope/payload\n");
	expect("web", "", "/sys/fs/cgroup/lxc.payload.web", "web");
	expect("my-db", "", "/sys/fs/cgroup/machine.slice/machine-my\\x2ddb.scope", "my-db");
}

static void test_odd_names(void **state)
{
	char odd[600];

	(void)state;
	unified();
	fake_file("/var/lib/docker/containers/" A "/config.v2.json", "{\"Name\":\"/a\\nb\\u001b[31m\\u202e\\u00e4 c\"}");
	fake_process(100, "", "0::/docker/" A "\n");
	expect("aaaaaa", "", "/sys/fs/cgroup/docker/" A, "a?b?[31m???\xc3\xa4 c");
	expect("a\nb\x1b[31m\xe2\x80\xae\xc3\xa4 c", "", "/sys/fs/cgroup/docker/" A, "a?b?[31m???\xc3\xa4 c");
	/* a long one is cut where a character ends; a longer one is no name */
	memset(odd, 0, sizeof(odd));
	for (int i = 0; i < 100; i++)
		strcat(odd, "\xc3\xa4");
	docker_name(A, odd);
	odd[126] = '\0';
	expect("aaaaaa", "", "/sys/fs/cgroup/docker/" A, odd);
	memset(odd, 'x', sizeof(odd) - 1);
	docker_name(A, odd);
	expect("aaaaaa", "", "/sys/fs/cgroup/docker/" A, "aaaaaaaaaaaa");
	expect_error(odd, -EINVAL, "too long");
	/* a cgroup's name may be any bytes */
	fake_process(101, "", "0::/lxc.payload.\xff\x01z\n");
	expect("\xff\x01z", "", "/sys/fs/cgroup/lxc.payload.\xff\x01z", "??z");
}

static void test_no_cgroups(void **state)
{
	(void)state;
	expect_error("redis", -EINVAL, "mountinfo");
	fake_file("/proc/self/mountinfo", "%s", "");
	expect_error("redis", -EINVAL, "no cgroup tree mounted");
}

/* In a container of its own, with a cgroup namespace: it says what to do. */
static void test_cgroup_namespace(void **state)
{
	(void)state;
	unified();
	fake_process(1, "", "0::/\n");
	fake_file("/proc/1/cgroup", "0::/../../init.scope\n");
	expect_error("redis", -ENOENT, "cgroup namespace");
	/* with the host's tree mounted, containers are found */
	fake_file("/proc/self/mountinfo", "1 2 0:1 /../.. /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
	docker_name(A, "redis");
	fake_cgroup("", "/docker/" A);
	expect("redis", "", "/sys/fs/cgroup/docker/" A, "redis");
}

static void test_many_processes(void **state)
{
	static char text[100000];
	size_t n = 0;

	(void)state;
	unified();
	docker_name(A, "redis");
	for (int i = 1; i <= 10000; i++)
		n += sprintf(text + n, "%d\n", i);
	fake_bytes("/sys/fs/cgroup/docker/" A "/cgroup.procs", "w", text, n);
	for (int i = 0; i < 500; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/system.slice/s%d.service", i);
		fake_cgroup("", path);
	}
	expect("redis", "", "/sys/fs/cgroup/docker/" A, "redis");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_docker_v2),
		TEST(test_docker_elsewhere),
		TEST(test_stopped),
		TEST(test_precedence),
		TEST(test_hybrid),
		TEST(test_v1),
		TEST(test_topmost),
		TEST(test_container_in_container),
		TEST(test_podman),
		TEST(test_rootless),
		TEST(test_crio),
		TEST(test_kubernetes_containerd),
		TEST(test_kubernetes_docker),
		TEST(test_several),
		TEST(test_nerdctl),
		TEST(test_runc),
		TEST(test_runc_states_that_lie),
		TEST(test_component),
		TEST(test_crun),
		TEST(test_lxc_and_machines),
		TEST(test_odd_names),
		TEST(test_no_cgroups),
		TEST(test_cgroup_namespace),
		TEST(test_many_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
