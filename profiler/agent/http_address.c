/* SPDX-License-Identifier: Apache-2.0 */
/* Where the HTTP server listens, and whom it answers: text to address, and the check of the Host header. See http.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "http.h"
#include "../message.h"

#define DIGITS "0123456789"
#define WAITING_CONNECTIONS 512 /* which the kernel keeps until there is room */
#define SEND_BUFFER_BYTES   (128 << 10) /* of each connection, in the kernel, which would take megabytes for slow readers */
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_." DIGITS

/* Returns -1 if it is none. */
static int parse_port(const char *text)
{
	size_t digits = strspn(text, DIGITS);
	int port = 0;

	if (!digits || digits > 5 || text[digits])
		return -1;
	for (size_t i = 0; i < digits; i++)
		port = 10 * port + (text[i] - '0');
	return port <= UINT16_MAX ? port : -1;
}

/* --- addresses to listen on --- */

static void set_port(struct sockaddr_storage *address, int port)
{
	if (address->ss_family == AF_INET6)
		((struct sockaddr_in6 *)address)->sin6_port = htons((uint16_t)port);
	else
		((struct sockaddr_in *)address)->sin_port = htons((uint16_t)port);
}

/* `flags`: AI_NUMERICHOST where it must be an address. */
static int look_up(const char *host, int family, int flags, struct sockaddr_storage *address, socklen_t *length)
{
	struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | flags};
	struct addrinfo *found;
	int ret = getaddrinfo(host, NULL, &hints, &found);

	if (ret)
		return ret;
	memset(address, 0, sizeof(*address));
	memcpy(address, found->ai_addr, found->ai_addrlen);
	*length = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static int resolve(const char *text, const char *host, bool brackets, struct sockaddr_storage *address,
		   socklen_t *length)
{
	bool numeric = !host[strspn(host, DIGITS ".")];
	int ret;

	if (!brackets && (!*host || !strcasecmp(host, "localhost"))) {
		host = "127.0.0.1";
		numeric = true;
	}
	if (brackets)
		ret = look_up(host, AF_INET6, AI_NUMERICHOST, address, length);
	else if (numeric)
		ret = inet_pton(AF_INET, host, &(struct in_addr){0}) == 1
			      ? look_up(host, AF_INET, AI_NUMERICHOST, address, length)
			      : EAI_NONAME;
	else
		ret = look_up(host, AF_UNSPEC, 0, address, length);
	if (!ret)
		return 0;
	if (brackets || numeric)
		message_error("--listen %s: %s is not an IPv%d address", text, host, brackets ? 6 : 4);
	else
		message_error("--listen %s: cannot find the address of %s: %s", text, host,
			      ret == EAI_SYSTEM ? strerror(errno) : gai_strerror(ret));
	return -EINVAL;
}

/* Cuts text into host and port. Returns NULL, or what is wrong. */
static const char *split(const char *text, char host[static NI_MAXHOST], bool *brackets, int *port)
{
	const char *colon = strrchr(text, ':'), *end = colon ? colon : text;
	size_t len = (size_t)(end - text);

	*port = parse_port(colon ? colon + 1 : text);
	*brackets = *text == '[';
	if (*brackets) {
		if (!colon || len < 2 || colon[-1] != ']')
			return "expected [ADDRESS]:PORT";
		text++;
		len -= 2;
	}
	if (len >= NI_MAXHOST)
		return "the host's name is too long";
	memcpy(host, text, len);
	host[len] = 0;
	if (!*brackets && host[strspn(host, NAME_CHARACTERS ":")])
		return "expected PORT, HOST:PORT or [ADDRESS]:PORT, and nothing else";
	if (!*brackets && strchr(host, ':'))
		return "an IPv6 address stands in brackets, [ADDRESS]:PORT";
	if (*port < 0 && !colon && text[strspn(text, DIGITS)])
		return "the port is missing: expected PORT, HOST:PORT or [ADDRESS]:PORT";
	return *port < 0 ? "the port must be a number from 0 to 65535" : NULL;
}

