/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Property: the layout of a Go program is what its DWARF says of runtime.g and runtime.m, and what its symbol runtime.tlsg,
 * where it has one, says of the pointer to g; a stripped program has the layout that it has unstripped.
 *
 *	test_go_layout [FILE ...]	instead of programs that each Go here builds: pure and with C, and so on
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "symbolizer/elf_object.h"
#include "symbolizer/go_layout.h"

static int layout_of(const char *path, struct go_layout *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_object *o;
	int err = fd < 0 ? -errno : elf_object_open(fd, path, "", &o);

	if (!err) {
		err = elf_object_go_layout(o, out);
		elf_object_free(o);
	}
	if (fd >= 0)
		close(fd);
	return err;
}

/* --- what libelf and libdw say --- */

/* The offset of a structure's member; 0 where there is none. */
static uint16_t member(Dwarf_Die *type, const char *name)
{
	Dwarf_Attribute a;
	Dwarf_Word offset;
	Dwarf_Die m;

	for (int more = dwarf_child(type, &m); more == 0; more = dwarf_siblingof(&m, &m))
		if (dwarf_diename(&m) && strcmp(dwarf_diename(&m), name) == 0 &&
		    dwarf_formudata(dwarf_attr(&m, DW_AT_data_member_location, &a), &offset) == 0)
			return (uint16_t)offset;
	return 0;
}

static void members_of_unit(Dwarf_Die *unit, struct go_layout *out)
{
	Dwarf_Die die;

	for (int more = dwarf_child(unit, &die); more == 0; more = dwarf_siblingof(&die, &die)) {
		const char *name = dwarf_tag(&die) == DW_TAG_structure_type ? dwarf_diename(&die) : NULL;

		if (name && strcmp(name, "runtime.g") == 0) {
			out->g_m = member(&die, "m");
			out->g_goid = member(&die, "goid");
		} else if (name && strcmp(name, "runtime.m") == 0) {
			out->m_curg = member(&die, "curg");
		}
	}
}

static void members(Dwarf *dwarf, struct go_layout *out)
{
	Dwarf_Off at = 0, next;
	size_t header;
	Dwarf_Die unit;

	for (; dwarf_nextcu(dwarf, at, &next, &header, NULL, NULL, NULL) == 0; at = next)
		if (dwarf_offdie(dwarf, at + header, &unit))
			members_of_unit(&unit, out);
}

/* The block of thread-local variables ends at the thread pointer. */
static int32_t place_in_block(Elf *elf, uint64_t value)
{
	size_t n = 0;
	GElf_Phdr ph;

	elf_getphdrnum(elf, &n);
	for (size_t i = 0; i < n; i++)
		if (gelf_getphdr(elf, (int)i, &ph) && ph.p_type == PT_TLS)
			return (int32_t)(value - ((ph.p_memsz + ph.p_align - 1) & -ph.p_align));
	return 0;
}

/* Go's own linker makes no symbol, and no other thread-local variables. */
static int32_t tls_of(Elf *elf)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	GElf_Sym sym;

	while ((scn = elf_nextscn(elf, scn))) {
		Elf_Data *data = gelf_getshdr(scn, &sh) && sh.sh_type == SHT_SYMTAB ? elf_getdata(scn, NULL) : NULL;

		for (int i = 0; data && gelf_getsym(data, i, &sym); i++)
			if (GELF_ST_TYPE(sym.st_info) == STT_TLS &&
			    strcmp(elf_strptr(elf, sh.sh_link, sym.st_name), "runtime.tlsg") == 0)
				return place_in_block(elf, sym.st_value);
	}
	return -8;
}

static bool expected_of(const char *path, struct go_layout *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Dwarf *dwarf = fd < 0 ? NULL : dwarf_begin(fd, DWARF_C_READ);

	*out = (struct go_layout){0};
	if (dwarf) {
		members(dwarf, out);
		out->tls = tls_of(dwarf_getelf(dwarf));
		dwarf_end(dwarf);
	}
	if (fd >= 0)
		close(fd);
	return out->g_m && out->g_goid && out->m_curg;
}

/* --- comparing --- */

static void print_layout(const struct go_layout *l)
{
	printf("tls %d, g.m %u, g.goid %u, m.curg %u", l->tls, l->g_m, l->g_goid, l->m_curg);
}

static bool expect(const char *path, const char *what, const struct go_layout *want)
{
	struct go_layout have = {0};
	int err = layout_of(path, &have);
	bool same = !err && have.tls == want->tls && have.g_m == want->g_m && have.g_goid == want->g_goid &&
		    have.m_curg == want->m_curg;

	printf("%s: ", what);
	print_layout(&have);
	if (err)
		printf(" (%s)", strerror(-err));
	if (!same) {
		printf(", expected ");
		print_layout(want);
	}
	printf("\n");
	return same;
}

/* --- programs --- */

