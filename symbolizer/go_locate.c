/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a Go program has its tables.
 *
 * The header of the pclntab is in a section of that name; in a file without section headers it is
 * searched for by its magic, but only in files that are Go's by some cheaper sign: a search reads
 * the file, and a profiler opens hundreds of large ones that are not.
 *
 * The module's record (runtime.firstmoduledata) has no name in a stripped file. It begins with
 * pointers to the header and to the names: two words that no other place has in a row. In a
 * position-independent program that another linker made, these words are in relocations.
 */
#include "go_internal.h"

/* Words of the data, and relocations, that are looked at: 1 GiB of each. */
#define WORDS_MAX  (1u << 27)
#define RELOCS_MAX (1u << 25)
/* Where .go.buildinfo can be from the beginning of a data segment. */
#define BUILDINFO_WITHIN 65536

/* Notes of Go's are {4, size, 4, "Go\0\0", build id}. */
static bool has_note(const struct elf_object *o)
{
	struct elf_bytes b;
	Elf64_Phdr ph;

	for (uint32_t i = 0; elf_phdr(o, i, &ph); i++)
		if (ph.p_type == PT_NOTE && elf_image_bytes(o, ph.p_offset, ph.p_filesz, &b) &&
		    memmem(b.data, b.size, "\4\0\0\0Go\0\0", 8))
			return true;
	return false;
}

static bool segment_bytes(const struct elf_object *o, const Elf64_Phdr *ph, struct elf_bytes *out)
{
	return ph->p_type == PT_LOAD && ph->p_filesz &&
	       elf_image_bytes(o, ph->p_offset, ph->p_filesz, out);
}

static bool has_buildinfo(const struct elf_object *o)
{
	struct elf_bytes b;
	Elf64_Phdr ph;

	for (uint32_t i = 0; elf_phdr(o, i, &ph); i++)
		if ((ph.p_flags & PF_W) && segment_bytes(o, &ph, &b) &&
		    memmem(b.data, b.size < BUILDINFO_WITHIN ? b.size : BUILDINFO_WITHIN,
			   "\xff Go buildinf:", 14))
			return true;
	return false;
}

static bool search(struct go_pclntab *g)
{
	struct elf_bytes b;
	Elf64_Phdr ph;

	for (uint32_t i = 0; elf_phdr(g->o, i, &ph); i++) {
		if ((ph.p_flags & PF_X) || !segment_bytes(g->o, &ph, &b))
			continue;
		for (uint64_t at = -ph.p_vaddr & 7; at < b.size; at += 8) {
			g->all = (struct elf_bytes){.data = b.data + at, .size = b.size - at};
			g->vaddr = ph.p_vaddr + at;
			if (go_read_parts(g))
				return true;
		}
	}
	return false;
}

bool go_locate(struct go_pclntab *g)
{
	static const char *const names[] = {".gopclntab", ".data.rel.ro.gopclntab"};
	Elf64_Shdr sh;

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!elf_section_by_name(g->o, names[i], &sh) ||
		    !elf_section_bytes(g->o, &sh, &g->all))
			continue;
		g->vaddr = sh.sh_addr;
		if (go_read_parts(g))
			return true;
	}
	return (has_note(g->o) || has_buildinfo(g->o)) && search(g);
}

/* --- the module's record --- */

static bool module_in_data(const struct elf_object *o, uint64_t header, uint64_t names,
			   struct go_module *out)
{
	struct elf_bytes b;
	Elf64_Phdr ph;

	for (uint32_t i = 0; elf_phdr(o, i, &ph); i++) {
		uint64_t word, at = -ph.p_vaddr & 7;

		if (!(ph.p_flags & PF_W) || !segment_bytes(o, &ph, &b))
			continue;
		for (uint32_t n = 0; n < WORDS_MAX && go_u64(b, at, &word); n++, at += 8) {
			if (word != header || !go_u64(b, at + 8, &word) || word != names ||
			    b.size - at < sizeof(*out))
				continue;
			memcpy(out, b.data + at, sizeof(*out));
			return true;
		}
	}
	return false;
}

