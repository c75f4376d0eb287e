/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which Go built a program. From Go 1.13 on every program says it, stripped or not, in a section or somewhere in its data,
 * at a multiple of 16:
 *
 *	+0  "\xff Go buildinf:"  +14 bytes of a pointer (8)  +15 flags
 *	+16 pointer to a string {pointer, length}: the version		until Go 1.17
 *	+32 varint length, the version					flags & 2: Go 1.18 and later
 *
 * The version is "go1.22.3", "go1.26rc1", "go1.22.5 X:boringcrypto"; from between two releases, "devel go1.22-d8392e6997
 * Tue Aug 1 ..." (until Go 1.25), "go1.27-devel_d8392e6997 ...". (Go's sources: debug/buildinfo, cmd/link/internal/ld.)
 */
#include "go_internal.h"

enum { POINTER_BYTES = 14, FLAGS = 15, POINTER = 16, INLINE = 32, IS_BIG_ENDIAN = 1, IS_INLINE = 2 };
enum { ALIGNMENT = 16, LENGTH_BYTES_MAX = 2, MINOR_DIGITS_MAX = 3 };

/* From the magic on, which is at or after vaddr. */
static bool from_magic(struct elf_bytes b, uint64_t vaddr, struct elf_bytes *out, uint64_t *at)
{
	static const char magic[] = "\xff Go buildinf:";
	size_t from = 0;

	for (const uint8_t *found; (found = memmem(b.data + from, b.size - from, magic, POINTER_BYTES)); from++) {
		from = (size_t)(found - b.data);
		if ((vaddr + from) % ALIGNMENT || b.size - from < INLINE)
			continue;
		*out = (struct elf_bytes){.data = found, .size = b.size - from};
		*at = vaddr + from;
		return true;
	}
	return false;
}

static bool find_buildinfo(const struct elf_object *o, struct elf_bytes *out, uint64_t *vaddr)
{
	struct elf_bytes b;
	Elf64_Shdr sh;
	Elf64_Phdr ph;

	if (elf_section_by_name(o, ".go.buildinfo", &sh) && elf_section_bytes(o, &sh, &b) &&
	    from_magic(b, sh.sh_addr, out, vaddr))
		return true;
	for (uint32_t i = 0; elf_phdr(o, i, &ph); i++)
		if (ph.p_type == PT_LOAD && (ph.p_flags & PF_W) && elf_image_bytes(o, ph.p_offset, ph.p_filesz, &b) &&
		    from_magic(b, ph.p_vaddr, out, vaddr))
			return true;
	return false;
}

static bool inline_string(struct elf_bytes b, uint64_t at, struct elf_bytes *out)
{
	uint64_t length = 0;
	uint8_t byte = 0x80;

	for (unsigned int i = 0; byte & 0x80; i++, at++) {
		if (i == LENGTH_BYTES_MAX || at >= b.size)
			return false;
		byte = b.data[at];
		length |= (uint64_t)(byte & 0x7f) << 7 * i;
	}
	if (length > b.size - at)
		return false;
	*out = (struct elf_bytes){.data = b.data + at, .size = length};
	return true;
}

/* Of the string header that the pointer at vaddr leads to. */
static bool string_behind(const struct elf_object *o, uint64_t vaddr, struct elf_bytes *out)
{
	uint64_t header, text, length;
	struct elf_bytes b;

	if (!go_pointer(o, vaddr, &header) || !go_pointer(o, header, &text) || !elf_vaddr_bytes(o, header, &b) ||
	    !go_u64(b, 8, &length) || !elf_vaddr_bytes(o, text, out) || length > out->size)
		return false;
	out->size = length;
	return true;
}

static bool version_text(const struct elf_object *o, struct elf_bytes *out)
{
	struct elf_bytes info;
	uint64_t vaddr;

	if (!find_buildinfo(o, &info, &vaddr))
		return false;
	if (info.data[FLAGS] & IS_INLINE)
		return inline_string(info, INLINE, out);
	return info.data[POINTER_BYTES] == 8 && !(info.data[FLAGS] & IS_BIG_ENDIAN) &&
	       string_behind(o, vaddr + POINTER, out);
}

static bool skip(struct elf_bytes *text, const char *prefix)
{
	size_t n = strlen(prefix);

	if (text->size < n || memcmp(text->data, prefix, n) != 0)
		return false;
	text->data += n;
	text->size -= n;
	return true;
}

bool go_release_of(const struct elf_object *o, struct go_release *out)
{
	struct elf_bytes text;
	unsigned int digits = 0;

	if (!version_text(o, &text))
		return false;
	*out = (struct go_release){.development = skip(&text, "devel ")};
	if (!skip(&text, "go1."))
		return false;
	for (; digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9'; digits++) {
		if (digits == MINOR_DIGITS_MAX)
			return false;
		out->minor = 10 * out->minor + text.data[digits] - '0';
	}
	if (digits < text.size && text.data[digits] == '-')
		out->development = true;
	return digits > 0;
}
