/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A made-up but plausible profile for the tests of the writers: the same on every run, on any machine.
 *
 * Two commands (redis-server, mysqld), several labels, kernel and C++ and inlined frames, recursion, marks,
 * a request-less background thread, pipelined samples split in thirds, and names chosen to break writers:
 * markup, quotes, separators, control characters, line separators, invalid UTF-8.
 *
 * sample_profile_big() has the size that the page promises to handle: 50 000 stacks, 5 000 classes.
 */
#ifndef WIREPROF_TESTS_SAMPLE_PROFILE_H
#define WIREPROF_TESTS_SAMPLE_PROFILE_H

#include "out/profile.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_PERIOD_NS 10101010u /* 99 Hz */

#define HOSTILE_SCRIPT  "</script><script>window.pwned=1</script>"
#define HOSTILE_IMAGE   "<img src=x onerror=window.pwned=2>"
#define HOSTILE_COMMENT "<!--<script>"
#define HOSTILE_QUOTES  "a\"b'c\\d&amp;${window.pwned=3}"
#define HOSTILE_LINES   "semi;colon\nnew\tline\x01\x7f\xe2\x80\xa8|"
#define HOSTILE_BYTES   "bad\xff\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80\xe2\x82"

/* Grows one array of the profile by an element and returns it. */
#define SAMPLE_PUSH(s, field)                                                                      \
	(assert((s)->p.n_##field < (s)->room_##field), &(s)->field[(s)->p.n_##field++])

struct sample_profile {
	struct profile p;
	char **strings;
	struct profile_mapping *mappings;
	struct profile_function *functions;
	struct profile_line *lines;
	struct profile_location *locations;
	uint32_t *frames;
	struct profile_stack *stacks;
	struct profile_label *labels;
	struct profile_labelset *labelsets;
	struct profile_sample *samples;
	size_t room_strings, room_mappings, room_functions, room_lines, room_locations, room_frames,
		room_stacks, room_labels, room_labelsets, room_samples;
	uint32_t seed;
};

static inline uint32_t sample_random(struct sample_profile *s, uint32_t below)
{
	s->seed = s->seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)s->seed * below) >> 32);
}

static inline uint32_t sample_string(struct sample_profile *s, const char *text)
{
	for (size_t i = 0; i < s->p.n_strings; i++)
		if (!strcmp(s->strings[i], text))
			return (uint32_t)i;
	*SAMPLE_PUSH(s, strings) = strdup(text);
	return (uint32_t)s->p.n_strings - 1;
}

static inline struct sample_profile *sample_profile_empty(size_t room)
{
	static const char *const comments[] = {
		"attributed: 97.0 %", "hook: tp_btf/sock_recv_length <b>&", "lost samples: 0"};
	struct sample_profile *s = calloc(1, sizeof(*s));

#define ROOM(field, n)                                                                             \
	do {                                                                                       \
		s->room_##field = (n);                                                             \
		s->field = calloc((n), sizeof(*s->field));                                         \
		assert(s->field);                                                                  \
		s->p.field = (const void *)s->field;                                               \
	} while (0)
	assert(s);
	ROOM(strings, room);
	ROOM(mappings, 16);
	ROOM(functions, room);
	ROOM(lines, room);
	ROOM(locations, room);
	ROOM(frames, room * 32);
	ROOM(stacks, room);
	ROOM(labels, room * 8);
	ROOM(labelsets, room);
	ROOM(samples, room * 2);
#undef ROOM
	s->seed = 42;
	sample_string(s, "");
	s->p.period_ns = SAMPLE_PERIOD_NS;
	s->p.time_ns = 1763800000000000000ull;
	s->p.duration_ns = 30000000000ull;
	s->p.command = "redis-server (pid 42), mysqld (pid 43)";
	s->p.comments = comments;
	s->p.n_comments = 3;
	return s;
}