const char *http_address_problem(const char *text)
{
	char host[NI_MAXHOST];
	bool brackets;
	int port;
	const char *wrong = split(text, host, &brackets, &port);

	if (!wrong && brackets && (!strchr(host, ':') || host[strspn(host, NAME_CHARACTERS ":%")]))
		wrong = "between the brackets is no IPv6 address";
	return wrong;
}

int http_parse_address(const char *text, struct sockaddr_storage *address, socklen_t *length)
{
	char host[NI_MAXHOST];
	bool brackets;
	int port, ret;
	const char *wrong = split(text, host, &brackets, &port);

	if (wrong) {
		message_error("--listen %s: %s", text, wrong);
		return -EINVAL;
	}
	ret = resolve(text, host, brackets, address, length);
	if (!ret)
		set_port(address, port);
	return ret;
}

static void say_why_not(const char *listen_text, const char *address, int err)
{
	const char *advice = "";

	if (err == EADDRINUSE)
		advice = "; another program, or another agent, has this port: choose another one";
	else if (err == EACCES)
		advice = "; ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher one";
	else if (err == EADDRNOTAVAIL)
		advice = "; this machine does not have that address";
	message_error("--listen %s: cannot listen on %s: %s%s", listen_text, address, strerror(err), advice);
}

static void name_address(const struct sockaddr_storage *address, socklen_t length, char *out, size_t size)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getnameinfo((const struct sockaddr *)address, length, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(out, size, "?");
	else
		snprintf(out, size, address->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static bool is_loopback(const struct sockaddr_storage *address)
{
	const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
	const struct in_addr *v4 = &((const struct sockaddr_in *)address)->sin_addr;

	return address->ss_family == AF_INET6 ? IN6_IS_ADDR_LOOPBACK(v6) : ntohl(v4->s_addr) >> 24 == IN_LOOPBACKNET;
}

int http_listen(const char *text, char *name, size_t size)
{
	struct sockaddr_storage address;
	socklen_t length;
	int fd, ret = http_parse_address(text, &address, &length);

	if (ret)
		return ret;
	name_address(&address, length, name, size);
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){SEND_BUFFER_BYTES}, sizeof(int)) ||
	    bind(fd, (const struct sockaddr *)&address, length) || listen(fd, WAITING_CONNECTIONS)) {
		ret = -errno;
		say_why_not(text, name, -ret);
		if (fd >= 0)
			close(fd);
		return ret;
	}
	if (!getsockname(fd, (struct sockaddr *)&address, &length))
		name_address(&address, length, name, size);
	if (!is_loopback(&address))
		message_warn("--listen %s: whoever reaches %s from outside can read the profiles, for there is no password",
			     text, name);
	return fd;
}

/* --- the Host header --- */

/* Of "[::1]" or "[::1]:80", where the brackets end is in *end. */
static bool is_ipv6(const char *host, const char **end)
{
	char address[INET6_ADDRSTRLEN];
	const char *close = strchr(host, ']');
	size_t len = close ? (size_t)(close - host) - 1 : 0;

	if (!len || len >= sizeof(address))
		return false;
	memcpy(address, host + 1, len);
	address[len] = 0;
	*end = close + 1;
	return inet_pton(AF_INET6, address, &(struct in6_addr){0}) == 1;
}

static bool same_name(const char *host, size_t len, const char *name)
{
	return strlen(name) == len && !strncasecmp(host, name, len);
}

bool http_host_allowed(const char *host, const char *const *names, size_t n_names)
{
	char address[INET_ADDRSTRLEN];
	const char *end = strchrnul(host, ':');
	size_t len;

	if (*host == '[' ? !is_ipv6(host, &end) : end == host)
		return false;
	if (*end && (*end != ':' || parse_port(end + 1) < 0))
		return false;
	if (*host == '[')
		return true;
	len = (size_t)(end - host);
	if (len < sizeof(address)) {
		memcpy(address, host, len);
		address[len] = 0;
		if (inet_pton(AF_INET, address, &(struct in_addr){0}) == 1)
			return true;
	}
	if (host[len - 1] == '.') /* the root's dot: the same name */
		len--;
	if (same_name(host, len, "localhost"))
		return true;
	for (size_t i = 0; i < n_names; i++)
		if (*names[i] && same_name(host, len, names[i]))
			return true;
	return false;
}
