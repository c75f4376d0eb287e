/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIREPROF_DEMANGLE_H
#define WIREPROF_DEMANGLE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Makes a mangled C++ or Rust name readable (libiberty), without parameter types, as perf and pprof show it.
 * Writes a NUL-terminated string of at most `size` bytes (cut if longer) and returns true; returns
 * false, out untouched, for a name that is not mangled. Hostile names cost bounded time and memory.
 */
bool demangle(const char *name, char *out, size_t size);

#endif
