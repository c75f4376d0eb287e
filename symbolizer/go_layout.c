/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where Go's runtime keeps the running goroutine, in the program at hand.
 *
 * Offsets of fields depend on Go's version alone. They were measured, and a version newer than those is refused: goid has
 * moved twice in ten years, unannounced, and with a wrong one requests are taken for one another.
 *
 * The pointer to g is thread-local. It is the word below the thread pointer where Go's linker linked; with C's linker it
 * depends on what other thread-local variables there are. The code knows, with or without symbols: runtime.systemstack
 * begins with reading it, in all of these versions by
 *
 *	mov %fs:tls,%reg	or, in position-independent code,	mov $tls,%reg; mov %fs:(%reg),%reg
 *
 * In a library (-buildmode=c-shared) the loader chooses the place, and the code loads it from memory: refused.
 */
#include <errno.h>
#include "go_internal.h"
#include "go_layout.h"
#include "x86_64_length.h"

/*
 * By the first minor version of Go 1 that has it. Measured by the DWARF of programs of 1.13.8, 1.14.2, 1.19.8, 1.21.13,
 * 1.22.10, 1.23.9, 1.24.11, 1.25.5, 1.26.0, 1.26.8 and 1.27.3; in the memory of stripped ones of 1.15, 1.16, 1.17.1, 1.18 and
 * 1.20, while they ran.
 */
static const struct row {
	unsigned int minor;
	uint16_t g_m, g_goid, m_curg;
} rows[] = {
	{13, 48, 152, 192},
	{23, 48, 160, 192}, /* g.syscallbp is new */
	{25, 48, 152, 184}, /* gobuf.ret, in both g and m, is gone */
};
#define NEWEST_MINOR 27u

/* NULL: it is not known. */
static const struct row *row_of(unsigned int minor)
{
	const struct row *found = NULL;

	if (minor > NEWEST_MINOR)
		return NULL;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && rows[i].minor <= minor; i++)
		found = &rows[i];
	return found;
}

/* Between two releases a program may have the layout of either. */
static const struct row *find_row(const struct elf_object *o)
{
	struct go_release release;
	const struct row *row;

	if (!go_release_of(o, &release))
		return NULL;
	row = row_of(release.minor);
	if (release.development && row && row_of(release.minor - 1) != row)
		return NULL;
	return row;
}

static int32_t i32_at(const uint8_t *p)
{
	int32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* mov %fs:disp32,%r64 */
static bool reads_fs(const uint8_t *p, unsigned int n)
{
	return n == 9 && memcmp(p, "\x64\x48\x8b", 3) == 0 && (p[3] & 0xc7) == 0x04 && p[4] == 0x25;
}

/* mov $imm32,%r64 */
static bool sets_register(const uint8_t *p, unsigned int n)
{
	return n == 7 && p[0] == 0x48 && p[1] == 0xc7 && (p[2] & 0xf8) == 0xc0;
}

/* mov %fs:(%r64),%r64, of the given register */
static bool reads_fs_by(const uint8_t *p, unsigned int n, unsigned int reg)
{
	return n == 4 && memcmp(p, "\x64\x48\x8b", 3) == 0 && (p[3] & 0xc7) == reg;
}

/* The first access of a thread-local variable, before control goes anywhere. */
static bool read_tls(struct elf_bytes code, int32_t *tls)
{
	const uint8_t *p = code.data, *set = NULL;
	struct x86_insn insn;
	size_t left = code.size;

	for (unsigned int n; (n = x86_decode(p, left, &insn)) && insn.op < X86_CALL; p += n, left -= n) {
		if (reads_fs(p, n))
			*tls = i32_at(p + 5);
		else if (set && reads_fs_by(p, n, set[2] & 7))
			*tls = i32_at(set + 3);
		else if (*p != 0x64) {
			set = sets_register(p, n) ? p : NULL;
			continue;
		} else
			return false;
		return *tls < 0 && *tls % 8 == 0;
	}
	return false;
}

static bool find_tls(const struct go_pclntab *g, int32_t *tls)
{
	struct elf_bytes code;
	struct go_func f;

	if (!go_func_named(g, "runtime.systemstack", &f) || !elf_vaddr_bytes(g->o, f.start, &code))
		return false;
	if (code.size > f.end - f.start)
		code.size = f.end - f.start;
	return read_tls(code, tls);
}

int elf_object_go_layout(const struct elf_object *o, struct go_layout *out)
{
	struct go_pclntab *own = NULL;
	const struct go_pclntab *g = o->go;
	const struct row *row;
	int ret = -ENOENT;
	int32_t tls;

	if (!g && !o->go_loaded && (ret = go_pclntab_open(o, &own)) == 0)
		g = own;
	if (!g)
		return ret;
	ret = -EOPNOTSUPP;
	row = find_row(o);
	if (row && find_tls(g, &tls)) {
		*out = (struct go_layout){.tls = tls, .g_m = row->g_m, .g_goid = row->g_goid, .m_curg = row->m_curg};
		ret = 0;
	}
	go_pclntab_free(own);
	return ret;
}
