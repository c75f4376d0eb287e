/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the separate debug file of a stripped object, as gdb does (its manual, "Debugging
 * Information in Separate Files"):
 *
 *	by build-id	/usr/lib/debug/.build-id/ab/cdef0123.debug
 *	by debuglink	DIR/NAME, DIR/.debug/NAME, /usr/lib/debug/DIR/NAME; DIR is the object's
 *
 *	from a debuginfod server, where the user named some; it comes later (debuginfod.h)
 *
 * each below the process's root, then below ours. The wrong file would give wrong names, so the
 * identity is verified: equal build-ids, or, where the object has none, the debuglink's CRC of the
 * whole file.
 *
 * The process's root is not ours: its symbolic links are resolved inside it (openat2), and what is
 * opened may be a device or a FIFO: never block, take regular files only.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zlib.h>
#include "debuginfod.h"
#include "elf_internal.h"

#define DEBUG_DIR "/usr/lib/debug"

/* Who a debug file must be, and whose it is. */
struct wanted {
	const struct elf_object *o;
	const char *build_id; /* "": none, go by the CRC */
	uint32_t crc;
	bool has_crc;
	bool any_content; /* neither symbols nor units are needed */
};

static int open_below(const char *root, const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY};
	int dir, fd;

	if (!*root)
		return open(path, (int)how.flags);
	dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -1;
	how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
	fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
	close(dir);
	return fd;
}

static bool is_wanted(const struct elf_object *candidate, const struct wanted *w)
{
	Elf64_Shdr sh;

	if (!elf_section_by_type(candidate, SHT_SYMTAB, &sh) && !elf_has_dwarf(candidate) &&
	    !w->any_content)
		return false;
	if (*w->build_id)
		return strcmp(w->build_id, candidate->build_id) == 0;
	return w->has_crc && crc32_z(0, candidate->image, candidate->size) == w->crc;
}

/* Below the process's root, then below ours. */
static bool try_path(const struct wanted *w, const char *path, struct elf_object **out)
{
	const char *roots[] = {w->o->root, ""};

	for (int i = *w->o->root ? 0 : 1; i < 2; i++) {
		struct elf_object *candidate;
		int fd = open_below(roots[i], path), err;

		if (fd < 0)
			continue;
		err = elf_object_open(fd, path, roots[i], &candidate);
		close(fd);
		if (err)
			continue;
		if (is_wanted(candidate, w)) {
			*out = candidate;
			return true;
		}
		elf_object_free(candidate);
	}
	return false;
}

static bool by_build_id(const struct wanted *w, struct elf_object **out)
{
	char path[sizeof(DEBUG_DIR) + sizeof(w->o->build_id) + 32];

	if (strlen(w->build_id) < 4)
		return false;
	snprintf(path, sizeof(path), DEBUG_DIR "/.build-id/%.2s/%s.debug", w->build_id,
		 w->build_id + 2);
	return try_path(w, path, out);
}

/*
 * What .gnu_debuglink and .gnu_debugaltlink start with: a file name, NUL. NULL if they do not.
 * *rest is what follows.
 */
static const char *link_name(const struct elf_object *o, const char *section,
			     struct elf_bytes *rest)
{
	struct elf_bytes b;
	Elf64_Shdr sh;
	size_t n;

	if (!elf_section_by_name(o, section, &sh) || !elf_section_bytes(o, &sh, &b))
		return NULL;
	n = strnlen((const char *)b.data, b.size);
	if (n == 0 || n == b.size || n >= PATH_MAX)
		return NULL;
	*rest = (struct elf_bytes){b.data + n + 1, b.size - n - 1};
	return (const char *)b.data;
}

/* The name is a file's, without a directory; the CRC follows at the next multiple of 4 bytes. */
static const char *read_debug_link(const struct elf_object *o, uint32_t *crc)
{
	struct elf_bytes rest;
	const char *name = link_name(o, ".gnu_debuglink", &rest);
	size_t padding;

	if (!name || strlen(name) > NAME_MAX || strchr(name, '/'))
		return NULL;
	padding = -(strlen(name) + 1) & 3;
	if (rest.size < padding + sizeof(*crc))
		return NULL;
	memcpy(crc, rest.data + padding, sizeof(*crc));
	return name;
}

static bool try_name(const struct wanted *w, const char *base, const char *directory,
		     const char *name, struct elf_object **out)
{
	const char *slash = strrchr(w->o->path, '/');
	char path[PATH_MAX];
	int n;

	if (!slash || w->o->path[0] != '/')
		return false;
	n = snprintf(path, sizeof(path), "%s%.*s%s/%.*s", base, (int)(slash - w->o->path), w->o->path,
		     directory, PATH_MAX, name);
	return n > 0 && (size_t)n < sizeof(path) && try_path(w, path, out);
}

static bool by_debug_link(struct wanted *w, struct elf_object **out)
{
	const char *name = read_debug_link(w->o, &w->crc);

	if (!name)
		return false;
	w->has_crc = true;
	return try_name(w, "", "", name, out) || try_name(w, "", "/.debug", name, out) ||
	       try_name(w, DEBUG_DIR, "", name, out);
}

static bool by_debuginfod(const struct wanted *w, struct elf_object **out)
{
	char path[PATH_MAX];

	return debuginfod_get(w->build_id, path) == 0 && try_path(w, path, out);
}

int debug_file_open(const struct elf_object *o, struct elf_object **out)
{
	struct wanted w = {.o = o, .build_id = o->build_id};

	return by_build_id(&w, out) || by_debug_link(&w, out) || by_debuginfod(&w, out) ? 0 : -ENOENT;
}

int debug_alt_open(const struct elf_object *o, struct elf_object **out)
{
	struct wanted w = {.o = o, .any_content = true};
	char build_id[sizeof(o->build_id)];
	struct elf_bytes id;
	const char *name = link_name(o, ".gnu_debugaltlink", &id);

	*out = NULL;
	if (!name)
		return 0;
	if (!elf_build_id_text(id, build_id))
		return -ENOENT;
	w.build_id = build_id;
	if (by_build_id(&w, out))
		return 0;
	if (name[0] == '/' ? try_path(&w, name, out) : try_name(&w, "", "", name, out))
		return 0;
	return -ENOENT;
}
