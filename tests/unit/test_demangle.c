/* SPDX-License-Identifier: Apache-2.0 */
/* Demangling: what people should see, where it is cut, and names made to hurt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "symbolizer/demangle.h"

static const struct {
	const char *mangled, *wanted;
} names[] = {
	{"_ZN3foo3barEi", "foo::bar"},
	{"_ZN3foo3barIiEEvT_", "foo::bar<int>"},
	{"_ZNKSt6vectorIiSaIiEE4sizeEv", "std::vector<int, std::allocator<int> >::size"},
	{"_ZN3fooC1ERKS_", "foo::foo"},
	{"_ZN3fooD0Ev", "foo::~foo"},
	{"_ZN3fooplERKS_", "foo::operator+"},
	{"_ZN3foo3barEi.constprop.0", "foo::bar"},
	{"_ZN3foo3barEv.cold", "foo::bar"},
	{"_Z4funcv", "func"},
	{"_ZL6staticv", "static"},
	{"_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()"},
	{"_ZN12_GLOBAL__N_11fEv", "(anonymous namespace)::f"},
	{"_ZThn16_N3foo3barEv", "non-virtual thunk to foo::bar()"},
	/* Rust, legacy: without the hash */
	{"_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core::fmt::Formatter::pad"},
	{"_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$"
	 "3bar17h930b740aa94f1d3aE",
	 "<Test + 'static as foo::Bar<Test>>::bar"},
	/* Rust, v0 */
	{"_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"},
	{"_RINvNtC3std3mem8align_ofNtNtC3std3mem12DiscriminantE",
	 "std::mem::align_of::<std::mem::Discriminant>"},
};

static void test_names(void **state)
{
	char out[256];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_true(demangle(names[i].mangled, out, sizeof(out)));
		assert_string_equal(out, names[i].wanted);
	}
}

static void test_not_mangled(void **state)
{
	static const char *const plain[] = {
		"",       "main",   "_",      "_Z",    "_R", "__libc_start_main", "_Zfoo", "_ZN",
		"_ZN3fo", "_start", "Z3foov", "_Rust", "i",  "_D3foo3barFZv"};

	(void)state;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		char out[64] = "untouched";

		assert_false(demangle(plain[i], out, sizeof(out)));
		assert_string_equal(out, "untouched");
	}
}

/* Each size: a prefix, terminated, nothing written behind. */
static void test_cut(void **state)
{
	const char *whole = "std::vector<int, std::allocator<int> >::size";

	(void)state;
	for (size_t size = 1; size < 64; size++) {
		char *out = malloc(size);
		size_t n = strlen(whole) < size ? strlen(whole) : size - 1;

		assert_true(demangle("_ZNKSt6vectorIiSaIiEE4sizeEv", out, size));
		assert_int_equal(strlen(out), n);
		assert_memory_equal(out, whole, n);
		free(out);
	}
	assert_false(demangle("_Z1fv", NULL, 0));
}

/* "föö" in Rust's punycode; cut at each size it stays UTF-8. */
static void test_cut_between_characters(void **state)
{
	(void)state;
	for (size_t size = 1; size < 32; size++) {
		char out[32];
		size_t n;

		assert_true(demangle("_RNvC1au8f_1gaa4f", out, size) ||
			    demangle("_RNvC1au6f_1gaa", out, size));
		n = strlen(out);
		for (size_t i = 0; i < n; i++)
			if (((unsigned char)out[i] & 0xe0) == 0xc0)
				assert_true(i + 1 < n);
	}
}

static void test_long_names(void **state)
{
	static char name[8192], out[8192];
	size_t n;

	(void)state;
	/* C++ servers do have names of more than 1 kB */
	strcpy(name, "_ZN");
	for (int i = 0; i < 300; i++)
		strcat(name, "6abcdef");
	strcat(name, "Ev");
	assert_true(demangle(name, out, sizeof(out)));
	assert_int_equal(strlen(out), 300 * 8 - 2);
	/* more than 4 kB: no */
	memset(name + 3, '1', sizeof(name) - 4);
	assert_false(demangle(name, out, sizeof(out)));
	/* output of more than 4 kB: cut there, whatever the room */
	n = (size_t)sprintf(name, "_Z1fI1AIiiE");
	for (int i = 0; i < 16; i++)
		n += (size_t)sprintf(name + n, "S_IS%X_S%X_E", i, i);
	sprintf(name + n, "Evv");
	assert_true(demangle(name, out, sizeof(out)));
	assert_int_equal(strlen(out), 4095);
}

static double demangle_ms(const char *name)
{
	struct timespec a, b;
	char out[256];

	clock_gettime(CLOCK_MONOTONIC, &a);
	demangle(name, out, sizeof(out));
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6;
}

/* Each asks for exponential time or memory of a demangler that is not held back. */
static void test_hostile_names(void **state)
{
	static char name[4200];
	size_t n;

	(void)state;
	/* A<X, X> of the one before: 2^36 characters of output */
	n = (size_t)sprintf(name, "_Z1fI1AIiiE");
	for (int i = 0; i < 36; i++) {
		char digit = i < 10 ? (char)('0' + i) : (char)('A' + i - 10);

		n += (size_t)sprintf(name + n, "S_IS%c_S%c_E", digit, digit);
	}
	sprintf(name + n, "Evv");
	assert_true(demangle_ms(name) < 1000);
	/* a conversion to T<T<T<...>>>: the parser goes back at each level */
	n = (size_t)sprintf(name, "_ZN1Acv");
	for (int i = 0; i < 40; i++)
		n += (size_t)sprintf(name + n, i % 2 ? "T_I" : "T0_I");
	sprintf(name + n, "i");
	for (int i = 0; i < 40; i++)
		strcat(name, "E");
	strcat(name, "Ev");
	assert_true(demangle_ms(name) < 1000);
	/* depth */
	for (const char *p = "PKFITNXJSsD_LR"; *p; p++) {
		strcpy(name, "_Z1f");
		memset(name + 4, *p, 4090);
		name[4094] = '\0';
		assert_true(demangle_ms(name) < 1000);
		name[1] = 'R';
		assert_true(demangle_ms(name) < 1000);
	}
	/* Rust: a back reference to itself */
	assert_true(demangle_ms("_RINvC1a1fB_E") < 1000);
	assert_true(demangle_ms("_RNvMC0TTTTTTTTTTB2_B2_EB3_B3_EB4_B4_E") < 1000);
}

/* A name is read up to its NUL and no further. */
static void test_guard_page(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *map =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char out[256];

	(void)state;
	assert_true(map != MAP_FAILED && mprotect(map + page, page, PROT_NONE) == 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t whole = strlen(names[i].mangled);

		for (size_t n = 0; n <= whole; n++) { /* each prefix */
			char *name = map + page - n - 1;

			memcpy(name, names[i].mangled, n);
			name[n] = '\0';
			demangle(name, out, sizeof(out));
		}
	}
	munmap(map, 2 * page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),      cmocka_unit_test(test_not_mangled),
		cmocka_unit_test(test_cut),        cmocka_unit_test(test_cut_between_characters),
		cmocka_unit_test(test_long_names), cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_guard_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
