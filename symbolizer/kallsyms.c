/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's own symbol table, one line a symbol:
 *
 *	ffffffff81000000 T _stext
 *	ffffffffc0a1b2c0 t nft_do_chain	[nf_tables]
 *	ffffffffc0201234 t bpf_prog_6deef7357e7b4530_sd_fw_egress	[bpf]
 *
 * Functions are kept, twelve bytes each and their names in one pool: 4.8 MB for a table of 122 000
 * lines. In the pool a name is preceded by its module's number, in two bytes, as there are few
 * modules, and by its type.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kallsyms.h"

#define LINE_MAX_BYTES   1024         /* KSYM_NAME_LEN is 512 */
#define POOL_MAX         (256u << 20) /* names: ten times any kernel's */
#define MODULES_MAX      65535
#define MODULE_NAME_SIZE 64 /* the kernel's MODULE_NAME_LEN, on 64 bits 56 */

struct __attribute__((packed, aligned(4))) kernel_entry {
	uint64_t address;
	uint32_t name; /* offset in the pool */
};

struct kallsyms {
	struct kernel_entry *entries;
	size_t n, capacity;
	char *pool;
	size_t pool_bytes, pool_capacity;
	char (*modules)[MODULE_NAME_SIZE]; /* [0] is "" */
	size_t n_modules, modules_capacity;
};

/* One line, parsed. */
struct line {
	uint64_t address;
	char type;
	const char *name;
	char module[MODULE_NAME_SIZE];
};

/* Room for `extra` more of `size` bytes. Returns 0 or -ENOMEM, the array as it was. */
static int grow(void *array, size_t *capacity, size_t n, size_t extra, size_t size)
{
	size_t wanted = *capacity ? *capacity : 64;
	void *p;

	if (extra <= *capacity - n)
		return 0;
	while (wanted - n < extra)
		wanted *= 2;
	p = realloc(*(void **)array, wanted * size);
	if (!p)
		return -ENOMEM;
	*(void **)array = p;
	*capacity = wanted;
	return 0;
}

