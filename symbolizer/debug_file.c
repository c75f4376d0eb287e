/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the separate debug file of a stripped object, as gdb does (its manual, "Debugging
 * Information in Separate Files"):
 *
 *	by build-id	/usr/lib/debug/.build-id/ab/cdef0123.debug
 *	by debuglink	DIR/NAME, DIR/.debug/NAME, /usr/lib/debug/DIR/NAME; DIR is the object's
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
#include "elf_internal.h"

#define DEBUG_DIR "/usr/lib/debug"

/* Who the debug file must be. */
struct debug_link {
	const char *name; /* NULL: the object has no .gnu_debuglink */
	uint32_t crc;
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

static bool is_debug_file_of(const struct elf_object *o, const struct elf_object *candidate,
			     const struct debug_link *link)
{
	Elf64_Shdr sh;

	if (!elf_section_by_type(candidate, SHT_SYMTAB, &sh))
		return false;
	if (*o->build_id)
		return strcmp(o->build_id, candidate->build_id) == 0;
	return link && crc32_z(0, candidate->image, candidate->size) == link->crc;
}

/* Below the process's root, then below ours. */
static bool try_path(const struct elf_object *o, const struct debug_link *link, const char *path,
		     struct elf_object **out)
{
	const char *roots[] = {o->root, ""};

	for (int i = *o->root ? 0 : 1; i < 2; i++) {
		struct elf_object *candidate;
		int fd = open_below(roots[i], path), err;

		if (fd < 0)
			continue;
		err = elf_object_open(fd, path, roots[i], &candidate);
		close(fd);
		if (err)
			continue;
		if (is_debug_file_of(o, candidate, link)) {
			*out = candidate;
			return true;
		}
		elf_object_free(candidate);
	}
	return false;
}

static bool by_build_id(const struct elf_object *o, struct elf_object **out)
{
	char path[sizeof(DEBUG_DIR) + sizeof(o->build_id) + 32];

	if (strlen(o->build_id) < 4)
		return false;
	snprintf(path, sizeof(path), DEBUG_DIR "/.build-id/%.2s/%s.debug", o->build_id,
		 o->build_id + 2);
	return try_path(o, NULL, path, out);
}

/* .gnu_debuglink: a file name, NUL, padding to 4 bytes, CRC. */
static bool read_debug_link(const struct elf_object *o, struct debug_link *link)
{
	struct elf_bytes b;
	Elf64_Shdr sh;
	size_t n;

	if (!elf_section_by_name(o, ".gnu_debuglink", &sh) || !elf_section_bytes(o, &sh, &b))
		return false;
	n = strnlen((const char *)b.data, b.size);
	if (n == 0 || n > NAME_MAX || memchr(b.data, '/', n) ||
	    b.size < ((n + 4) & ~(size_t)3) + sizeof(link->crc))
		return false;
	link->name = (const char *)b.data;
	memcpy(&link->crc, b.data + ((n + 4) & ~(size_t)3), sizeof(link->crc));
	return true;
}

static bool by_debug_link(const struct elf_object *o, struct elf_object **out)
{
	static const char *const places[][2] = {
		{"", ""},
		{"", "/.debug"},
		{DEBUG_DIR, ""},
	};
	const char *slash = strrchr(o->path, '/');
	struct debug_link link;
	char path[PATH_MAX];

	if (!slash || o->path[0] != '/' || !read_debug_link(o, &link))
		return false;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int n = snprintf(path, sizeof(path), "%s%.*s%s/%.*s", places[i][0],
				 (int)(slash - o->path), o->path, places[i][1], NAME_MAX,
				 link.name);

		if (n > 0 && (size_t)n < sizeof(path) && try_path(o, &link, path, out))
			return true;
	}
	return false;
}

int debug_file_open(const struct elf_object *o, struct elf_object **out)
{
	return by_build_id(o, out) || by_debug_link(o, out) ? 0 : -ENOENT;
}
