/* SPDX-License-Identifier: Apache-2.0 */
/* See load.h. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <linux/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "load.h"

#define WARM_UP	  5000 /* requests */
#define READY_MS  60000
#define REPLY_MS  300 /* a first reply is complete when nothing more came for so long */

int pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd >= 0 && !connect(fd, (struct sockaddr *)&at, sizeof(at))) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		return fd;
	}
	close(fd);
	return -1;
}

/* --- the client process --- */

struct client {
	const struct raw_load *load;
	char burst[MAX_REPLY]; /* the requests of one pipeline */
	size_t burst_bytes, reply_bytes;
	_Atomic uint64_t *replies;
};

struct connection {
	int fd;
	size_t got; /* bytes of the replies so far */
};

__attribute__((noreturn)) static void fail(const char *what)
{
	fprintf(stderr, "the client: %s\n", what);
	_exit(1);
}

static void send_burst(const struct client *c, const struct connection *to)
{
	if (write(to->fd, c->burst, c->burst_bytes) != (ssize_t)c->burst_bytes)
		fail("the server does not take a request");
}

/*
 * Copies what has arrived, like read(), but by the way that no receive hook sees: a system with one busy server and
 * no other receives is what bpf_stats can be read off. The kernel copies where there is less than fits in copybuf.
 */
static ssize_t receive_unseen(int fd, void *bytes, size_t size)
{
	struct tcp_zerocopy_receive call = {.copybuf_address = (uintptr_t)bytes, .copybuf_len = size};
	socklen_t call_size = sizeof(call);

	if (getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &call, &call_size) || call.err)
		return -1;
	return call.copybuf_len;
}

static void take_reply(const struct client *c, struct connection *from)
{
	char bytes[MAX_REPLY];
	ssize_t n = receive_unseen(from->fd, bytes, sizeof(bytes));
	size_t before = from->got / c->reply_bytes;

	if (n <= 0)
		fail("the server has closed a connection");
	from->got += n;
	atomic_fetch_add_explicit(c->replies, from->got / c->reply_bytes - before, memory_order_relaxed);
	if (from->got > c->reply_bytes * c->load->pipeline)
		fail("a reply is longer than the first");
	if (from->got < c->reply_bytes * c->load->pipeline)
		return;
	from->got = 0;
	send_burst(c, from);
}

/* Of one request on a connection of its own. */
static size_t learn_reply(const struct raw_load *load)
{
	char bytes[MAX_REPLY];
	int fd = connect_to(load->port);
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	size_t got = 0;

	if (fd < 0 || write(fd, load->request, load->request_bytes) != (ssize_t)load->request_bytes)
		fail("no connection to the server");
	while (poll(&ready, 1, got ? REPLY_MS : READY_MS) > 0 && got < sizeof(bytes)) {
		ssize_t n = read(fd, bytes + got, sizeof(bytes) - got);

		if (n <= 0)
			break;
		got += n;
	}
	close(fd);
	if (!got || got * load->pipeline > MAX_REPLY)
		fail("no reply, or too long a one");
	return got;
}

static void prepare(struct client *c, const struct raw_load *load)
{
	struct rlimit files;

	c->load = load;
	c->reply_bytes = learn_reply(load);
	for (unsigned int i = 0; i < load->pipeline; i++) {
		memcpy(c->burst + c->burst_bytes, load->request, load->request_bytes);
		c->burst_bytes += load->request_bytes;
	}
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

__attribute__((noreturn)) static void run_client(const struct raw_load *load, _Atomic uint64_t *replies)
{
	static struct client c;
	struct connection *all = calloc(load->connections, sizeof(*all));
	struct epoll_event *events = calloc(load->connections, sizeof(*events));
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	c.replies = replies;
	prepare(&c, load);
	if (!all || !events || epoll < 0)
		fail("no memory");
	for (unsigned int i = 0; i < load->connections; i++) {
		events[i] = (struct epoll_event){.events = EPOLLIN, .data.ptr = &all[i]};
		all[i].fd = connect_to(load->port);
		if (all[i].fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &events[i]))
			fail("no more connections");
	}
	for (unsigned int i = 0; i < load->connections; i++)
		send_burst(&c, &all[i]);
	for (;;) {
		int n = epoll_wait(epoll, events, load->connections, load->spin ? 0 : -1);

		for (int i = 0; i < n; i++)
			take_reply(&c, events[i].data.ptr);
	}
}

/* --- starting and ending it --- */

pid_t load_fork(const struct load *l)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || pin_to(l->client_cpu))
		_exit(1);
	return 0;
}

_Atomic uint64_t *load_counter(struct load *l)
{
	void *counter = mmap(NULL, sizeof(*l->replies), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	l->replies = counter == MAP_FAILED ? NULL : counter;
	return counter == MAP_FAILED ? NULL : counter;
}

int load_warm_up(const struct load *l)
{
	for (int waited = 0; waited < READY_MS && *l->replies < WARM_UP; waited += 10) {
		siginfo_t info = {0};

		if (!waitid(P_PID, l->clients[0], &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid)
			break;
		usleep(10000);
	}
	if (*l->replies >= WARM_UP)
		return 0;
	fprintf(stderr, "the client gets no replies from the server\n");
	return -1;
}

int load_start_raw(struct load *l, const struct raw_load *raw)
{
	_Atomic uint64_t *replies = load_counter(l);

	if (!replies)
		return -1;
	l->clients[0] = load_fork(l);
	if (!l->clients[0])
		run_client(raw, replies);
	return l->clients[0] < 0 ? -1 : load_warm_up(l);
}

void load_stop(struct load *l)
{
	for (int i = 0; i < LOAD_CLIENTS; i++)
		if (l->clients[i] > 0) {
			kill(l->clients[i], SIGKILL);
			waitpid(l->clients[i], NULL, 0);
		}
}

uint64_t schedstat_ns(pid_t pid)
{
	char path[384];
	struct dirent *thread;
	uint64_t sum = 0;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	while (tasks && (thread = readdir(tasks))) {
		unsigned long long ns;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, thread->d_name);
		f = *thread->d_name == '.' ? NULL : fopen(path, "re");
		if (f && fscanf(f, "%llu", &ns) == 1)
			sum += ns;
		if (f)
			fclose(f);
	}
	if (tasks)
		closedir(tasks);
	return sum;
}
