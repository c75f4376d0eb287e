/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See pusher.h. The thread takes the oldest body of the spool, sends it, and removes it once the
 * server has it or will never take it; whatever else happens, it waits (backoff) and tries again.
 *
 * One body that the server fails on, time after time, must not hold up all others: after
 * HEAD_FAILURES answers the next one is tried in between. Where the server takes that and still
 * fails on the first, the first is given up.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include "../clock.h"
#include "../message.h"
#include "out/pyroscope.h"
#include "push_http.h"
#include "push_reply.h"
#include "push_secrets.h"
#include "pusher.h"
#include "spool.h"
#include "../thread.h"

#define TIMEOUT_MS     30000u
#define BACKOFF_MIN_MS 500u
#define BACKOFF_MAX_MS 300000u
#define GAP_MS         25u   /* between two of a queue: a server that is back is not flooded */
#define SETTLE_MS      5000u /* how often the disk is tried, while something waits in memory */
#define HEAD_FAILURES  8
#define HEAD_LAST      2 /* failures after another body was taken */
#define REASONS        8 /* of refusals, that are told */

/* Why nothing gets through, as far as it was told. */
enum trouble { FINE, FAILING, DENIED, WRONG_URL, NO_SECRET };

/* The body at the front, while the server fails on it. */
struct head {
	uint64_t id;
	unsigned int failures, failures_since; /* all; since another one was taken */
	bool other_taken, probing;
};

struct pusher {
	pthread_t thread;
	pthread_mutex_t lock; /* of stop, stop_at_ms, kicks and counts */
	pthread_cond_t changed;
	bool stop;
	uint64_t stop_at_ms, kicks;
	struct pusher_counts counts;
	struct spool *spool;
	struct push_http *http;
	struct push_secrets *secrets;
	unsigned int backoff_min_ms, backoff_max_ms;
	/* The thread's own from here on. */
	enum trouble trouble;
	unsigned int failures; /* in a row; for the backoff */
	unsigned int seed;
	struct head head;
	uint64_t reasons[REASONS];
	unsigned int n_reasons;
};

#define COUNT(p, field, by)                                                                        \
	do {                                                                                       \
		pthread_mutex_lock(&(p)->lock);                                                    \
		(p)->counts.field += (by);                                                         \
		pthread_mutex_unlock(&(p)->lock);                                                  \
	} while (0)

static bool stopping(struct pusher *p)
{
	bool stop;

	pthread_mutex_lock(&p->lock);
	stop = p->stop;
	pthread_mutex_unlock(&p->lock);
	return stop;
}

static bool time_is_up(struct pusher *p)
{
	bool up;

	pthread_mutex_lock(&p->lock);
	up = p->stop && monotonic_ms() >= p->stop_at_ms;
	pthread_mutex_unlock(&p->lock);
	return up;
}

/* Waits for so long, 0 for ever; a stop ends it, and a new body too where `kicks` (as they were
 * before) is given. */
static void wait_ms(struct pusher *p, uint64_t ms, const uint64_t *kicks)
{
	uint64_t until_ms = monotonic_ms() + ms;
	struct timespec until = {(time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000};

	pthread_mutex_lock(&p->lock);
	while (!p->stop && !(kicks && p->kicks != *kicks)) {
		if (!ms)
			pthread_cond_wait(&p->changed, &p->lock);
		else if (pthread_cond_timedwait(&p->changed, &p->lock, &until) == ETIMEDOUT)
			break;
	}
	pthread_mutex_unlock(&p->lock);
}

/* Half of it is fixed, half by chance, so that many agents do not come back all at once. */
static uint64_t backoff_ms(struct pusher *p, unsigned int retry_after_s)
{
	unsigned int shift = p->failures < 20 ? p->failures : 20;
	uint64_t ms = (uint64_t)p->backoff_min_ms << (shift ? shift - 1 : 0);

	if (ms > p->backoff_max_ms)
		ms = p->backoff_max_ms;
	ms = ms / 2 + (uint64_t)rand_r(&p->seed) % (ms / 2 + 1);
	if (ms < retry_after_s * 1000ull)
		ms = retry_after_s * 1000ull;
	if (ms > p->backoff_max_ms)
		ms = p->backoff_max_ms;
	return ms ? ms : 1;
}

static uint64_t queued(struct pusher *p)
{
	struct spool_counts c;

	spool_counts(p->spool, &c);
	return c.bodies;
}

/* One line when it begins, and when its kind changes; none for each attempt. */
static void begin_trouble(struct pusher *p, enum trouble trouble, const char *reason)
{
	static const char *const hints[] = {
		[FAILING] = "",
		[DENIED] =
			"; check the credentials (--basic-auth-file, --bearer-file) and --tenant",
		[WRONG_URL] = "; check the address given as --pyroscope",
		[NO_SECRET] = "",
	};

	if (p->trouble == trouble)
		return;
	p->trouble = trouble;
	message_warn("cannot push to %s: %s%s; profiles are queued (%" PRIu64
		     " now) and it is tried again",
		     push_http_url(p->http), reason, hints[trouble], queued(p));
}

static void end_trouble(struct pusher *p)
{
	p->failures = 0;
	if (p->trouble == FINE)
		return;
	p->trouble = FINE;
	message_info("pushing to %s works again; %" PRIu64 " profiles are queued",
		     push_http_url(p->http), queued(p));
}

/* A number for the reason, the same where only figures differ: times, sizes, identifiers. */
static uint64_t reason_kind(const char *reason)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */

	for (; *reason; reason++)
		if (!strchr("0123456789abcdefABCDEF-.:", *reason))
			hash = (hash ^ (uint8_t)*reason) * 1099511628211u;
	return hash;
}

