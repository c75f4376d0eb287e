/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by attribute.c (whose protocol it is) and the files of the protocols. */
#ifndef WIREPROF_ATTRIBUTE_INTERNAL_H
#define WIREPROF_ATTRIBUTE_INTERNAL_H

#include "attribute.h"

/* Whether the socket is one that clients connect to; a process's own connections carry no requests to it. */
bool attribute_server_side(struct process *process, const struct sample_event *e);
bool attribute_names_operation(const char *const *operations, const char *operation);
/* The batch's share, of the classes that `operations` allows (NULL: all): exact where only one class is in question. */
void attribute_by_batch(struct attribution *out, const char *const *operations);
/* The same, of the classes that the stack names, if it names one of them. */
void attribute_by_evidence(struct attribution *out, const struct evidence *evidence);

/*
 * These fill in what differs from: the event's phase, ATTRIBUTION_NONE, no classes. The verdict is that on the bytes.
 */
enum query_verdict attribute_redis(struct processes *processes, struct process *process, const struct sample *s,
				   const struct evidence *evidence, enum redis_keys keys, struct attribution *out);
void attribute_mysql(struct attributor *a, struct process *process, const struct sample *s,
		     const struct evidence *evidence, struct attribution *out);
void attribute_mongo(struct attributor *a, struct process *process, const struct sample *s,
		     const struct evidence *evidence, struct attribution *out);
/* No request is known, but the stack shows that one is served. */
void attribute_mongo_unseen(const struct evidence *evidence, struct attribution *out);
/* Of a MySQL server, a receive that was not followed: TLS, if its connection was open before we came. */
void attribute_mysql_unfollowed(const struct sample *s, struct attribution *out);

#endif
