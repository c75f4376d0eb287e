/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where Go's runtime keeps what says which goroutine a thread works for:
 *
 *	fs base + tls -> g (the stack that runs: a goroutine's, or a system stack) -> g.m -> m.curg (the goroutine) -> goid
 */
#ifndef WIREPROF_GO_LAYOUT_H
#define WIREPROF_GO_LAYOUT_H

#include <stdint.h>

struct elf_object;

struct go_layout {
	int32_t tls; /* of the pointer to g, from the thread's fs base */
	uint16_t g_m, g_goid, m_curg; /* offsets in runtime.g and runtime.m; a system stack's goid is 0 */
};

/*
 * The layout of the Go program `o`. Returns 0 or -errno (-ENOENT: not a Go program, or no x86-64 one; -EOPNOTSUPP: one
 * whose layout is not known). Costs next to nothing where the object is not Go's.
 */
int elf_object_go_layout(const struct elf_object *o, struct go_layout *out);

#endif