static inline void sample_profile_free(struct sample_profile *s)
{
	for (size_t i = 0; i < s->p.n_strings; i++)
		free(s->strings[i]);
	free(s->strings);
	free(s->mappings);
	free(s->functions);
	free(s->lines);
	free(s->locations);
	free(s->frames);
	free(s->stacks);
	free(s->labels);
	free(s->labelsets);
	free(s->samples);
	free(s);
}

static inline uint32_t sample_mapping(struct sample_profile *s, const char *file, uint64_t start)
{
	struct profile_mapping *m = SAMPLE_PUSH(s, mappings);
	char build_id[32];

	/* pprof takes mappings of one build id, size and offset for the same one. */
	snprintf(build_id, sizeof(build_id), "0123456789abcd%02zx", s->p.n_mappings);

	m->start = start;
	m->limit = start + 0x10000000;
	m->offset = 0x1000;
	m->file = sample_string(s, file);
	m->build_id = sample_string(s, build_id);
	m->has_functions = 1;
	return (uint32_t)s->p.n_mappings - 1;
}

static inline uint32_t sample_function(struct sample_profile *s, const char *name, const char *file)
{
	struct profile_function *f = SAMPLE_PUSH(s, functions);

	f->name = sample_string(s, name);
	f->system_name = f->name;
	f->file = sample_string(s, file);
	return (uint32_t)s->p.n_functions - 1;
}

/* `inlined` may be NULL: the function inlined into `name` at this address. */
static inline uint32_t sample_location(struct sample_profile *s, uint32_t mapping, int kind,
				       const char *inlined, const char *name)
{
	struct profile_location *l = SAMPLE_PUSH(s, locations);
	const char *file = kind == PROFILE_USER ? "src/server.c" : "";

	l->mapping = mapping;
	l->kind = (uint8_t)kind;
	l->address =
		mapping == PROFILE_NONE ? 0 : s->mappings[mapping].start + 64 * s->p.n_locations;
	l->first_line = (uint32_t)s->p.n_lines;
	l->n_lines = inlined ? 2 : 1;
	if (inlined)
		*SAMPLE_PUSH(s, lines) =
			(struct profile_line){sample_function(s, inlined, "src/inline.h"), 7};
	*SAMPLE_PUSH(s, lines) =
		(struct profile_line){sample_function(s, name, file), file[0] ? 100 : 0};
	return (uint32_t)s->p.n_locations - 1;
}

/* Root first, as one reads; stored leaf first. */
static inline uint32_t sample_stack(struct sample_profile *s, const uint32_t *locations, uint32_t n)
{
	struct profile_stack *stack = SAMPLE_PUSH(s, stacks);

	stack->first = (uint32_t)s->p.n_frames;
	stack->count = n;
	while (n--)
		*SAMPLE_PUSH(s, frames) = locations[n];
	return (uint32_t)s->p.n_stacks - 1;
}

static inline void sample_label(struct sample_profile *s, const char *key, const char *value)
{
	*SAMPLE_PUSH(s, labels) = (struct profile_label){.key = sample_string(s, key),
							 .value = sample_string(s, value)};
	s->labelsets[s->p.n_labelsets - 1].count++;
}

static inline void sample_number(struct sample_profile *s, const char *key, int64_t number,
				 const char *unit)
{
	*SAMPLE_PUSH(s, labels) = (struct profile_label){
		.key = sample_string(s, key), .unit = sample_string(s, unit), .number = number};
	s->labelsets[s->p.n_labelsets - 1].count++;
}

static inline uint32_t sample_labelset(struct sample_profile *s)
{
	struct profile_labelset *set = SAMPLE_PUSH(s, labelsets);

	set->first = (uint32_t)s->p.n_labels;
	set->count = 0;
	return (uint32_t)s->p.n_labelsets - 1;
}

static inline void sample_add(struct sample_profile *s, uint32_t stack, uint32_t labelset,
			      uint64_t weight)
{
	*SAMPLE_PUSH(s, samples) = (struct profile_sample){stack, labelset, weight};
}

