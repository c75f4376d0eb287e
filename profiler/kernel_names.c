/* SPDX-License-Identifier: Apache-2.0 */
/* See kernel_names.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "clock.h"
#include "kernel_names.h"
#include "message.h"
#include "processes.h"

#define CHECK_EVERY_NS 100000000ull
#define READ_EVERY_NS  1000000000ull /* some 50 ms of CPU each */
/*
 * kallsyms has no sizes. No function is this long: an address farther behind its symbol lies in something
 * else. (In the kernel's own text the largest gap, between sections, is just above 1 MiB.)
 */
#define FUNCTION_MAX (2u << 20)

/* FNV-1a over name, size and address of each module; the other fields of /proc/modules are use counts. */
static uint64_t hash_modules(const char *path)
{
	uint64_t hash = 0xcbf29ce484222325u;
	char line[1024], name[64], size[32], address[32];
	FILE *f = fopen(path, "re");

	if (!f)
		return 0; /* a kernel without modules */
	while (fgets(line, sizeof(line), f)) {
		char text[160];

		if (sscanf(line, "%63s %31s %*s %*s %*s %31s", name, size, address) != 3)
			continue;
		snprintf(text, sizeof(text), "%s %s %s\n", name, size, address);
		for (const char *p = text; *p; p++)
			hash = (hash ^ (unsigned char)*p) * 0x100000001b3u;
	}
	fclose(f);
	return hash;
}

static void read_tables(struct kernel_names *n)
{
	struct kallsyms *now;
	int err;

	n->read_ns = monotonic_ns();
	n->doubtful = false;
	n->modules = hash_modules(n->modules_path); /* before: what changes from here on is noticed */
	err = kallsyms_open(n->kallsyms_path, &now);
	if (err) {
		if (!n->hidden)
			message_warn("kernel functions will have no names: %s: %s%s", n->kallsyms_path,
				     strerror(-err),
				     err == -EPERM ? " (needs CAP_SYSLOG, and kernel.kptr_restrict below 2)" : "");
		n->hidden = true;
		return;
	}
	kallsyms_free(n->kallsyms);
	n->kallsyms = now;
}

void kernel_names_open(struct kernel_names *n, bool told)
{
	*n = (struct kernel_names){
		.kallsyms_path = "/proc/kallsyms",
		.modules_path = "/proc/modules",
		.ksymbols = ksymbols_new(),
		.told = told,
	};
	read_tables(n);
}

void kernel_names_close(struct kernel_names *n)
{
	if (ksymbols_dropped(n->ksymbols))
		message_verbose("%llu BPF programs were not named: more than %d at a time",
				(unsigned long long)ksymbols_dropped(n->ksymbols), KSYMBOLS_MAX);
	kallsyms_free(n->kallsyms);
	ksymbols_free(n->ksymbols);
	n->kallsyms = NULL;
	n->ksymbols = NULL;
}

void kernel_names_code(struct kernel_names *n, const struct kernel_code *code)
{
	if (!n->ksymbols)
		return;
	if (code->removed)
		ksymbols_remove(n->ksymbols, code->address, code->time_ns);
	else
		ksymbols_add(n->ksymbols, code->address, code->size, code->time_ns, code->name,
			     code->bpf ? "bpf" : "");
}

void kernel_names_lost(struct kernel_names *n)
{
	n->doubtful = true;
}

uint32_t kernel_names_owner(const struct kernel_names *n, uint64_t address, uint64_t time_ns)
{
	return ksymbols_find(n->ksymbols, address, time_ns);
}

/* Modules, BPF programs that were there before us, and nothing that is known. */
static bool may_have_changed(const struct kernel_symbol *s, uint64_t address, bool found)
{
	return !found || *s->module || address - s->address >= FUNCTION_MAX;
}

static bool has_changed(struct kernel_names *n)
{
	uint64_t now = monotonic_ns();

	if (n->hidden || now - n->read_ns < READ_EVERY_NS || now - n->checked_ns < CHECK_EVERY_NS)
		return false;
	n->checked_ns = now;
	return !n->told || n->doubtful || hash_modules(n->modules_path) != n->modules;
}

bool kernel_names_find(struct kernel_names *n, uint64_t address, uint32_t owner, struct kernel_symbol *out)
{
	bool found;

	if (owner)
		return ksymbols_get(n->ksymbols, owner, out);
	found = kallsyms_find(n->kallsyms, address, out);
	if (may_have_changed(out, address, found) && has_changed(n)) {
		read_tables(n);
		found = kallsyms_find(n->kallsyms, address, out);
	}
	return found && address - out->address < FUNCTION_MAX;
}