/* Thread-local variables of C's put the pointer to g elsewhere than Go's linker does. */
static const struct {
	const char *name, *text;
} sources[] = {
	{"pure.go", "package main\nfunc main() { println(\"pure\") }\n"},
	{"cgo.go", "package main\n"
		   "// static __thread long words[33]; static __thread int set = 7;\n"
		   "// static long use(int i) { words[i]++; return set + words[i % 5]; }\n"
		   "import \"C\"\n"
		   "func main() { println(C.use(5)) }\n"},
};

static const struct {
	const char *name, *source, *options;
	bool stripped; /* has the layout of the one before */
	int error;
} builds[] = {
	{"pure", "pure.go", "", false, 0},
	{"pure, stripped", "pure.go", "-ldflags='-s -w'", true, 0},
	{"pie", "pure.go", "-buildmode=pie", false, 0},
	{"pie, stripped", "pure.go", "-buildmode=pie -ldflags='-s -w'", true, 0},
	{"cgo", "cgo.go", "", false, 0},
	{"cgo, stripped", "cgo.go", "-ldflags='-s -w'", true, 0},
	{"cgo pie", "cgo.go", "-buildmode=pie", false, 0},
	{"cgo pie, stripped", "cgo.go", "-buildmode=pie -ldflags='-s -w'", true, 0},
	{"cgo static", "cgo.go", "-ldflags='-extldflags=-static'", false, 0},
	{"library", "cgo.go", "-buildmode=c-shared", false, -EOPNOTSUPP},
};

static bool write_sources(const char *folder)
{
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		char path[128];
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", folder, sources[i].name);
		f = fopen(path, "w");
		if (!f || fputs(sources[i].text, f) == EOF || fclose(f) != 0)
			return false;
	}
	return true;
}

static bool check_build(const char *folder, const char *go, size_t i, struct go_layout *want)
{
	char command[1024], path[128], what[128];
	struct go_layout none;

	snprintf(path, sizeof(path), "%s/program", folder);
	snprintf(what, sizeof(what), "%s %s", go, builds[i].name);
	snprintf(command, sizeof(command), "cd %s && GO111MODULE=off GOFLAGS= GOTOOLCHAIN=local CGO_ENABLED=%d %s build -o program %s %s",
		 folder, builds[i].source[0] == 'c', go, builds[i].options, builds[i].source);
	if (system(command) != 0) {
		printf("%s: does not build\n", what);
		return false;
	}
	if (builds[i].error)
		return layout_of(path, &none) == builds[i].error;
	if (!builds[i].stripped && !expected_of(path, want)) {
		printf("%s: no DWARF\n", what);
		return false;
	}
	return expect(path, what, want);
}

/* Whether its programs' layout is known, going by the version that it prints; 0 where there is no such Go. */
static int minor_of(const char *go)
{
	char command[256];
	int minor = 0;
	FILE *f;

	snprintf(command, sizeof(command), "GOTOOLCHAIN=local %s env GOVERSION 2>/dev/null", go);
	f = popen(command, "r");
	if (f && fscanf(f, "go1.%d", &minor) != 1)
		minor = 0;
	if (f)
		pclose(f);
	return minor;
}

static bool check_go(const char *folder, const char *go, unsigned int *n)
{
	enum { NEWEST = 27 }; /* go_layout.c */
	struct go_layout want = {0};
	int minor = minor_of(go);
	bool ok = true;

	if (!minor || minor > NEWEST) {
		printf("%s: %s\n", go, minor ? "skipped: its layout is not known" : "no Go");
		return true;
	}
	for (size_t i = 0; i < sizeof(builds) / sizeof(builds[0]); i++, (*n)++)
		ok &= check_build(folder, go, i, &want);
	return ok;
}

static int check_installed(void)
{
	char folder[] = "/tmp/wireprof-go-XXXXXX", command[64];
	unsigned int n = 0;
	bool ok = true;
	glob_t found;

	if (!mkdtemp(folder) || !write_sources(folder))
		return 1;
	glob("/usr/local/go/bin/go", 0, NULL, &found);
	glob("/usr/lib/go-*/bin/go", GLOB_APPEND, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++)
		ok &= check_go(folder, found.gl_pathv[i], &n);
	if (!found.gl_pathc)
		ok &= check_go(folder, "go", &n);
	globfree(&found);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	if (system(command) != 0)
		printf("%s: left behind\n", folder);
	if (!n)
		printf("skipped: no Go\n");
	return !ok;
}

int main(int argc, char **argv)
{
	struct go_layout want;
	bool ok = true;

	if (argc == 1)
		return check_installed();
	for (int i = 1; i < argc; i++) {
		if (!expected_of(argv[i], &want))
			printf("%s: no DWARF\n", argv[i]);
		ok &= expect(argv[i], argv[i], &want);
	}
	return !ok;
}
