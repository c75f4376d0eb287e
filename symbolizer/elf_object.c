/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening an ELF object: the file is mapped, its headers are checked, and views into it are handed
 * to symbol_table.c and eh_frame.c.
 *
 * Headers are read here rather than through libelf: it takes a page of code, every access goes
 * through elf_image_bytes(), and nothing is allocated per section. Only 64-bit little-endian files
 * are read.
 *
 * The file is mapped, not copied: with 400 objects the difference is most of our memory. In
 * exchange its bytes may change at any time, so no check outlives the read that it was for, and the
 * mapping ends in a page of zeroes. A file that is truncated while mapped raises SIGBUS on access.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "elf_internal.h"
#include "go_pclntab.h"

/* Sections and segments that are looked at: generous (-ffunction-sections objects have 100 000). */
#define ELF_HEADERS_MAX (1u << 20)

bool elf_image_bytes(const struct elf_object *o, uint64_t offset, uint64_t size,
		     struct elf_bytes *out)
{
	if (offset > o->size || size > o->size - offset)
		return false;
	out->data = o->image + offset;
	out->size = size;
	return true;
}

static bool read_struct(const struct elf_object *o, uint64_t table, uint64_t i, size_t size,
			void *out)
{
	struct elf_bytes b;
	uint64_t offset;

	if (__builtin_add_overflow(table, i * size, &offset) ||
	    !elf_image_bytes(o, offset, size, &b))
		return false;
	memcpy(out, b.data, size);
	return true;
}

bool elf_phdr(const struct elf_object *o, uint32_t i, Elf64_Phdr *out)
{
	return i < o->n_phdr && read_struct(o, o->phoff, i, sizeof(*out), out);
}

bool elf_shdr(const struct elf_object *o, uint32_t i, Elf64_Shdr *out)
{
	return i < o->n_shdr && read_struct(o, o->shoff, i, sizeof(*out), out);
}

bool elf_section_bytes(const struct elf_object *o, const Elf64_Shdr *sh, struct elf_bytes *out)
{
	return sh->sh_type != SHT_NOBITS && !(sh->sh_flags & SHF_COMPRESSED) && sh->sh_size &&
	       elf_image_bytes(o, sh->sh_offset, sh->sh_size, out);
}

bool elf_section_by_type(const struct elf_object *o, uint32_t type, Elf64_Shdr *out)
{
	Elf64_Shdr sh;

	for (uint32_t i = 0; elf_shdr(o, i, &sh); i++) {
		if (sh.sh_type == type) {
			*out = sh;
			return true;
		}
	}
	return false;
}

bool elf_section_by_name(const struct elf_object *o, const char *name, Elf64_Shdr *out)
{
	Elf64_Shdr names, sh;
	struct elf_bytes b;
	size_t n = strlen(name) + 1;

	if (!elf_shdr(o, o->shstrndx, &names) || !elf_section_bytes(o, &names, &b))
		return false;
	for (uint32_t i = 0; elf_shdr(o, i, &sh); i++) {
		if (sh.sh_name < b.size && b.size - sh.sh_name >= n &&
		    memcmp(b.data + sh.sh_name, name, n) == 0) {
			*out = sh;
			return true;
		}
	}
	return false;
}

static bool phdr_is_sane(const struct elf_object *o, const Elf64_Phdr *ph)
{
	struct elf_bytes b;

	return ph->p_type == PT_LOAD && ph->p_filesz && ph->p_vaddr <= UINT64_MAX - ph->p_filesz &&
	       elf_image_bytes(o, ph->p_offset, ph->p_filesz, &b);
}

bool elf_phdr_is_text(const struct elf_object *o, const Elf64_Phdr *ph)
{
	return (ph->p_flags & PF_X) && phdr_is_sane(o, ph);
}

