/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an address to its source lines, in steps that each read only what the address needs:
 *
 *	object    all units' ranges, from the units' first DIEs          once
 *	unit      its functions' ranges; its line table (libdw's)        when an address hits it
 *	function  its inlined calls, see dwarf_inlines.c                 when an address hits it
 *
 * .debug_aranges would spare reading the units' first DIEs, but clang writes none, and an object
 * may have it for some units only: both ways would have to be there, and the first DIEs of
 * libLLVM's 3000 units take 15 ms.
 *
 * What is kept: the ranges of all units; of functions at most FUNCTIONS_MAX, then all are dropped;
 * the inlined calls of one function. libdw keeps the line tables and abbreviations that it read.
 */
#include <dwarf.h>
#include <errno.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "dwarf_internal.h"
#include "elf_internal.h"

#define UNITS_MAX     (1u << 20)
#define FUNCTIONS_MAX (1u << 22) /* 48 bytes each */

struct unit {
	Dwarf_Die die;
	Dwarf_Die *functions;
	size_t n_functions;
	struct dwarf_ranges ranges; /* of functions */
	size_t bytes;		    /* of its DIEs, so at least their number */
	bool skeleton, read;
};

struct dwarf_lines {
	Elf *elf, *alt_elf;
	Dwarf *dwarf, *alt;
	uint64_t text, text_end;
	struct unit *units;
	size_t n_units, units_capacity, n_functions;
	struct dwarf_ranges ranges; /* of units */
	const Dwarf_Die *function;  /* whose inlined calls these are */
	struct inlines inlines;
};

/* --- units --- */

static int add_unit(struct dwarf_lines *d, Dwarf_Die *die, bool skeleton)
{
	if (d->n_units == d->units_capacity) {
		size_t wanted = d->units_capacity ? 2 * d->units_capacity : 64;
		struct unit *grown = realloc(d->units, wanted * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		d->units = grown;
		d->units_capacity = wanted;
	}
	d->units[d->n_units] = (struct unit){.die = *die, .skeleton = skeleton};
	return dwarf_ranges_add(&d->ranges, die, d->text, d->text_end, (uint32_t)d->n_units++);
}

static int read_units(struct dwarf_lines *d)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Half version;
	Dwarf_Die die;
	uint8_t type;
	int err = 0;

	while (!err && d->n_units < UNITS_MAX &&
	       dwarf_get_units(d->dwarf, cu, &cu, &version, &type, &die, NULL) == 0)
		if (type == DW_UT_compile || type == DW_UT_skeleton)
			err = add_unit(d, &die, type == DW_UT_skeleton);
	dwarf_ranges_sort(&d->ranges);
	return err;
}

static void forget_functions(struct dwarf_lines *d)
{
	for (size_t i = 0; i < d->n_units; i++) {
		struct unit *u = &d->units[i];

		free(u->functions);
		free(u->ranges.list);
		*u = (struct unit){.die = u->die, .skeleton = u->skeleton};
	}
	d->n_functions = 0;
	d->function = NULL;
}

/* --- the functions of a unit --- */

struct scan {
	struct dwarf_lines *d;
	struct unit *u;
	size_t capacity, left; /* DIEs that may be read: no unit has more than bytes */
	bool types_have_code, functions_nest;
};

