/* SPDX-License-Identifier: Apache-2.0 */
/* See redis_under_load.h. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>
#include "redis_under_load.h"

#define KEY	  "key:000000000042"
#define WARM_UP	  5000 /* requests */
#define READY_MS  20000
static const char set_request[] = "*3\r\n$3\r\nSET\r\n$16\r\n" KEY "\r\n$3\r\nxxx\r\n";
static const char get_request[] = "*2\r\n$3\r\nGET\r\n$16\r\n" KEY "\r\n";
static const char get_reply[] = "$3\r\nxxx\r\n";

int pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

static void sleep_ms(int ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000l}, NULL);
}

static uint16_t free_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) ||
	    getsockname(fd, (struct sockaddr *)&at, &size))
		at.sin_port = 0;
	close(fd);
	return ntohs(at.sin_port);
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

struct connection {
	int fd;
	size_t got; /* bytes of the reply so far */
};

static void send_get(const struct connection *c)
{
	if (write(c->fd, get_request, sizeof(get_request) - 1) != sizeof(get_request) - 1)
		_exit(1);
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

static void take_reply(struct connection *c, struct load_counters *counters)
{
	char bytes[256];
	ssize_t n = receive_unseen(c->fd, bytes, sizeof(bytes));

	if (n <= 0 || c->got + n > sizeof(get_reply) - 1 || memcmp(bytes, get_reply + c->got, n))
		_exit(1);
	c->got += n;
	if (c->got < sizeof(get_reply) - 1)
		return;
	c->got = 0;
	atomic_fetch_add_explicit(&counters->replies, 1, memory_order_relaxed);
	send_get(c);
}

static void run_client(uint16_t port, unsigned int connections, bool spin, struct load_counters *counters)
{
	struct connection *all = calloc(connections, sizeof(*all));
	struct epoll_event *events = calloc(connections, sizeof(*events));
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (!all || !events || epoll < 0)
		_exit(1);
	for (unsigned int i = 0; i < connections; i++) {
		events[i] = (struct epoll_event){.events = EPOLLIN, .data.ptr = &all[i]};
		all[i].fd = connect_to(port);
		if (all[i].fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &events[i]))
			_exit(1);
	}
	for (unsigned int i = 0; i < connections; i++)
		send_get(&all[i]);
	for (;;) {
		int n = epoll_wait(epoll, events, connections, spin ? 0 : -1);

		for (int i = 0; i < n; i++)
			take_reply(events[i].data.ptr, counters);
	}
}

/* --- starting and ending both --- */

static pid_t fork_on(int cpu)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || pin_to(cpu))
		_exit(1);
	return 0;
}

static void exec_server(const char *binary, uint16_t port)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char number[8];

	snprintf(number, sizeof(number), "%u", port);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	execlp(binary, binary, "--port", number, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
	       "--daemonize", "no", "--dir", "/tmp", "--logfile", "", (char *)NULL);
	fprintf(stderr, "cannot start %s: %s\n", binary, strerror(errno));
	_exit(127);
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = {0};

	return !waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid == pid;
}

/* Stores the key as soon as the server answers. */
static int store_key(const struct redis_under_load *r)
{
	char reply[8];

	for (int waited = 0; waited < READY_MS; waited += 10) {
		int fd = connect_to(r->port);
		bool stored = fd >= 0 && write(fd, set_request, sizeof(set_request) - 1) > 0 &&
			      read(fd, reply, sizeof(reply)) == 5 && !memcmp(reply, "+OK", 3);

		close(fd);
		if (stored)
			return 0;
		if (has_ended(r->server))
			break;
		sleep_ms(10);
	}
	fprintf(stderr, "the redis-server that was to be measured does not answer\n");
	return -1;
}

static int open_schedstats(struct redis_under_load *r)
{
	char path[64];
	struct dirent *thread;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", r->server);
	tasks = opendir(path);
	while (tasks && (thread = readdir(tasks)) && r->n_threads < MAX_SERVER_THREADS) {
		char file[384];

		if (*thread->d_name == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s/schedstat", path, thread->d_name);
		r->schedstat[r->n_threads] = open(file, O_RDONLY | O_CLOEXEC);
		r->n_threads += r->schedstat[r->n_threads] >= 0;
	}
	if (tasks)
		closedir(tasks);
	if (!r->n_threads)
		fprintf(stderr, "cannot read %s/*/schedstat\n", path);
	return r->n_threads ? 0 : -1;
}

static int warm_up(const struct redis_under_load *r)
{
	for (int waited = 0; waited < READY_MS; waited += 10) {
		if (r->counters->replies >= WARM_UP)
			return 0;
		if (has_ended(r->client))
			break;
		sleep_ms(10);
	}
	fprintf(stderr, "the client gets no replies from the redis-server\n");
	return -1;
}

int redis_start(struct redis_under_load *r, const char *binary, int server_cpu, int client_cpu,
		unsigned int connections, bool spin)
{
	struct load_counters *counters = mmap(NULL, sizeof(*counters), PROT_READ | PROT_WRITE,
					      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	*r = (struct redis_under_load){.server_cpu = server_cpu, .client_cpu = client_cpu};
	if (counters == MAP_FAILED)
		return -1;
	r->counters = counters;
	r->port = free_port();
	r->server = fork_on(server_cpu);
	if (!r->server)
		exec_server(binary, r->port);
	if (r->server < 0 || store_key(r))
		return -1;
	r->client = fork_on(client_cpu);
	if (!r->client)
		run_client(r->port, connections, spin, counters);
	if (r->client < 0 || warm_up(r))
		return -1;
	return open_schedstats(r);
}

static void end_process(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void redis_stop(struct redis_under_load *r)
{
	end_process(r->client);
	end_process(r->server);
	for (size_t i = 0; i < r->n_threads; i++)
		close(r->schedstat[i]);
	r->n_threads = 0;
}

uint64_t redis_reads(const struct redis_under_load *r)
{
	unsigned long long reads = 0;
	char path[32], line[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/io", r->server);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f) && sscanf(line, "syscr: %llu", &reads) != 1)
		;
	if (f)
		fclose(f);
	return reads;
}

uint64_t redis_cpu_ns(const struct redis_under_load *r)
{
	uint64_t sum = 0;
	char text[96];

	for (size_t i = 0; i < r->n_threads; i++) {
		ssize_t n = pread(r->schedstat[i], text, sizeof(text) - 1, 0);

		if (n <= 0)
			continue;
		text[n] = '\0';
		sum += strtoull(text, NULL, 10);
	}
	return sum;
}