bool elf_vaddr_bytes(const struct elf_object *o, uint64_t vaddr, struct elf_bytes *out)
{
	Elf64_Phdr ph;

	for (uint32_t i = 0; elf_phdr(o, i, &ph); i++) {
		uint64_t skip = vaddr - ph.p_vaddr;

		if (phdr_is_sane(o, &ph) && vaddr >= ph.p_vaddr && skip < ph.p_filesz)
			return elf_image_bytes(o, ph.p_offset + skip, ph.p_filesz - skip, out);
	}
	return false;
}

/* Notes are {name size, description size, type, name, description}, the last two padded to 4 bytes.
 */
static bool note_build_id(struct elf_bytes notes, struct elf_bytes *out)
{
	const uint8_t *p = notes.data;
	size_t left = notes.size;
	Elf64_Nhdr nh;

	while (left >= sizeof(nh)) {
		uint64_t name, desc;

		memcpy(&nh, p, sizeof(nh));
		p += sizeof(nh);
		left -= sizeof(nh);
		name = ((uint64_t)nh.n_namesz + 3) & ~UINT64_C(3);
		desc = ((uint64_t)nh.n_descsz + 3) & ~UINT64_C(3);
		if (name > left || nh.n_descsz > left - name)
			return false;
		if (nh.n_type == NT_GNU_BUILD_ID && nh.n_namesz == 4 && memcmp(p, "GNU", 4) == 0 &&
		    nh.n_descsz > 0 && nh.n_descsz <= ELF_BUILD_ID_MAX) {
			out->data = p + name;
			out->size = nh.n_descsz;
			return true;
		}
		if (desc > left - name)
			return false;
		p += name + desc;
		left -= name + desc;
	}
	return false;
}

bool elf_build_id_text(struct elf_bytes id, char out[static 2 * ELF_BUILD_ID_MAX + 1])
{
	out[0] = '\0';
	if (id.size == 0 || id.size > ELF_BUILD_ID_MAX)
		return false;
	for (size_t i = 0; i < id.size; i++) {
		out[2 * i] = "0123456789abcdef"[id.data[i] >> 4];
		out[2 * i + 1] = "0123456789abcdef"[id.data[i] & 15];
	}
	out[2 * id.size] = '\0';
	return true;
}

/* In a note segment; or, in debug files and where segments are odd, in a note section. */
static void read_build_id(struct elf_object *o)
{
	struct elf_bytes notes, id = {0};
	Elf64_Phdr ph;
	Elf64_Shdr sh;

	for (uint32_t i = 0; !id.size && elf_phdr(o, i, &ph); i++)
		if (ph.p_type == PT_NOTE && elf_image_bytes(o, ph.p_offset, ph.p_filesz, &notes))
			note_build_id(notes, &id);
	for (uint32_t i = 0; !id.size && elf_shdr(o, i, &sh); i++)
		if (sh.sh_type == SHT_NOTE && elf_section_bytes(o, &sh, &notes))
			note_build_id(notes, &id);
	elf_build_id_text(id, o->build_id);
}

static uint32_t smaller(uint64_t a, uint64_t b)
{
	return (uint32_t)(a < b ? a : b);
}

static int read_headers(struct elf_object *o)
{
	Elf64_Ehdr eh;
	Elf64_Shdr first;

	if (!read_struct(o, 0, 0, sizeof(eh), &eh) || memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_ident[EI_DATA] != ELFDATA2LSB ||
	    (eh.e_type != ET_EXEC && eh.e_type != ET_DYN && eh.e_type != ET_REL))
		return -ENOEXEC;
	o->type = eh.e_type;
	o->machine = eh.e_machine;
	if (eh.e_phentsize == sizeof(Elf64_Phdr)) {
		o->phoff = eh.e_phoff;
		o->n_phdr = eh.e_phnum;
	}
	if (eh.e_shoff && eh.e_shentsize == sizeof(Elf64_Shdr)) {
		o->shoff = eh.e_shoff;
		o->n_shdr = eh.e_shnum;
		o->shstrndx = eh.e_shstrndx;
		/* More than 65 279 sections: the numbers are in the first section header. */
		if (read_struct(o, o->shoff, 0, sizeof(first), &first)) {
			if (eh.e_shnum == 0)
				o->n_shdr = smaller(first.sh_size, ELF_HEADERS_MAX);
			if (eh.e_shstrndx == SHN_XINDEX)
				o->shstrndx = first.sh_link;
			if (eh.e_phnum == PN_XNUM)
				o->n_phdr = smaller(first.sh_info, ELF_HEADERS_MAX);
		}
	}
	read_build_id(o);
	return 0;
}