/* The dynamic section says where relocations are, with or without section headers. */
static bool relocations(const struct elf_object *o, struct elf_bytes *out)
{
	uint64_t rela = 0, size = 0;
	struct elf_bytes b;
	Elf64_Phdr ph;
	Elf64_Dyn d;

	for (uint32_t i = 0; elf_phdr(o, i, &ph); i++) {
		if (ph.p_type != PT_DYNAMIC || !elf_image_bytes(o, ph.p_offset, ph.p_filesz, &b))
			continue;
		for (; b.size >= sizeof(d); b.data += sizeof(d), b.size -= sizeof(d)) {
			memcpy(&d, b.data, sizeof(d));
			if (d.d_tag == DT_NULL)
				break;
			if (d.d_tag == DT_RELA)
				rela = d.d_un.d_ptr;
			if (d.d_tag == DT_RELASZ)
				size = d.d_un.d_val;
		}
	}
	if (!rela || !elf_vaddr_bytes(o, rela, out))
		return false;
	if (size < out->size)
		out->size = size;
	return true;
}

static bool relocation_at(struct elf_bytes b, uint64_t i, Elf64_Rela *out)
{
	if (i >= RELOCS_MAX || i >= b.size / sizeof(*out))
		return false;
	memcpy(out, b.data + i * sizeof(*out), sizeof(*out));
	return true;
}

/* Relocations in any order: one walk finds the header's pointers, one more the other words of each.
 */
static bool module_in_relocations(const struct elf_object *o, uint64_t header, uint64_t names,
				  struct go_module *out)
{
	uint64_t at = 0;
	struct elf_bytes b, data;
	bool has_names = false;
	Elf64_Rela r;

	if (!relocations(o, &b))
		return false;
	/* Other pointers to the header are not followed by one to the names. */
	for (uint64_t i = 0, before = 0; relocation_at(b, i, &r); i++) {
		if (ELF64_R_TYPE(r.r_info) != R_X86_64_RELATIVE)
			continue;
		if ((uint64_t)r.r_addend == header)
			before = r.r_offset;
		if ((uint64_t)r.r_addend == names && before && r.r_offset == before + 8)
			at = before;
	}
	if (!at || !elf_vaddr_bytes(o, at, &data) || data.size < sizeof(*out))
		return false;
	memcpy(out, data.data, sizeof(*out));
	for (uint64_t i = 0; relocation_at(b, i, &r); i++) {
		uint64_t word = (r.r_offset - at) / 8;

		if (ELF64_R_TYPE(r.r_info) != R_X86_64_RELATIVE || r.r_offset < at ||
		    r.r_offset % 8 != at % 8 || word >= GO_MODULE_WORDS)
			continue;
		out->word[word] = (uint64_t)r.r_addend;
		has_names = has_names || word == 1;
	}
	return has_names;
}

bool go_find_module(const struct elf_object *o, uint64_t header, uint64_t names,
		    struct go_module *out)
{
	return module_in_data(o, header, names, out) ||
	       module_in_relocations(o, header, names, out);
}

bool go_pointer(const struct elf_object *o, uint64_t vaddr, uint64_t *out)
{
	struct elf_bytes b;
	Elf64_Rela r;

	if (!elf_vaddr_bytes(o, vaddr, &b) || !go_u64(b, 0, out))
		return false;
	if (*out || !relocations(o, &b))
		return true;
	for (uint64_t i = 0; relocation_at(b, i, &r); i++) {
		if (r.r_offset != vaddr || ELF64_R_TYPE(r.r_info) != R_X86_64_RELATIVE)
			continue;
		*out = (uint64_t)r.r_addend;
		break;
	}
	return true;
}