/* --- the ordinary sample --- */

/* A call path of one request: names from the root, `|` between; "k:" kernel, "m:" mark, "a@b" is b inlined into a. */
struct sample_path {
	const char *comm, *system, *operation, *summary, *phase, *path;
	unsigned int samples;
};

/* One path a line reads best. */
/* clang-format off */
static const struct sample_path sample_paths[] = {
	{"redis-server", "redis", "SORT", "SORT list:*", "execute", "_start|main|aeMain|aeProcessEvents|readQueryFromClient|processCommand|call|sortCommand|pqsort|sortCompare", 620},
	{"redis-server", "redis", "SORT", "SORT list:*", "execute", "_start|main|aeMain|aeProcessEvents|readQueryFromClient|processCommand|call|sortCommand|pqsort|_pqsort@swapfunc", 210},
	{"redis-server", "redis", "SORT", "SORT set:*", "execute", "_start|main|aeMain|aeProcessEvents|readQueryFromClient|processCommand|call|sortCommand|lookupKeyByPattern|dictFind@siphash", 95},
	{"redis-server", "redis", "ZRANGEBYSCORE", "ZRANGEBYSCORE board:*", "execute", "_start|main|aeMain|aeProcessEvents|readQueryFromClient|processCommand|call|zrangebyscoreCommand|genericZrangebyscoreCommand|zslFirstInRange", 74},
	{"redis-server", "redis", "GET", "GET user:*", "execute", "_start|main|aeMain|aeProcessEvents|readQueryFromClient|processCommand|call|getCommand|lookupKeyReadOrReply|dictFind@siphash", 38},
	{"redis-server", "redis", "GET", "GET user:*", "reply", "_start|main|aeMain|beforeSleep|handleClientsWithPendingWrites|writeToClient|__libc_write|k:entry_SYSCALL_64_after_hwframe|k:do_syscall_64|k:ksys_write|k:sock_write_iter|k:tcp_sendmsg|k:tcp_write_xmit|k:ip_finish_output2", 57},
	{"redis-server", "redis", "SET", "SET " HOSTILE_SCRIPT, "execute", "_start|main|aeMain|aeProcessEvents|readQueryFromClient|processCommand|call|setCommand|" HOSTILE_IMAGE "|" HOSTILE_SCRIPT "|" HOSTILE_QUOTES "|" HOSTILE_COMMENT, 23},
	{"redis-server", "", "", "", "", "_start|main|aeMain|aeProcessEvents|serverCron|databasesCron|activeExpireCycle", 22},
	{"redis-server", "", "", "", "idle", "_start|main|aeMain|aeProcessEvents|epoll_wait|k:entry_SYSCALL_64_after_hwframe|k:do_syscall_64|k:do_epoll_wait|k:schedule", 31},
	{"mysqld", "mysql", "SELECT", "SELECT orders customers", "execute", "clone|start_thread|handle_connection|do_command(THD*)|dispatch_command(THD*, COM_DATA const*, enum_server_command)|mysql_execute_command(THD*, bool)|Sql_cmd_dml::execute(THD*)|JOIN::exec()|sub_select(JOIN*, QEP_TAB*, bool)|evaluate_join_record(JOIN*, QEP_TAB*)|sub_select(JOIN*, QEP_TAB*, bool)|ha_innobase::index_read(unsigned char*)|row_search_mvcc(unsigned char*)@btr_cur_search_to_nth_level", 340},
	{"mysqld", "mysql", "SELECT", "SELECT orders customers", "execute", "clone|start_thread|handle_connection|do_command(THD*)|dispatch_command(THD*, COM_DATA const*, enum_server_command)|mysql_execute_command(THD*, bool)|Sql_cmd_dml::execute(THD*)|JOIN::exec()|end_send(JOIN*, QEP_TAB*, bool)|std::vector<Item*, std::allocator<Item*> >::_M_realloc_insert<Item* const&>(Item* const&)", 52},
	{"mysqld", "mysql", "INSERT", "INSERT orders", "execute", "clone|start_thread|handle_connection|do_command(THD*)|dispatch_command(THD*, COM_DATA const*, enum_server_command)|mysql_execute_command(THD*, bool)|ha_commit_trans|MYSQL_BIN_LOG::ordered_commit(THD*)|fdatasync|k:entry_SYSCALL_64_after_hwframe|k:do_syscall_64|k:ext4_sync_file", 88},
	{"mysqld", "mysql", HOSTILE_IMAGE, "", "execute", "m:[truncated]|row_search_mvcc(unsigned char*)|" HOSTILE_LINES "|" HOSTILE_BYTES, 9},
};
/* clang-format on */