/* Address space for the image and a page of zeroes after it; the image itself is not there yet. */
static int reserve_image(struct elf_object *o, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p;

	if (size == 0)
		return -ENOEXEC;
	if (size > SIZE_MAX / 2)
		return -EFBIG;
	o->mapped_bytes = (size + 2 * page - 1) & ~(page - 1);
	p = mmap(NULL, o->mapped_bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	o->image = p;
	o->size = size;
	return 0;
}

static int map_file(struct elf_object *o, int fd)
{
	struct stat st;
	int err;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	err = reserve_image(o, (size_t)st.st_size);
	if (err)
		return err;
	if (mmap((void *)o->image, o->size, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) ==
	    MAP_FAILED)
		return -errno;
	o->is_file = true;
	return 0;
}

static int copy_image(struct elf_object *o, const void *image, size_t size)
{
	int err = reserve_image(o, size);

	if (err)
		return err;
	assert(o->image);
	memcpy((void *)o->image, image, size);
	return 0;
}

/* From a descriptor, or from memory where image is given. */
static int open_object(int fd, const void *image, size_t size, const char *path, const char *root,
		       struct elf_object **out)
{
	struct elf_object *o = calloc(1, sizeof(*o));
	int err = -ENOMEM;

	if (!o)
		return err;
	o->path = strdup(path);
	o->root = strdup(root);
	if (!o->path || !o->root)
		goto out;
	err = image ? copy_image(o, image, size) : map_file(o, fd);
	if (!err)
		err = read_headers(o);
	if (!err) {
		*out = o;
		o = NULL;
	}
out:
	elf_object_free(o);
	return err;
}

int elf_object_open(int fd, const char *path, const char *root, struct elf_object **out)
{
	return open_object(fd, NULL, 0, path, root, out);
}

int elf_object_open_memory(const void *image, size_t size, const char *name,
			   struct elf_object **out)
{
	if (!image)
		return -ENOEXEC;
	return open_object(-1, image, size, name, "", out);
}

void elf_object_free(struct elf_object *o)
{
	if (!o)
		return;
	dwarf_lines_free(o->lines); /* it refers to the images */
	symbol_table_free(o->symbols);
	plt_free(o->plt);
	elf_object_free(o->debug);
	elf_object_free(o->alt);
	go_pclntab_free(o->go);
	if (o->image)
		munmap((void *)o->image, o->mapped_bytes);
	free(o->path);
	free(o->root);
	free(o);
}

const char *elf_object_path(const struct elf_object *o)
{
	return o->path;
}

const char *elf_object_name(const struct elf_object *o)
{
	const char *slash = strrchr(o->path, '/');

	return slash ? slash + 1 : o->path;
}

const char *elf_object_build_id(const struct elf_object *o)
{
	return o->build_id;
}

/*
 * Mappings are whole pages: an offset in the page before a segment's first byte (mapping offsets
 * are often such) counts as the segment's too, unless it lies in another one.
 */
bool elf_object_segment_at(const struct elf_object *o, uint64_t file_offset,
			   struct elf_segment *out)
{
	uint64_t in_page = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
	bool found = false;
	Elf64_Phdr ph;

	for (uint32_t i = 0; elf_phdr(o, i, &ph); i++) {
		bool inside = file_offset >= ph.p_offset;

		if (!elf_phdr_is_text(o, &ph) || file_offset < (ph.p_offset & ~in_page) ||
		    (inside && file_offset - ph.p_offset >= ph.p_filesz) || (found && !inside))
			continue;
		out->vaddr = ph.p_vaddr;
		out->offset = ph.p_offset;
		out->size = ph.p_filesz;
		found = true;
		if (inside)
			break;
	}
	return found;
}

bool elf_object_segment_of(const struct elf_object *o, uint64_t vaddr, struct elf_segment *out)
{
	Elf64_Phdr ph;

	for (uint32_t i = 0; elf_phdr(o, i, &ph); i++) {
		if (!elf_phdr_is_text(o, &ph) || vaddr < ph.p_vaddr || vaddr - ph.p_vaddr >= ph.p_filesz)
			continue;
		*out = (struct elf_segment){.vaddr = ph.p_vaddr, .offset = ph.p_offset, .size = ph.p_filesz};
		return true;
	}
	return false;
}

bool elf_object_text(const struct elf_object *o, uint64_t *start, uint64_t *end)
{
	uint64_t lowest = UINT64_MAX, highest = 0;
	Elf64_Phdr ph;

	for (uint32_t i = 0; elf_phdr(o, i, &ph); i++) {
		if (!elf_phdr_is_text(o, &ph))
			continue;
		if (ph.p_vaddr < lowest)
			lowest = ph.p_vaddr;
		if (ph.p_vaddr + ph.p_filesz > highest)
			highest = ph.p_vaddr + ph.p_filesz;
	}
	if (lowest >= highest)
		return false;
	*start = lowest;
	*end = highest;
	return true;
}

static const struct symbol_table *symbols_of(struct elf_object *o)
{
	if (!o->symbols_loaded) {
		elf_object_open_debug(o);
		o->symbols = symbol_table_new(o, o->debug);
		o->plt = plt_new(o, o->symbols);
	}
	o->symbols_loaded = true;
	return o->symbols;
}

bool elf_object_lacks_debug(const struct elf_object *o)
{
	return o->debug_opened && !o->debug;
}

void elf_object_look_again(struct elf_object *o)
{
	if (!elf_object_lacks_debug(o))
		return;
	dwarf_lines_free(o->lines);
	o->lines = NULL;
	symbol_table_free(o->symbols);
	o->symbols = NULL;
	plt_free(o->plt);
	o->plt = NULL;
	elf_object_free(o->alt);
	o->alt = NULL;
	o->symbols_loaded = o->debug_opened = o->lines_opened = o->has_lines = false;
}

static struct go_pclntab *go_of(struct elf_object *o)
{
	if (!o->go_loaded)
		go_pclntab_open(o, &o->go);
	o->go_loaded = true;
	return o->go;
}

bool elf_object_is_go(struct elf_object *o)
{
	return go_of(o) != NULL;
}

size_t elf_object_go_lines(struct elf_object *o, uint64_t vaddr, struct elf_line *out, size_t room)
{
	struct go_pclntab *g = go_of(o);

	return g ? go_pclntab_lines(g, vaddr, out, room) : 0;
}

bool elf_object_symbol(struct elf_object *o, uint64_t vaddr, struct elf_symbol *out)
{
	struct go_pclntab *g = go_of(o);
	const struct symbol_table *t;
	struct go_function f;

	/* Before the symbols: so a stripped program has the names that it has unstripped. */
	if (g && go_pclntab_function(g, vaddr, &f)) {
		*out = (struct elf_symbol){.vaddr = f.start, .size = f.end - f.start, .name = f.name};
		return true;
	}
	t = symbols_of(o);
	return (t && symbol_table_find(t, vaddr, out)) || (o->plt && plt_find(o->plt, vaddr, out));
}

bool elf_object_has_symbol(struct elf_object *o, const char *name)
{
	const struct symbol_table *t = symbols_of(o);

	return t && symbol_table_has(t, name);
}

bool elf_object_has_symbols(struct elf_object *o)
{
	return symbols_of(o) != NULL || go_of(o) != NULL;
}

void elf_object_forget_pages(const struct elf_object *o)
{
	if (o->is_file)
		madvise((void *)o->image, o->size, MADV_DONTNEED);
}
