/* SPDX-License-Identifier: Apache-2.0 */
/* See conversation.h. */
#include <assert.h>
#include <bpf/bpf_helpers.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conversation.h"

long bpf_probe_read_user(void *to, __u32 size, const void *address)
{
	memmove(to, address, size); /* what is not mapped crashes */
	return 0;
}

long bpf_probe_read_kernel(void *to, __u32 size, const void *address)
{
	return bpf_probe_read_user(to, size, address);
}

long bpf_loop(__u32 n, long (*function)(__u32, void *), void *context, __u64 flags)
{
	(void)flags;
	for (__u32 i = 0; i < n; i++)
		if (function(i, context))
			return i + 1;
	return n;
}

__u64 bpf_jiffies64(void)
{
	return 0;
}

__u64 bpf_ktime_get_ns(void)
{
	static __u64 now_ns;

	return ++now_ns;
}

__u64 bpf_get_current_pid_tgid(void)
{
	return 42;
}

long bpf_ringbuf_output(void *map, void *data, __u64 size, __u64 flags)
{
	(void)map, (void)data, (void)size, (void)flags;
	return 0;
}

uint32_t next_random(uint32_t below)
{
	static uint64_t state = 42;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % below;
}

static void *read_all(const char *directory, const char *name, const char *suffix, size_t *size)
{
	char path[1024], *bytes;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.%s", directory, name, suffix);
	f = fopen(path, "rb");
	assert(f && !fseek(f, 0, SEEK_END));
	*size = ftell(f);
	rewind(f);
	bytes = calloc(1, *size + 1);
	assert(bytes && fread(bytes, 1, *size, f) == *size);
	fclose(f);
	return bytes;
}

static void conversation_read(struct conversation *c, const char *directory, const char *name, const char *suffix)
{
	size_t size;

	memset(c, 0, sizeof(*c));
	snprintf(c->name, sizeof(c->name), "%s", name);
	c->bytes = read_all(directory, name, suffix, &c->size);
	c->text = read_all(directory, name, "txt", &size);
	for (char *line = strtok(c->text, "\n"); line; line = strtok(NULL, "\n")) {
		assert(c->n_lines < CONVERSATION_LINES);
		c->lines[c->n_lines++] = line;
	}
}

int conversations(const char *directory, const char *suffix, void (*replay)(struct conversation *c))
{
	static struct conversation c;
	struct dirent **list;
	int n = scandir(directory, &list, NULL, alphasort), found = 0;

	assert(n > 0);
	for (int i = 0; i < n; i++) {
		char *dot = strchr(list[i]->d_name, '.');

		if (dot && !strcmp(dot + 1, suffix)) {
			*dot = '\0';
			conversation_read(&c, directory, list[i]->d_name, suffix);
			replay(&c);
			free(c.bytes);
			free(c.text);
			found++;
		}
		free(list[i]);
	}
	free(list);
	assert(found);
	return found;
}
