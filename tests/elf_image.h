/* SPDX-License-Identifier: Apache-2.0 */
/* Small ELF files for tests, made section by section. Offsets and sizes may be made to lie. */
#ifndef WIREPROF_TEST_ELF_IMAGE_H
#define WIREPROF_TEST_ELF_IMAGE_H

#include <elf.h>
#include <stdint.h>
#include <string.h>

#define IMAGE_MAX	   0x8000u
#define IMAGE_SECTIONS_MAX 16u
#define IMAGE_TEXT	   0x400000u /* address of the file's first byte; all of it is executable */

struct image {
	uint8_t bytes[IMAGE_MAX];
	size_t size;
	Elf64_Shdr sections[IMAGE_SECTIONS_MAX];
	uint32_t n_sections;
	char names[256];
	uint32_t names_size;
};

static inline void image_init(struct image *m)
{
	memset(m, 0, sizeof(*m));
	m->size = 0x200;
	m->n_sections = 1;
	m->names_size = 1;
}

/* Returns the section's number. It is loaded at IMAGE_TEXT + its offset. */
static inline uint32_t image_section(struct image *m, const char *name, uint32_t type,
				     const void *data, size_t size)
{
	Elf64_Shdr *sh = &m->sections[m->n_sections];

	m->size = (m->size + 15) & ~(size_t)15;
	assert_true(m->size + size < IMAGE_MAX && m->n_sections < IMAGE_SECTIONS_MAX);
	*sh = (Elf64_Shdr){.sh_name = m->names_size,
			   .sh_type = type,
			   .sh_addr = IMAGE_TEXT + m->size,
			   .sh_offset = m->size,
			   .sh_size = size,
			   .sh_addralign = 1};
	memcpy(m->names + m->names_size, name, strlen(name) + 1);
	m->names_size += (uint32_t)strlen(name) + 1;
	memcpy(m->bytes + m->size, data, size);
	m->size += size;
	return m->n_sections++;
}

/* The headers, last. */
static inline void image_finish(struct image *m)
{
	uint32_t names = image_section(m, ".shstrtab", SHT_STRTAB, m->names, sizeof(m->names));
	Elf64_Ehdr eh = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			 .e_type = ET_DYN,
			 .e_machine = EM_X86_64,
			 .e_version = EV_CURRENT,
			 .e_phoff = sizeof(eh),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 1,
			 .e_shentsize = sizeof(Elf64_Shdr),
			 .e_shstrndx = (uint16_t)names,
			 .e_ehsize = sizeof(eh)};
	Elf64_Phdr ph = {.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = IMAGE_TEXT};

	memcpy(m->bytes + m->sections[names].sh_offset, m->names, sizeof(m->names));
	m->size = (m->size + 15) & ~(size_t)15;
	eh.e_shoff = m->size;
	eh.e_shnum = (uint16_t)m->n_sections;
	ph.p_filesz = ph.p_memsz = m->size;
	memcpy(m->bytes, &eh, sizeof(eh));
	memcpy(m->bytes + sizeof(eh), &ph, sizeof(ph));
	memcpy(m->bytes + m->size, m->sections, m->n_sections * sizeof(Elf64_Shdr));
	m->size += m->n_sections * sizeof(Elf64_Shdr);
}

#endif