/* A body is gone for good: each kind of reason is told once. */
static void tell_refusal(struct pusher *p, const char *what, const char *reason)
{
	uint64_t kind = reason_kind(reason);

	for (unsigned int i = 0; i < p->n_reasons; i++)
		if (p->reasons[i] == kind)
			return;
	if (p->n_reasons == REASONS)
		return;
	p->reasons[p->n_reasons++] = kind;
	message_warn("%s %s: %s; the profile is dropped, more of this kind are only counted",
		     push_http_url(p->http), what, reason);
	if (p->n_reasons == REASONS)
		message_warn("%s refuses profiles for %d reasons: further ones are only counted",
			     push_http_url(p->http), REASONS);
}

static void drop_body(struct pusher *p, const struct spool_body *b, const char *what,
		      const char *reason)
{
	tell_refusal(p, what, reason);
	COUNT(p, rejected, pyroscope_profiles(b->data, b->bytes));
	spool_remove(p->spool, b->id);
}

static void sent(struct pusher *p, const struct spool_body *b)
{
	pthread_mutex_lock(&p->lock);
	p->counts.pushed += pyroscope_profiles(b->data, b->bytes);
	p->counts.pushed_bytes += b->bytes;
	p->counts.last_push_ns = utc_ns();
	pthread_mutex_unlock(&p->lock);
	spool_remove(p->spool, b->id);
	if (b->id == p->head.id)
		p->head = (struct head){0};
	else
		p->head.other_taken = true;
}

/* Takes note that the server answered, but not well. Returns whether this body is to be given up.
 */
static bool head_failed(struct pusher *p, const struct spool_body *b)
{
	struct head *h = &p->head;

	if (h->probing) /* another one: nothing about the head */
		return false;
	if (h->id != b->id)
		*h = (struct head){.id = b->id};
	h->failures++;
	if (h->failures > HEAD_FAILURES && h->other_taken)
		h->failures_since++;
	return h->failures_since >= HEAD_LAST;
}

/* The oldest; or, where the server fails on that, the next one every second time. */
static int next_body(struct pusher *p, struct spool_body *out)
{
	struct spool_body other;
	int ret = spool_get(p->spool, 0, out);

	if (ret)
		return ret;
	p->head.probing =
		out->id == p->head.id && p->head.failures >= HEAD_FAILURES && !p->head.probing;
	if (p->head.probing) {
		if (spool_get(p->spool, out->id, &other)) {
			p->head.probing = false;
			return 0;
		}
		free(out->data);
		*out = other;
	}
	return 0;
}

/* An answer of the server. Returns whether the body is done with. */
static bool judge(struct pusher *p, const struct spool_body *b, const struct push_answer *a,
		  const struct push_headers *headers)
{
	static const enum trouble troubles[] = {
		[PUSH_AGAIN] = FAILING, [PUSH_DENIED] = DENIED, [PUSH_WRONG_URL] = WRONG_URL};
	enum push_verdict verdict = push_reply_judge(a->status, a->body, a->bytes);
	char reason[PUSH_REASON_BYTES];

	if (verdict == PUSH_SENT) {
		sent(p, b);
		end_trouble(p);
		return true;
	}
	push_reply_reason(a->status, a->body, a->bytes, headers, reason);
	if (verdict == PUSH_REFUSED) {
		drop_body(p, b, "refuses a profile", reason);
		end_trouble(p);
		return true;
	}
	if (verdict == PUSH_DENIED)
		COUNT(p, auth_errors, 1);
	if (verdict == PUSH_AGAIN && head_failed(p, b)) {
		drop_body(p, b, "fails on a profile while it takes others", reason);
		p->head = (struct head){0};
		return true;
	}
	if (verdict != PUSH_AGAIN ||
	    !p->head.other_taken) /* else it is this body that the server fails on */
		begin_trouble(p, troubles[verdict], reason);
	return false;
}