static int add_function(struct scan *s, Dwarf_Die *die)
{
	struct unit *u = s->u;
	size_t before = u->ranges.n;
	int err;

	err = dwarf_ranges_add(&u->ranges, die, s->d->text, s->d->text_end, (uint32_t)u->n_functions);
	if (err || u->ranges.n == before)
		return err; /* a declaration, or inlined everywhere */
	if (u->n_functions == s->capacity) {
		size_t wanted = s->capacity ? 2 * s->capacity : 32;
		Dwarf_Die *grown = realloc(u->functions, wanted * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		u->functions = grown;
		s->capacity = wanted;
	}
	u->functions[u->n_functions++] = *die;
	s->d->n_functions++;
	return 0;
}

/*
 * Definitions of functions are found in the unit, in namespaces (clang, Rust), in types (Rust,
 * Swift, D; in C and C++ there are declarations only, and so many that not looking halves the time)
 * and in functions (Ada, Pascal; those of GNU C are left to their outer function, and what C++ and
 * Rust have in functions their compilers move out).
 */
static int scan_children(struct scan *s, Dwarf_Die *parent, unsigned int depth)
{
	Dwarf_Die die;
	int err = 0;

	if (depth > DWARF_DEPTH_MAX || dwarf_child(parent, &die) != 0)
		return 0;
	do {
		switch (dwarf_tag(&die)) {
		case DW_TAG_subprogram:
			err = add_function(s, &die);
			if (!err && s->functions_nest)
				err = scan_children(s, &die, depth + 1);
			break;
		case DW_TAG_structure_type:
		case DW_TAG_class_type:
		case DW_TAG_union_type:
		case DW_TAG_enumeration_type:
		case DW_TAG_variant_part:
		case DW_TAG_variant:
		case DW_TAG_interface_type:
			if (!s->types_have_code)
				break;
			/* fall through */
		case DW_TAG_namespace:
		case DW_TAG_module:
			err = scan_children(s, &die, depth + 1);
			break;
		}
	} while (!err && dwarf_next_sibling(&die, &s->left));
	return err;
}

static bool is_c_or_cxx(Dwarf_Die *unit)
{
	switch (dwarf_srclang(unit)) {
	case DW_LANG_C89:
	case DW_LANG_C:
	case DW_LANG_C99:
	case DW_LANG_C11:
	case DW_LANG_C_plus_plus:
	case DW_LANG_C_plus_plus_03:
	case DW_LANG_C_plus_plus_11:
	case DW_LANG_C_plus_plus_14:
	case 0x2b: /* C++ 17, C 17, C++ 20: since DWARF 5 was printed */
	case 0x2c:
	case 0x2e:
	case DW_LANG_Mips_Assembler:
		return true;
	}
	return false;
}

static size_t unit_bytes(const struct dwarf_lines *d, Dwarf_Die *unit)
{
	Dwarf_Off start = dwarf_dieoffset(unit), end;

	if (dwarf_next_unit(d->dwarf, start - dwarf_cuoffset(unit), &end, NULL, NULL, NULL, NULL,
			    NULL, NULL, NULL) != 0 || end < start)
		return 0;
	return end - start;
}

static int read_functions(struct dwarf_lines *d, struct unit *u)
{
	struct scan s = {.d = d, .u = u};
	int err;

	if (u->read)
		return 0;
	if (d->n_functions > FUNCTIONS_MAX)
		forget_functions(d);
	u->read = true;
	if (u->skeleton)
		return 0;
	s.types_have_code = !is_c_or_cxx(&u->die);
	s.functions_nest = s.types_have_code && dwarf_srclang(&u->die) != DW_LANG_Rust;
	s.left = u->bytes = unit_bytes(d, &u->die);
	err = scan_children(&s, &u->die, 0);
	dwarf_ranges_sort(&u->ranges);
	return err;
}

/* --- lines --- */

static Dwarf_Die *function_at(struct dwarf_lines *d, struct unit *u, uint64_t vaddr)
{
	Dwarf_Die *function;
	int64_t index;

	if (read_functions(d, u))
		return NULL;
	index = dwarf_ranges_find(&u->ranges, vaddr);
	if (index < 0)
		return NULL;
	function = &u->functions[index];
	if (d->function == function)
		return function;
	d->function = function;
	if (inlines_read(&d->inlines, function, d->text, d->text_end, u->bytes))
		d->function = NULL;
	return function;
}

/* File and line of the instruction itself. */
static bool instruction_line(struct unit *u, uint64_t vaddr, struct elf_line *out)
{
	Dwarf_Line *line = dwarf_getsrc_die(&u->die, vaddr);
	int number = 0;

	*out = (struct elf_line){0};
	if (!line)
		return false;
	out->file = dwarf_linesrc(line, NULL, NULL);
	if (!dwarf_lineno(line, &number) && number > 0)
		out->line = (uint32_t)number;
	return out->file || out->line;
}

/*
 * A line that an #include or a macro brought into a function is in another file than the function
 * begins in; there is room for one.
 */
static void check_start(Dwarf_Die *function, struct elf_line *line)
{
	const char *file = line->start_line && line->file ? dwarf_decl_file(function) : NULL;

	if (!file || strcmp(file, line->file) != 0)
		line->start_line = 0;
}

static size_t lines_at(struct dwarf_lines *d, uint64_t vaddr, struct elf_line *out, size_t room)
{
	Dwarf_Die *calls[ELF_LINES_MAX], *function;
	int64_t index = dwarf_ranges_find(&d->ranges, vaddr);
	Dwarf_Files *files = NULL;
	struct elf_line here;
	struct unit *u;
	size_t n;

	if (index < 0 || room == 0)
		return 0;
	u = &d->units[index];
	function = function_at(d, u, vaddr);
	if (!instruction_line(u, vaddr, &here) && !function)
		return 0;
	if (!function) {
		out[0] = here;
		return 1;
	}
	if (room > ELF_LINES_MAX)
		room = ELF_LINES_MAX;
	n = d->function ? inlines_at(&d->inlines, vaddr, calls, room - 1) : 0;
	if (n && dwarf_getsrcfiles(&u->die, &files, NULL))
		files = NULL;
	/* calls[] is from the outside in, out[] from the inside out. */
	for (size_t i = 0; i <= n; i++) {
		struct elf_line *line = &out[n - i];

		dwarf_function_names(i ? calls[i - 1] : function, line);
		if (i < n) {
			dwarf_call_site(calls[i], files, line);
		} else {
			line->file = here.file;
			line->line = here.line;
		}
		check_start(i ? calls[i - 1] : function, line);
	}
	return n + 1;
}

/* --- opening --- */

/*
 * libelf gets our mapping rather than the file, which may have no name any more. Where it
 * uncompresses a section it says so in the section's header, in place: the mapping is private, and
 * who reads the headers with our own code checks them each time.
 */
static Dwarf *begin(const struct elf_object *o, Elf **elf)
{
	if (mprotect((void *)o->image, o->size, PROT_READ | PROT_WRITE))
		return NULL;
	*elf = elf_memory((char *)o->image, o->size);
	return *elf ? dwarf_begin_elf(*elf, DWARF_C_READ, NULL) : NULL;
}

void dwarf_lines_free(struct dwarf_lines *d)
{
	if (!d)
		return;
	forget_functions(d);
	free(d->units);
	free(d->ranges.list);
	inlines_fini(&d->inlines);
	dwarf_end(d->dwarf);
	dwarf_end(d->alt);
	elf_end(d->elf);
	elf_end(d->alt_elf);
	free(d);
}

struct dwarf_lines *dwarf_lines_new(const struct elf_object *o, const struct elf_object *from,
				    const struct elf_object *alt)
{
	struct dwarf_lines *d;

	elf_version(EV_CURRENT);
	d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	if (!elf_object_text(o, &d->text, &d->text_end))
		goto fail;
	d->dwarf = begin(from, &d->elf);
	if (!d->dwarf)
		goto fail;
	if (alt) {
		d->alt = begin(alt, &d->alt_elf);
		if (!d->alt)
			goto fail;
		dwarf_setalt(d->dwarf, d->alt);
	}
	if (read_units(d) || !d->ranges.n)
		goto fail;
	return d;
fail:
	dwarf_lines_free(d);
	return NULL;
}

size_t dwarf_lines_at(struct dwarf_lines *d, uint64_t vaddr, struct elf_line *out, size_t room)
{
	return lines_at(d, vaddr, out, room);
}