/* Strict, unlike strtoull: digits only, at most 16. Returns what follows them, or NULL. */
static char *parse_address(char *text, uint64_t *out)
{
	size_t n = strspn(text, "0123456789abcdef");

	*out = 0;
	if (n == 0 || n > 16)
		return NULL;
	for (size_t i = 0; i < n; i++)
		*out = *out << 4 | (uint64_t)(text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
	return text + n;
}

/* "ADDRESS TYPE NAME[\t[MODULE]]\n". Cuts the line into strings. */
static bool parse_line(char *text, struct line *l)
{
	char *end = parse_address(text, &l->address), *tail;
	size_t n;

	if (!end || end[0] != ' ' || end[1] == '\0' || end[2] != ' ')
		return false;
	l->type = end[1];
	l->name = end + 3;
	n = strcspn(l->name, " \t\n");
	tail = end + 3 + n;
	if (n == 0)
		return false;
	l->module[0] = '\0';
	if (*tail) {
		char *open = strchr(tail, '['), *close = open ? strchr(open, ']') : NULL;

		if (close && (size_t)(close - open - 1) < sizeof(l->module)) {
			memcpy(l->module, open + 1, (size_t)(close - open - 1));
			l->module[close - open - 1] = '\0';
		}
		*tail = '\0';
	}
	return true;
}

/* Neighbours share modules, so the last one is tried first. Returns the number or -errno. */
static int module_number(struct kallsyms *k, const char *name)
{
	int err;

	for (size_t i = k->n_modules; i-- > 0;)
		if (strcmp(k->modules[i], name) == 0)
			return (int)i;
	if (k->n_modules >= MODULES_MAX)
		return 0;
	err = grow(&k->modules, &k->modules_capacity, k->n_modules, 1, sizeof(*k->modules));
	if (err)
		return err;
	snprintf(k->modules[k->n_modules], sizeof(*k->modules), "%s", name);
	return (int)k->n_modules++;
}

/* The pool's entry: two bytes of module number, the type (it ranks aliases), the name. */
static int add_symbol(struct kallsyms *k, const struct line *l)
{
	size_t n = strlen(l->name) + 1;
	int module = module_number(k, l->module);
	char *p;

	if (module < 0)
		return module;
	if (k->pool_bytes + n + 3 > POOL_MAX)
		return 0;
	if (grow(&k->entries, &k->capacity, k->n, 1, sizeof(*k->entries)) ||
	    grow(&k->pool, &k->pool_capacity, k->pool_bytes, n + 3, 1))
		return -ENOMEM;
	assert(k->pool);
	p = k->pool + k->pool_bytes;
	p[0] = (char)(module & 0xff);
	p[1] = (char)(module >> 8);
	p[2] = l->type;
	memcpy(p + 3, l->name, n);
	k->entries[k->n].address = l->address;
	k->entries[k->n++].name = (uint32_t)(k->pool_bytes + 3);
	k->pool_bytes += n + 3;
	return 0;
}

/* Weak names are usually aliases of global ones. */
static int rank(char type)
{
	return type == 'T' ? 0 : type == 't' ? 1 : 2;
}

static int compare(const void *pa, const void *pb, void *pool)
{
	const struct kernel_entry *a = pa, *b = pb;
	const char *names = pool;
	int d;

	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	d = rank(names[a->name - 1]) - rank(names[b->name - 1]);
	return d ? d : strcmp(names + a->name, names + b->name);
}

/* Sorted, one name an address, no slack. */
static void finish(struct kallsyms *k)
{
	size_t n = 0;
	void *p;

	assert(k->entries); /* there is no kallsyms without symbols */
	qsort_r(k->entries, k->n, sizeof(*k->entries), compare, k->pool);
	for (size_t i = 0; i < k->n; i++)
		if (n == 0 || k->entries[n - 1].address != k->entries[i].address)
			k->entries[n++] = k->entries[i];
	k->n = n;
	p = realloc(k->entries, k->n * sizeof(*k->entries));
	if (p)
		k->entries = p;
	p = realloc(k->pool, k->pool_bytes);
	if (p)
		k->pool = p;
}

static int read_lines(struct kallsyms *k, FILE *f)
{
	char text[LINE_MAX_BYTES];
	bool in_long_line = false, hidden = false;
	int err = module_number(k, "");

	while (err >= 0 && fgets(text, sizeof(text), f)) {
		bool whole = strchr(text, '\n') || feof(f), skip = in_long_line || !whole;
		struct line l;

		in_long_line = !whole;
		if (skip || !parse_line(text, &l) || !strchr("tTwW", l.type))
			continue;
		if (l.address == 0)
			hidden = true;
		else
			err = add_symbol(k, &l);
	}
	if (err >= 0 && ferror(f))
		err = -EIO;
	if (err >= 0 && k->n == 0)
		err = hidden ? -EPERM : -ENODATA;
	return err < 0 ? err : 0;
}

int kallsyms_open(const char *path, struct kallsyms **out)
{
	struct kallsyms *k = calloc(1, sizeof(*k));
	FILE *f = fopen(path, "re");
	int err = f ? -ENOMEM : -errno;

	if (k && f)
		err = read_lines(k, f);
	if (f)
		fclose(f);
	if (err || !k) {
		kallsyms_free(k);
		return err;
	}
	finish(k);
	*out = k;
	return 0;
}

void kallsyms_free(struct kallsyms *k)
{
	if (!k)
		return;
	free(k->entries);
	free(k->pool);
	free(k->modules);
	free(k);
}

bool kallsyms_find(const struct kallsyms *k, uint64_t address, struct kernel_symbol *out)
{
	size_t low = 0, high = k ? k->n : 0;
	const char *name;

	while (low < high) { /* the entries before low are at or below the address */
		size_t middle = low + (high - low) / 2;

		if (k->entries[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return false;
	name = k->pool + k->entries[low - 1].name;
	out->address = k->entries[low - 1].address;
	out->name = name;
	out->module = k->modules[(uint8_t)name[-3] | (uint8_t)name[-2] << 8];
	return true;
}