/* Returns whether the body is done with; else *retry_after_s is what the server asked for, or 0. */
static bool attempt(struct pusher *p, const struct spool_body *b, unsigned int *retry_after_s)
{
	struct push_headers headers;
	struct push_answer answer;
	char why[PUSH_REASON_BYTES];
	bool done = false;

	*retry_after_s = 0;
	if (push_secrets_read(p->secrets, &headers, why, sizeof(why))) {
		COUNT(p, auth_errors, 1);
		begin_trouble(p, NO_SECRET, why);
		push_headers_clear(&headers);
		return false;
	}
	push_http_post(p->http, &headers, b->data, b->bytes, &answer);
	*retry_after_s = answer.retry_after_s;
	if (answer.aborted) {
		done = false;
	} else if (answer.failed) {
		if (answer.timed_out)
			COUNT(p, timeouts, 1);
		p->head = (struct head){0}; /* it is not about this body */
		begin_trouble(p, FAILING, answer.error);
	} else {
		done = judge(p, b, &answer, &headers);
	}
	push_headers_clear(&headers);
	return done;
}

/* Sends the next body. Returns false where there is none, or where the end of the agent does not
 * wait for it. */
static bool send_next(struct pusher *p)
{
	bool last = stopping(p), done;
	unsigned int retry_after_s;
	struct spool_body b;

	if (next_body(p, &b))
		return false;
	done = attempt(p, &b, &retry_after_s);
	free(b.data);
	if (done) {
		if (queued(p))
			wait_ms(p, GAP_MS, NULL);
		return true;
	}
	COUNT(p, retried, 1);
	p->failures++;
	if (last)
		return false;
	wait_ms(p, backoff_ms(p, retry_after_s), NULL);
	return true;
}

static void *push_thread(void *arg)
{
	struct pusher *p = arg;
	struct spool_counts c;
	uint64_t kicks;

	pthread_setname_np(pthread_self(), "pusher");
	while (!time_is_up(p)) {
		pthread_mutex_lock(&p->lock);
		kicks = p->kicks;
		pthread_mutex_unlock(&p->lock);
		spool_settle(p->spool);
		if (send_next(p))
			continue;
		if (stopping(p))
			break;
		spool_counts(p->spool, &c);
		wait_ms(p, c.bodies ? SETTLE_MS : 0,
			&kicks); /* bodies that cannot be read just now */
	}
	return NULL;
}

static void init_lock(struct pusher *p)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(
		&attr, CLOCK_MONOTONIC); /* whoever sets the clock must not make us wait */
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (getrandom(&p->seed, sizeof(p->seed), GRND_NONBLOCK) != sizeof(p->seed))
		p->seed = (unsigned int)monotonic_ms();
}

static void free_pusher(struct pusher *p)
{
	push_http_free(p->http);
	push_secrets_free(p->secrets);
	spool_close(p->spool);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->changed);
	free(p);
}

static int open_parts(struct pusher *p, const struct pusher_options *o)
{
	struct push_http_options http = {
		.url = o->url,
		.tenant = o->tenant,
		.ca_file = o->ca_file,
		.timeout_ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_MS,
	};
	int ret = push_http_new(&http, &p->http);

	if (!ret)
		ret = push_secrets_new(o->basic_auth_file, o->bearer_file, o->header_file,
				       &p->secrets);
	if (!ret)
		ret = spool_open(o->queue_dir && *o->queue_dir ? o->queue_dir : PUSHER_QUEUE_DIR,
				 o->queue_bytes ? o->queue_bytes : PUSHER_QUEUE_BYTES, &p->spool);
	if (!ret && push_http_clear(p->http) && push_secrets_any(p->secrets))
		message_warn("credentials for %s are sent without encryption: use https://",
			     push_http_url(p->http));
	return ret;
}

int pusher_start(const struct pusher_options *options, struct pusher **out)
{
	struct pusher *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return -ENOMEM;
	init_lock(p);
	p->backoff_min_ms = options->backoff_min_ms ? options->backoff_min_ms : BACKOFF_MIN_MS;
	p->backoff_max_ms = options->backoff_max_ms ? options->backoff_max_ms : BACKOFF_MAX_MS;
	ret = open_parts(p, options);
	if (!ret) {
		ret = thread_start(&p->thread, push_thread, p);
		if (ret)
			message_error("cannot start the thread that pushes: %s", strerror(-ret));
	}
	if (ret) {
		free_pusher(p);
		return ret;
	}
	*out = p;
	return 0;
}

void pusher_submit(struct pusher *p, const void *body, size_t bytes)
{
	int ret = spool_put(p->spool, body, bytes);

	pthread_mutex_lock(&p->lock);
	p->counts.submitted += pyroscope_profiles(body, bytes);
	p->kicks += ret >= 0;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

void pusher_stop(struct pusher *p, unsigned int grace_ms)
{
	uint64_t until = monotonic_ms() + grace_ms;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	p->stop_at_ms = until;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
	push_http_abort_at(p->http, until);
	pthread_join(p->thread, NULL);
	free_pusher(p);
}

void pusher_counts(struct pusher *p, struct pusher_counts *out)
{
	struct spool_counts c;

	spool_counts(p->spool, &c);
	pthread_mutex_lock(&p->lock);
	*out = p->counts;
	pthread_mutex_unlock(&p->lock);
	out->dropped_full = c.dropped;
	out->broken = c.broken;
	out->disk_errors = c.disk_errors;
	out->queued = c.bodies;
	out->queued_bytes = c.bytes;
	out->queued_in_memory = c.in_memory;
}