/* The location of one element of a path: made at its first use. */
static inline uint32_t sample_path_location(struct sample_profile *s, char *name, uint32_t mapping)
{
	char *inlined = strchr(name, '@');
	int kind = !strncmp(name, "k:", 2)   ? PROFILE_KERNEL
		   : !strncmp(name, "m:", 2) ? PROFILE_MARK
					     : PROFILE_USER;

	if (inlined)
		*inlined++ = 0;
	if (kind != PROFILE_USER)
		name += 2;
	if (kind == PROFILE_KERNEL)
		mapping = 2;
	if (kind == PROFILE_MARK)
		mapping = PROFILE_NONE;
	for (size_t i = 0; i < s->p.n_locations; i++) {
		const struct profile_location *l = &s->locations[i];
		uint32_t outer = s->lines[l->first_line + l->n_lines - 1].function;

		if (l->mapping == mapping && l->n_lines == (inlined ? 2u : 1u) &&
		    !strcmp(s->strings[s->functions[outer].name], name))
			return (uint32_t)i;
	}
	return sample_location(s, mapping, kind, inlined, name);
}

static inline uint32_t sample_path_stack(struct sample_profile *s, const struct sample_path *path,
					 uint32_t drop)
{
	uint32_t mapping = !strcmp(path->comm, "mysqld"), locations[64], n = 0;
	char *copy = strdup(path->path), *rest = copy, *name;

	/* '|' separates, but HOSTILE_LINES ends in one so that it is not the last of its line. */
	while ((name = strsep(&rest, "|")))
		if (*name)
			locations[n++] = sample_path_location(s, name, mapping);
	free(copy);
	return sample_stack(s, locations, n - drop);
}

static inline uint32_t sample_path_labels(struct sample_profile *s, const struct sample_path *path,
					  const char *attribution, uint32_t thread)
{
	uint32_t set = sample_labelset(s);
	char name[32];

	if (*path->system)
		sample_label(s, "db_system_name", path->system);
	if (*path->operation)
		sample_label(s, "db_operation_name", path->operation);
	if (*path->summary)
		sample_label(s, "db_query_summary", path->summary);
	if (*path->phase)
		sample_label(s, "phase", path->phase);
	sample_label(s, "attribution", *path->operation ? attribution : "none");
	sample_label(s, "comm", path->comm);
	snprintf(name, sizeof(name), "%s-%u", path->comm, thread);
	sample_label(s, "thread", name);
	sample_number(s, "pid", !strcmp(path->comm, "mysqld") ? 43 : 42, "id");
	sample_number(s, "tid", thread, "id"); /* 0 too: it must survive */
	return set;
}

/* Three commands of one pipelined read share each sample of one stack. */
static inline void sample_pipeline(struct sample_profile *s)
{
	static const struct sample_path path = {
		"redis-server",
		"redis",
		"",
		"",
		"execute",
		"_start|main|aeMain|aeProcessEvents|readQueryFromClient|processInputBuffer",
		0};
	static const char *const commands[] = {"GET", "SET", "INCR"};
	uint32_t stack = sample_path_stack(s, &path, 0);

	for (int i = 0; i < 3; i++) {
		struct sample_path one = path;

		one.operation = commands[i];
		/* 41 samples, a third each; the last takes the remainder. */
		sample_add(s, stack, sample_path_labels(s, &one, "pipeline", 0),
			   i < 2 ? 41 * 333333 : 41 * 333334);
	}
}

