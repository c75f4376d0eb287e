/* SPDX-License-Identifier: Apache-2.0 */
/* What is attached in a window of overhead.c: programs of ours, or another profiler. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "overhead.h"

#define PEER_READY_MS 30000

#define X(name, word, text) word,
static const char *const arm_words[] = {ARMS(X)};
#undef X
#define X(name, word, text) text,
static const char *const arm_texts[] = {ARMS(X)};
#undef X

static struct peer *peer_of(struct meter *m, enum arm arm)
{
	return arm >= ARM_PEER ? &m->peers[arm - ARM_PEER] : NULL;
}

enum arm arm_named(const struct meter *m, const char *word)
{
	for (enum arm arm = ARM_NULL; arm < ARM_PEER; arm++)
		if (!strcmp(word, arm_words[arm]))
			return arm;
	for (size_t i = 0; i < m->n_peers; i++)
		if (!strcmp(word, m->peers[i].name))
			return ARM_PEER + i;
	return N_ARMS;
}

const char *arm_text(const struct meter *m, enum arm arm)
{
	return arm >= ARM_PEER ? m->peers[arm - ARM_PEER].name : arm_texts[arm];
}

struct recorder *arm_recorder(const struct meter *m, enum arm arm)
{
	return arm == ARM_COMPLETE ? m->complete :
	       arm == ARM_SAMPLER  ? m->no_requests :
	       arm == ARM_GOVERNED ? m->governed :
				     NULL;
}

/* --- peers --- */

/* A line of its words, within a while. */
static int await_line(const struct peer *p)
{
	struct pollfd ready = {.fd = p->from, .events = POLLIN};
	char c = '\0';

	while (c != '\n')
		if (poll(&ready, 1, PEER_READY_MS) <= 0 || read(p->from, &c, 1) <= 0)
			return -ETIMEDOUT;
	return 0;
}

__attribute__((noreturn)) static void exec_peer(const struct peer *p, int in, int out)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	dup2(in, p->controlled ? 3 : STDIN_FILENO);
	dup2(out, p->controlled ? 4 : STDOUT_FILENO);
	execl("/bin/sh", "sh", "-c", p->command, (char *)NULL);
	_exit(127);
}

static int start_peer(struct peer *p)
{
	int down[2], up[2];

	if (pipe(down) || pipe(up))
		return -errno;
	for (int i = 0; i < 2; i++) { /* out of the way of 3 and 4 */
		down[i] = fcntl(down[i], F_DUPFD_CLOEXEC, 20);
		up[i] = fcntl(up[i], F_DUPFD_CLOEXEC, 20);
	}
	p->pid = fork();
	if (!p->pid)
		exec_peer(p, down[0], up[1]);
	close(down[0]);
	close(up[1]);
	p->to = down[1];
	p->from = up[0];
	return p->pid < 0 ? -errno : p->controlled ? 0 : await_line(p);
}

static void end_peer(struct peer *p)
{
	if (p->pid <= 0)
		return;
	kill(p->pid, SIGINT);
	for (int waited = 0; waited < 5000 && !waitpid(p->pid, NULL, WNOHANG); waited += 10)
		usleep(10000);
	kill(-p->pid, SIGKILL); /* whatever is left of it */
	close(p->to);
	close(p->from);
	p->pid = 0;
}

static int command_peer(const struct peer *p, const char *word)
{
	return write(p->to, word, strlen(word)) < 0 ? -errno : await_line(p);
}

static int attach_peer(struct peer *p)
{
	int err = p->pid ? 0 : start_peer(p);

	return err || !p->controlled ? err : command_peer(p, "enable\n");
}

static void detach_peer(struct peer *p)
{
	if (p->controlled)
		command_peer(p, "disable\n");
	else
		end_peer(p);
}

/* --- programs of ours --- */

struct bpf_program *receive_program(const struct kernel *k)
{
	if (k->hook == HOOK_TRACEPOINT)
		return k->skel->progs.receive_tracepoint;
	return k->hook == HOOK_SYS_EXIT ? k->skel->progs.receive_sys_exit : NULL;
}

static int attach_link(struct meter *m, size_t i, const struct bpf_program *program)
{
	m->links[i] = bpf_program__attach(program);
	return m->links[i] ? 0 : -errno;
}

int attach_empty(struct meter *m)
{
	return attach_link(m, 0, m->empty->progs.empty_receive);
}

static int attach_syscalls(struct meter *m)
{
	int err = attach_link(m, 0, m->empty->progs.empty_enter);

	return err ? err : attach_link(m, 1, m->empty->progs.empty_exit);
}

/* One a CPU, of the first MAX_LINKS. */
static int attach_empty_clocks(struct meter *m)
{
	for (int cpu = 0; cpu < MAX_LINKS && cpu < libbpf_num_possible_cpus(); cpu++) {
		int fd = kernel_open_clock(cpu, 1000000000u / m->frequency_hz);

		if (fd == -ENODEV)
			continue;
		if (fd < 0)
			return fd;
		m->links[cpu] = bpf_program__attach_perf_event(m->empty->progs.empty_sample, fd);
		if (!m->links[cpu])
			return -errno;
	}
	return 0;
}

void detach_empty(struct meter *m)
{
	for (size_t i = 0; i < MAX_LINKS; i++) {
		bpf_link__destroy(m->links[i]);
		m->links[i] = NULL;
	}
}

static int attach_hook(struct kernel *k)
{
	k->hook_link = bpf_program__attach(receive_program(k));
	return k->hook_link ? 0 : -errno;
}

int arm_attach(struct meter *m, enum arm arm)
{
	if (arm_recorder(m, arm))
		return recorder_attach(arm_recorder(m, arm));
	switch (arm) {
	case ARM_EMPTY:
		return attach_empty(m);
	case ARM_SYSCALLS:
		return attach_syscalls(m);
	case ARM_CLOCK:
		return attach_empty_clocks(m);
	case ARM_HOOK:
		return attach_hook(m->complete->kernel);
	default:
		return arm >= ARM_PEER ? attach_peer(peer_of(m, arm)) : 0;
	}
}

void arm_detach(struct meter *m, enum arm arm)
{
	if (arm_recorder(m, arm)) {
		recorder_detach(arm_recorder(m, arm));
		recorder_drain(arm_recorder(m, arm));
	} else if (arm == ARM_HOOK) {
		kernel_detach(m->complete->kernel);
	} else if (arm >= ARM_PEER) {
		detach_peer(peer_of(m, arm));
	}
	detach_empty(m);
}

/* The session's processes: sh becomes the command itself where it is one command alone. */
uint64_t arm_own_ns(const struct meter *m, enum arm arm)
{
	if (arm_recorder(m, arm))
		return clock_now_ns(CLOCK_PROCESS_CPUTIME_ID);
	return arm >= ARM_PEER ? schedstat_ns(m->peers[arm - ARM_PEER].pid) : 0;
}

void arms_end(struct meter *m)
{
	for (size_t i = 0; i < m->n_peers; i++)
		end_peer(&m->peers[i]);
}
