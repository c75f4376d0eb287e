/* SPDX-License-Identifier: Apache-2.0 */
/*
 * .gnu_debugdata: an ELF file, xz-compressed, in a section of a stripped one. Fedora and its kin put
 * the symbols there that are not in .dynsym ("MiniDebugInfo" in gdb's manual).
 *
 * A kilobyte of xz may unpack to gigabytes: what is unpacked, and the dictionary, have limits.
 */
#include <errno.h>
#include <lzma.h>
#include <stdlib.h>
#include "elf_internal.h"

#define UNPACKED_MAX   (64u << 20) /* Fedora's largest are a few megabytes */
#define UNPACKER_MAX   (80u << 20) /* memory of the unpacker: xz -9 has a dictionary of 64 MiB */
#define UNPACKED_FIRST (64u << 10)

/* Unpacks into *out, which the caller frees, whatever is returned. */
static int unpack(lzma_stream *z, uint8_t **out, size_t *size)
{
	size_t room = 0;
	lzma_ret status;

	do {
		size_t wanted = room ? 2 * room : UNPACKED_FIRST;
		uint8_t *grown = wanted > UNPACKED_MAX ? NULL : realloc(*out, wanted);

		if (!grown)
			return wanted > UNPACKED_MAX ? -EFBIG : -ENOMEM;
		*out = grown;
		z->next_out = grown + room;
		z->avail_out = wanted - room;
		room = wanted;
		status = lzma_code(z, LZMA_FINISH);
		*size = room - z->avail_out;
	} while (status == LZMA_OK && !z->avail_out);
	if (status == LZMA_MEM_ERROR || status == LZMA_MEMLIMIT_ERROR)
		return -ENOMEM;
	return status == LZMA_STREAM_END ? 0 : -EIO;
}

int mini_debug_open(const struct elf_object *o, struct elf_object **out)
{
	lzma_stream z = LZMA_STREAM_INIT;
	struct elf_bytes packed;
	uint8_t *image = NULL;
	size_t size = 0;
	Elf64_Shdr sh;
	int err;

	if (!elf_section_by_name(o, ".gnu_debugdata", &sh) || !elf_section_bytes(o, &sh, &packed))
		return -ENOENT;
	if (lzma_stream_decoder(&z, UNPACKER_MAX, 0) != LZMA_OK)
		return -ENOMEM;
	z.next_in = packed.data;
	z.avail_in = packed.size;
	err = unpack(&z, &image, &size);
	lzma_end(&z);
	if (!err)
		err = elf_object_open_memory(image, size, elf_object_path(o), out);
	free(image);
	return err;
}
