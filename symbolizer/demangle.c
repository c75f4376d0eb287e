/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Demangling by libiberty, which knows C++, Rust's legacy mangling (without its hash) and Rust v0.
 *
 * Names come from files of others, and a short name may demangle to gigabytes, as substitutions
 * double. So the demanglers print through a callback, which leaves them by longjmp when enough has
 * come. (They keep their state on the stack; for the one exception see print().) Parsing has no
 * callback: what makes it exponential is refused up front, see is_costly().
 */
#include <libiberty/demangle.h>
#include <setjmp.h>
#include <string.h>
#include "demangle.h"

#define MANGLED_MAX            4096 /* bytes: the parser's depth, and its stack, grow with them */
#define OUTPUT_MAX             4096
#define TEMPLATE_TEMPLATES_MAX 12 /* in the name of a conversion operator */

struct output {
	jmp_buf full;
	size_t n;
	char text[OUTPUT_MAX];
};

static void print(const char *text, size_t n, void *arg)
{
	struct output *o = arg;
	size_t room = sizeof(o->text) - o->n;

	if (n == 0)
		return; /* and text is NULL, at times */
	/*
	 * While libiberty prints a Rust identifier in punycode it holds a heap buffer. Such
	 * identifiers are not ASCII, and ASCII comes between them: leave only there.
	 */
	if (room == 0) {
		for (size_t i = 0; i < n; i++)
			if ((unsigned char)text[i] >= 0x80)
				return;
		longjmp(o->full, 1);
	}
	if (n > room)
		n = room;
	memcpy(o->text + o->n, text, n);
	o->n += n;
}

/*
 * Whether a name makes libiberty's parser go back without end in sight. In a conversion operator
 * ("cv") the arguments of a template template parameter ("T_I...E", "T0_I...E") are parsed, thrown
 * away and parsed again: nested n deep, 2^n times. Measured: 24 deep take 0.7 s. Real names have
 * one or two.
 */
static bool is_costly(const char *name)
{
	size_t n = 0;

	if (!strstr(name, "cv"))
		return false;
	for (const char *p = name; (p = strchr(p, 'T'));) {
		p++;
		p += strspn(p, "0123456789ABCDEFGHIJKLMNOPQRSUVWXYZ");
		n += p[0] == '_' && p[1] == 'I';
	}
	return n > TEMPLATE_TEMPLATES_MAX;
}

/* Returns whether the name is a mangled one; its demangled form is in *o. */
static bool demangle_into(const char *name, struct output *o)
{
	/* Without DMGL_PARAMS there are neither parameter types nor "[clone .cold]". */
	const int options = DMGL_NO_OPTS;

	o->n = 0;
	if (setjmp(o->full))
		return true;
	if (rust_demangle_callback(name, options, print, o))
		return true;
	o->n = 0;
	/*
	 * The recursion limit would refuse all names of more than 1 kB, which C++ servers do have.
	 * Ours is MANGLED_MAX; the printer keeps its own.
	 */
	return cplus_demangle_v3_callback(name, options | DMGL_NO_RECURSE_LIMIT, print, o);
}

/* The longest prefix of at most `max` bytes that does not end inside a character. */
static size_t utf8_cut(const char *text, size_t n, size_t max)
{
	if (n <= max)
		return n;
	while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	return max;
}

bool demangle(const char *name, char *out, size_t size)
{
	struct output o;
	size_t n;

	if (size == 0 || name[0] != '_' || (name[1] != 'Z' && name[1] != 'R') ||
	    strnlen(name, MANGLED_MAX + 1) > MANGLED_MAX || is_costly(name) ||
	    !demangle_into(name, &o) || o.n == 0)
		return false;
	n = utf8_cut(o.text, o.n, size < OUTPUT_MAX ? size - 1 : OUTPUT_MAX - 1);
	memcpy(out, o.text, n);
	out[n] = '\0';
	return true;
}
