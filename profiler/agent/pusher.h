/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends bodies (out/pyroscope.h) to a server: a thread of its own, so that neither a slow nor a
 * silent server holds up the profiler. Every body goes to the spool first, then to the server,
 * oldest first.
 *
 * What an answer means (push_reply.h):
 *	2xx				sent
 *	no answer, 408, 429, 5xx	sent again, later and later (backoff), with the same ID
 *	401, 403; 404, 405, 3xx		wrong credentials; wrong URL: the same, and said once as such
 *	other 4xx			dropped, counted, and said once for each reason
 */
#ifndef WIREPROF_PUSHER_H
#define WIREPROF_PUSHER_H

#include <stddef.h>
#include <stdint.h>

#define PUSHER_QUEUE_DIR   "/var/lib/wireprof/queue"
#define PUSHER_QUEUE_BYTES (256ull << 20)

/* NULL and 0 stand for the defaults, or for "none". All is copied. */
struct pusher_options {
	const char *url;    /* of the server, with or without a path; never with a password in it */
	const char *tenant; /* X-Scope-OrgID */
	/* Read again for every request, as tokens are rotated. Without these two, the environment
	 * may have WIREPROF_BASIC_AUTH or WIREPROF_BEARER. */
	const char *basic_auth_file; /* user:password */
	const char *bearer_file;
	const char *header_file; /* "Name: value" a line; # begins a comment */
	const char *ca_file;
	const char *queue_dir;                       /* PUSHER_QUEUE_DIR */
	uint64_t queue_bytes;                        /* PUSHER_QUEUE_BYTES */
	unsigned int timeout_ms;                     /* of one request: 30 000 */
	unsigned int backoff_min_ms, backoff_max_ms; /* 500, 300 000 */
};

struct pusher; /* opaque; its functions may be called from any thread */

/* Returns 0 or -errno after a message. A server that cannot be reached is no error. */
int pusher_start(const struct pusher_options *options, struct pusher **out);
/*
 * Queues a copy. Never waits for the network; it does wait for the disk (fsync), so that what was
 * submitted is not lost by any crash.
 */
void pusher_submit(struct pusher *p, const void *body, size_t bytes);
/* Sends what it can within grace_ms; the rest stays in the spool. NULL is fine. */
void pusher_stop(struct pusher *p, unsigned int grace_ms);

/* Profiles, where nothing else is said; all but queued* ever since the start. */
struct pusher_counts {
	uint64_t submitted;
	uint64_t pushed, pushed_bytes;
	uint64_t retried;      /* attempts that failed and were, or will be, made again */
	uint64_t rejected;     /* the server refused these for good */
	uint64_t dropped_full; /* the oldest, for want of room in the queue */
	uint64_t broken;       /* files in the queue that were not what we wrote */
	uint64_t disk_errors;  /* writes to the queue that failed */
	uint64_t auth_errors;  /* attempts without usable credentials, and answers 401 and 403 */
	uint64_t timeouts;     /* attempts that ended so */
	uint64_t queued, queued_bytes, queued_in_memory; /* bodies, now */
	uint64_t last_push_ns; /* wall clock, of the last success; 0: none yet */
};
void pusher_counts(struct pusher *p, struct pusher_counts *out);

#endif
