/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding .eh_frame: by its section header, or, in files without those, by .eh_frame_hdr, which
 * also says in which order the functions lie. (LSB Core 5.0, section 10.6.2.)
 *
 *	.eh_frame_hdr	version, encodings, .eh_frame's address, n, n x {pc, FDE}, sorted by pc
 */
#include <errno.h>
#include "frame_section.h"

/* Both are relative to the header, and four bytes. */
#define TABLE_ENCODING 0x3b

/* What the header says of .eh_frame, and its table. */
static bool read_hdr(const struct elf_object *o, uint64_t *eh_frame_vaddr, struct frame_table *t)
{
	uint8_t version, frame_encoding, count_encoding, table_encoding;
	Elf64_Phdr ph = {0};
	struct elf_bytes bytes;
	struct cursor c;

	for (uint32_t i = 0; elf_phdr(o, i, &ph); i++)
		if (ph.p_type == PT_GNU_EH_FRAME)
			break;
	if (ph.p_type != PT_GNU_EH_FRAME || !elf_image_bytes(o, ph.p_offset, ph.p_filesz, &bytes))
		return false;
	c = (struct cursor){bytes.data, bytes.data + bytes.size, bytes.data, ph.p_vaddr, false};
	version = cursor_u8(&c);
	frame_encoding = cursor_u8(&c);
	count_encoding = cursor_u8(&c);
	table_encoding = cursor_u8(&c);
	t->vaddr = ph.p_vaddr;
	*eh_frame_vaddr = cursor_pointer(&c, frame_encoding);
	if (c.bad || version != 1)
		return false;
	if (count_encoding == PE_UDATA4 && table_encoding == TABLE_ENCODING)
		t->n = cursor_u32(&c);
	t->c = c;
	return true;
}

int eh_frame_rows(const struct elf_object *o, const struct row_sink *so_far, struct row_sink *out,
		  uint64_t *bad_fdes)
{
	struct frame_section section = {0};
	struct frame_table table = {0};
	bool has_hdr = read_hdr(o, &section.vaddr, &table);
	Elf64_Shdr sh;

	(void)so_far;
	if (elf_section_by_name(o, ".eh_frame", &sh) && elf_section_bytes(o, &sh, &section.bytes))
		section.vaddr = sh.sh_addr;
	else if (!has_hdr || !elf_vaddr_bytes(o, section.vaddr, &section.bytes))
		return 0;
	return frame_section_rows(&section, &table, out, bad_fdes);
}
