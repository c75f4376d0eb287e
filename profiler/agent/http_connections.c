/* SPDX-License-Identifier: Apache-2.0 */
/* See http_connections.h. There are few places, so they are looked through. */
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../clock.h"
#include "http_connections.h"

#define REQUEST_WHEN_FULL_MS 1000 /* while others wait for a connection */
#define N_PLACES	     (sizeof(((struct http_connections *)0)->places) / sizeof(struct http_connection))

void http_connections_init(struct http_connections *c, uint64_t request_ms, uint64_t answer_ms)
{
	*c = (struct http_connections){.request_ms = request_ms, .answer_ms = answer_ms, .listen_fd = -1, .spare_fd = -1};
	for (size_t i = 0; i < N_PLACES; i++)
		c->places[i].fd = -1;
}

void http_connections_listen(struct http_connections *c, int fd)
{
	c->listen_fd = fd;
	c->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void http_connections_fini(struct http_connections *c)
{
	if (c->spare_fd >= 0)
		close(c->spare_fd);
	c->spare_fd = -1;
}

struct http_connection *http_connection_opened(struct http_connections *c, int fd)
{
	c->accepted++;
	c->open++;
	for (size_t i = 0; i < N_PLACES; i++) {
		if (c->places[i].fd >= 0)
			continue;
		c->places[i] = (struct http_connection){.fd = fd, .since_ms = monotonic_ms()};
		return &c->places[i];
	}
	return NULL;
}

void http_connection_closed(struct http_connections *c, struct http_connection *connection)
{
	c->open--;
	if (connection)
		connection->fd = -1;
}

void http_connection_turns(struct http_connection *connection, bool answering)
{
	if (!connection)
		return;
	connection->answering = answering;
	connection->since_ms = monotonic_ms();
}

bool http_connections_full(const struct http_connections *c)
{
	return c->open >= HTTP_MAX_CONNECTIONS;
}

static uint64_t must_end_ms(const struct http_connections *c, const struct http_connection *connection)
{
	uint64_t ms = c->request_ms;

	if (connection->fd < 0 || connection->shut)
		return UINT64_MAX;
	if (connection->answering)
		ms = c->answer_ms;
	else if (http_connections_full(c) && ms > REQUEST_WHEN_FULL_MS)
		ms = REQUEST_WHEN_FULL_MS;
	return connection->since_ms + ms;
}

uint64_t http_connections_next_ms(const struct http_connections *c)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < N_PLACES; i++)
		if (must_end_ms(c, &c->places[i]) < next)
			next = must_end_ms(c, &c->places[i]);
	return next;
}

void http_connections_end_slow(struct http_connections *c)
{
	uint64_t now = monotonic_ms();

	for (size_t i = 0; i < N_PLACES; i++) {
		if (now < must_end_ms(c, &c->places[i]))
			continue;
		c->places[i].shut = true;
		c->too_slow++;
		shutdown(c->places[i].fd, SHUT_RDWR);
	}
}

void http_connections_show_ends(struct http_connections *c)
{
	struct pollfd fds[N_PLACES];

	if (!c->open)
		return;
	for (size_t i = 0; i < N_PLACES; i++) {
		const struct http_connection *p = &c->places[i];

		fds[i] = (struct pollfd){.fd = p->answering || p->shut || p->end_shown ? -1 : p->fd, .events = POLLRDHUP};
	}
	if (poll(fds, N_PLACES, 0) <= 0)
		return;
	for (size_t i = 0; i < N_PLACES; i++) {
		int unread;

		if (!(fds[i].revents & POLLRDHUP) || ioctl(fds[i].fd, FIONREAD, &unread) || unread)
			continue; /* with data to read, the library comes back anyway */
		c->places[i].end_shown = true;
		shutdown(fds[i].fd, SHUT_RD);
	}
}

/*
 * Without a descriptor left, the library cannot accept; where it has no connection either whose end could free one, the
 * client that waits would wake the loop without end. With a spare descriptor it is accepted, to be turned away.
 */
void http_connections_turn_away(struct http_connections *c)
{
	struct pollfd waiting = {.fd = c->listen_fd, .events = POLLIN};
	int fd;

	if (c->open || poll(&waiting, 1, 0) <= 0)
		return;
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd < 0 && c->spare_fd >= 0) {
		close(c->spare_fd);
		fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			close(fd);
		c->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	} else if (c->spare_fd < 0) {
		c->spare_fd = fd;
	} else {
		close(fd);
	}
}