static inline void sample_recursion(struct sample_profile *s)
{
	static const struct sample_path path = {
		"redis-server",
		"redis",
		"EVAL",
		"EVAL",
		"execute",
		"_start|main|aeMain|evalCommand|luaD_call|luaV_execute|luaD_call|luaV_execute|luaD_"
		"call|luaV_execute",
		0};
	uint32_t set = sample_path_labels(s, &path, "exact", 0);

	for (uint32_t drop = 0; drop < 5; drop++)
		sample_add(s, sample_path_stack(s, &path, drop), set, 5 * PROFILE_SAMPLE_WEIGHT);
}

static inline struct sample_profile *sample_profile_new(void)
{
	struct sample_profile *s = sample_profile_empty(2000);

	sample_mapping(s, "/usr/bin/redis-server", 0x400000);
	sample_mapping(s, "/usr/sbin/mysqld", 0x7f0000000000);
	sample_mapping(s, "[kernel.kallsyms]", 0xffffffff80000000);
	for (size_t i = 0; i < sizeof(sample_paths) / sizeof(sample_paths[0]); i++) {
		const struct sample_path *path = &sample_paths[i];
		uint32_t sets[2] = {sample_path_labels(s, path, "exact", 0),
				    sample_path_labels(s, path, "stack", 1)};

		/* Most samples at the leaf, the rest in its callers, over two threads. */
		for (uint32_t drop = 0; drop < 3; drop++) {
			uint32_t stack = sample_path_stack(s, path, drop),
				 share = path->samples >> (2 * drop);

			sample_add(s, stack, sets[0],
				   (uint64_t)(share - share / 4) * PROFILE_SAMPLE_WEIGHT);
			sample_add(s, stack, sets[1],
				   (uint64_t)(share / 4) * PROFILE_SAMPLE_WEIGHT);
		}
	}
	sample_pipeline(s);
	sample_recursion(s);
	return s;
}

static inline struct sample_profile *sample_profile_big(uint32_t n_stacks, uint32_t n_classes)
{
	struct sample_profile *s = sample_profile_empty(n_stacks + 20000);
	uint32_t locations[64];
	char name[80];

	sample_mapping(s, "/usr/sbin/mysqld", 0x400000);
	for (uint32_t i = 0; i < 4000; i++) {
		snprintf(name, sizeof(name), "%s_%u",
			 i % 3 ? "row_search_for_mysql" : "Item_func::evaluate", i);
		sample_location(s, 0, PROFILE_USER, NULL, name);
	}
	for (uint32_t i = 0; i < n_classes; i++) {
		sample_labelset(s);
		snprintf(name, sizeof(name), "SELECT table_%u", i);
		sample_label(s, "db_operation_name", i % 10 ? "SELECT" : "INSERT");
		sample_label(s, "db_query_summary", name);
		sample_label(s, "phase", i % 7 ? "execute" : "reply");
	}
	for (uint32_t i = 0; i < n_stacks; i++) {
		uint32_t depth = 20 + sample_random(s, 40);

		/* Near the root few choices, near the leaf many: like real stacks. */
		for (uint32_t d = 0; d < depth; d++)
			locations[d] =
				d * 60 + sample_random(s, d < 8 ? 1 + d / 4
								: 1 + sample_random(s, d / 2 + 1));
		sample_stack(s, locations, depth);
		for (uint32_t k = 0; k < 2; k++)
			sample_add(s, i, sample_random(s, n_classes),
				   (1 + sample_random(s, 4)) * PROFILE_SAMPLE_WEIGHT / 2);
	}
	return s;
}

#endif
