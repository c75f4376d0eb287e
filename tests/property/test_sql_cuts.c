/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No value of a statement comes out, whatever the statement, whatever way the value is written, and
 * wherever the capture was cut: secrets are planted for every literal of the corpus, and between
 * its tokens, in each of the ways below; then all beginnings of the text are classified, as
 * captures and as whole texts.
 *
 * Also: the bytes behind the text make no difference, nor does where it lies; the short way of
 * sql_quick.h says what the long one does; and the fuzzer's corpus is replayed, with the fuzz
 * target's own checks. Random, with a fixed seed.
 */
#include <ctype.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "fuzz/fuzz_sql.c"
#include "guard.h"
#include "protocols/sql_quick.h"
#include "sql_corpus.h"

#define FUZZ_CORPUS "tests/fuzz/corpus/fuzz_sql"
#define TEXT_MAX    65536

/* What must not come out. */
static const char *const secrets[] = {"zqx", "ZQX", "777123"};

/* Ways to write a value: in place of a string, and of a number. */
static const struct {
	const char *string, *number;
} forms[] = {
	{"'zqx77'", "777123"},
	{"\"zqx77\"", "0x777123"},
	{"'zqx''zqx'", "0.777123e-7"},
	{"'it\\'s zqx'", "777123.777123"},
	{"'zqx\\\\'", "1e777123"},
	{"'zqx\\''", ".777123"},
	{"'\\'zqx\\', zqx'", "777123."},
	{"'a' 'zqx' \"zqx\"", "0b11"},
	{"N'zqx'", "x'777123'"},
	{"_utf8mb4'zqx'", "'777123'"},
	{"_latin1 'zqx \\' , zqx'", "777123"},
	{"'zqx /* zqx */ -- zqx # zqx'", "777123"},
	{"'zqx; zqx `zqx` \"zqx\" (zqx)'", "777123"},
	{"\"it's zqx, 'zqx'\"", "777123"},
	{"'\xc3\xa9zqx\xff zqx'", "777123"},
	{"@'zqx'", "@zqx"},
	{"'\nzqx\tzqx\r\n'", "777123"},
	/* Sent with NO_BACKSLASH_ESCAPES. A beginning of these may be well-formed in the other
	   reading only. */
	{"'C:\\', 'zqx', 'D:\\'", "777123"},
	{"'C:\\', ' zqx zqx ', 'D:\\'", "' zqx '"},
	{"'C:\\'", "'zqx'"},
	{"'C:\\''zqx'", "'zqx\\'"},
	{"\"C:\\\", \"zqx\"", "777123"},
};

#define BACKSLASH_FORMS 17 /* number of those before */

/* Between tokens. */
static const char *const blanks[] = {
	" ",
	" /* zqx 777123 */ ",
	" -- zqx 777123\n",
	" # zqx 'zqx\n",
	" /*!99999 zqx 777123 */ ",
	" /*+ zqx(777123) */ ",
};

static uint8_t *room; /* TEXT_MAX bytes, then the guard page */
static char planted[TEXT_MAX];

static size_t put(size_t n, const char *text)
{
	strcpy(planted + n, text);
	return n + strlen(text);
}

/* Behind the quoted thing at `at`. */
static const char *skip_quoted(const char *at)
{
	char quote = *at++;

	for (; *at; at++) {
		if (*at == '\\' && quote != '`' && at[1])
			at++;
		else if (*at == quote && at[1] == quote)
			at++;
		else if (*at == quote)
			return at + 1;
	}
	return at;
}

static bool in_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || c & 0x80;
}

/* The statement, with a secret for each literal, and blanks of that kind. Returns the length. */
static size_t plant(const char *sql, size_t form, const char *blank)
{
	size_t n = 0;

	while (*sql) {
		const char *start = sql;

		if (*sql == '\'' || *sql == '"') {
			sql = skip_quoted(sql);
			n = put(n, forms[form].string);
		} else if (*sql == '`') {
			sql = skip_quoted(sql);
			n += (size_t)snprintf(planted + n, TEXT_MAX - n, "%.*s", (int)(sql - start),
					      start);
		} else if (!strncmp(sql, "/*", 2) || *sql == '#' || !strncmp(sql, "-- ", 3)) {
			sql = *sql == '/' ? strstr(sql, "*/") + 2 : sql + strlen(sql);
			n += (size_t)snprintf(planted + n, TEXT_MAX - n, "%.*s", (int)(sql - start),
					      start);
		} else if (isdigit((unsigned char)sql[*sql == '.'])) {
			sql++;
			while (in_name(*sql) || (*sql == '.' && sql[1] != '.') ||
			       ((*sql == '-' || *sql == '+') && (sql[-1] | 0x20) == 'e'))
				sql++;
			n = put(n, forms[form].number);
		} else if (in_name(*sql)) {
			while (in_name(*sql) || *sql == '.')
				sql++;
			n += (size_t)snprintf(planted + n, TEXT_MAX - n, "%.*s", (int)(sql - start),
					      start);
		} else if (*sql == ' ') {
			sql++;
			n = put(n, blank);
		} else {
			planted[n++] = *sql++;
		}
		assert_true(n < TEXT_MAX - 256);
	}
	planted[n] = '\0';
	return n;
}

static void check_private(const struct query_class *class, size_t len, bool whole)
{
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		if (strstr(class->operation, secrets[i]) || strstr(class->summary, secrets[i]) ||
		    strstr(class->text, secrets[i]) || strstr(class->collection, secrets[i]))
			fail_msg("%.*s\n%s: %s | %s | %s", (int)len, planted,
				 whole ? "whole" : "cut", class->operation, class->summary,
				 class->text);
}

/* All statements of the text's first `len` bytes, which end where the guard page begins. */
static void check_beginning(size_t len, bool whole)
{
	static struct query_class class;
	struct slice text = {room + TEXT_MAX - len, len};
	size_t used;

	memcpy(room + TEXT_MAX - len, planted, len);
	while ((used = sql_classify(text, whole, &class))) {
		assert_true(used <= text.len);
		check_class(&class);
		check_private(&class, len, whole);
		text.ptr += used;
		text.len -= used;
	}
}

static void check_statement(const char *sql, size_t form, const char *blank)
{
	size_t len = plant(sql, form, blank);

	for (size_t cut = 0; cut <= len; cut++) {
		check_beginning(cut, false);
		if (form < BACKSLASH_FORMS || cut == len)
			check_beginning(cut, true);
	}
}

static void each_statement(void (*check)(const char *sql, size_t n))
{
	for (size_t i = 0, n = 0; i < SQL_CORPUS_FILES; i++) {
		char *all = sql_corpus_read(sql_corpus_files[i], "sql"), *rest = all, *line;

		while ((line = sql_corpus_line(&rest)))
			check(line, n++);
		free(all);
	}
}

static void check_forms(const char *sql, size_t n)
{
	(void)n;
	for (size_t form = 0; form < sizeof(forms) / sizeof(forms[0]); form++)
		check_statement(sql, form, " ");
}

static void test_literals(void **state)
{
	(void)state;
	each_statement(check_forms);
}

static void check_blanks(const char *sql, size_t n)
{
	check_statement(sql, 0, blanks[n % (sizeof(blanks) / sizeof(blanks[0]))]);
}

static void test_comments(void **state)
{
	(void)state;
	each_statement(check_blanks);
}

/* The same class wherever the text lies, whatever is behind it. */
static void check_placement(const char *sql, size_t n)
{
	static struct query_class here, there;
	static uint8_t plain[TEXT_MAX];
	size_t len = strlen(sql);

	(void)n;
	for (size_t cut = 1; cut <= len; cut++) {
		size_t used;

		memset(&here, 0, sizeof(here));
		memset(&there, 0, sizeof(there));
		memcpy(room + TEXT_MAX - cut, sql, cut);
		memset(plain, "a'\\*9 "[cut % 6], cut + 64);
		memcpy(plain + cut % 16, sql, cut);
		used = sql_classify((struct slice){room + TEXT_MAX - cut, cut}, cut % 2, &here);
		assert_int_equal(
			used, sql_classify((struct slice){plain + cut % 16, cut}, cut % 2, &there));
		assert_string_equal(here.operation, there.operation);
		assert_string_equal(here.summary, there.summary);
		assert_string_equal(here.text, there.text);
		assert_string_equal(here.collection, there.collection);
	}
}

static void test_placement(void **state)
{
	(void)state;
	each_statement(check_placement);
}

/* Less of the text never makes another operation of it. */
static void check_operation(const char *sql, size_t n)
{
	static struct query_class all, part;
	struct slice text = {(const uint8_t *)sql, strlen(sql)};

	(void)n;
	sql_classify(text, true, &all);
	for (; text.len; text.len--)
		if (sql_classify(text, false, &part) && strcmp(part.operation, "UNKNOWN") &&
		    strcmp(part.operation, "WITH") &&
		    strncmp(all.operation, part.operation, strlen(part.operation)))
			fail_msg("%.*s: %s, not %s", (int)text.len, sql, part.operation,
				 all.operation);
}

static void test_operations(void **state)
{
	(void)state;
	each_statement(check_operation);
}

static uint32_t next_random(uint32_t below)
{
	static uint64_t state = 42;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % below;
}

/* The short way and the long one: the same tokens, and the same text of them. */
static void check_both_ways(struct slice text, bool whole)
{
	static char short_text[QUERY_TEXT_BYTES], long_text[QUERY_TEXT_BYTES];
	static struct sql_digest short_digest, long_digest;
	struct sql_token a, b;
	struct sql_lex short_lex, long_lex;
	const uint8_t *at = text.ptr, *next;

	sql_lex_init(&short_lex, text, whole);
	sql_lex_init(&long_lex, text, whole);
	sql_digest_init(&short_digest, short_text);
	sql_digest_init(&long_digest, long_text);
	for (;;) {
		next = sql_lex_quick(&short_lex, &a, at);
		if (!next) {
			sql_lex_next(&short_lex, &a);
			next = short_lex.at +
			       (short_lex.at < short_lex.end && *short_lex.at == ' ');
		}
		at = next;
		sql_lex_next(&long_lex, &b);
		assert_int_equal(a.kind, b.kind);
		assert_int_equal(a.word, b.word);
		assert_ptr_equal(a.start, b.start);
		assert_ptr_equal(a.end, b.end);
		assert_ptr_equal(short_lex.at, long_lex.at);
		assert_ptr_equal(short_lex.escaped_quote, long_lex.escaped_quote);
		assert_int_equal(short_lex.state, long_lex.state);
		if (a.kind == TOKEN_END)
			break;
		if (!sql_digest_quick(&short_digest, &a, sql_flags[a.kind]))
			sql_digest_add(&short_digest, &a);
		sql_digest_add(&long_digest, &b);
		assert_int_equal(short_digest.len, long_digest.len);
		assert_memory_equal(short_text, long_text, short_digest.len);
	}
	sql_digest_finish(&short_digest, short_lex.cut);
	sql_digest_finish(&long_digest, long_lex.cut);
	assert_string_equal(short_text, long_text);
}

static void check_mutations(const char *sql, size_t n)
{
	static const char nasty[] = "'\"`\\/*!-#;@.,()x0 \n";
	char bytes[8192];
	size_t len = strlen(sql);

	(void)n;
	if (!len || len >= sizeof(bytes))
		return;
	for (int round = 0; round < 40; round++) {
		bytes[0] = (char)next_random(2);
		memcpy(bytes + 1, sql, len);
		for (uint32_t times = 1 + next_random(4); times; times--)
			bytes[1 + next_random((uint32_t)len)] =
				next_random(3) ? nasty[next_random(sizeof(nasty) - 1)]
					       : (char)next_random(256);
		memcpy(room + TEXT_MAX - len - 1, bytes, len + 1);
		LLVMFuzzerTestOneInput(room + TEXT_MAX - len - 1, len + 1);
		check_both_ways((struct slice){room + TEXT_MAX - len, len}, round % 2);
	}
}

static void test_mutations(void **state)
{
	(void)state;
	each_statement(check_mutations);
}

/* Hostile texts: time stays linear in what is captured. */
static void test_garbage(void **state)
{
	static const char *const units[] = {
		"select '\\', ",
		"(",
		"/*",
		"/*! ",
		"'\\''",
		"select 1 from a join ",
		"@",
		"``.",
		"with a as (",
		"-",
		"begin ",
		"create procedure p() begin ",
		"x'",
		"\\",
		";",
		"1.e",
		"/*!99999 /*",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t n = 1, len = strlen(units[i]);

		for (; n + len < TEXT_MAX; n += len)
			memcpy(planted + n, units[i], len);
		for (char flag = 0; flag < 2; flag++) {
			planted[0] = flag;
			memcpy(room + TEXT_MAX - n, planted, n);
			LLVMFuzzerTestOneInput(room + TEXT_MAX - n, n);
		}
	}
}

static void test_fuzz_corpus(void **state)
{
	DIR *dir = opendir(FUZZ_CORPUS);
	struct dirent *entry;
	int n = 0;

	(void)state;
	if (!dir)
		fail_msg("no %s: run from the top of the tree", FUZZ_CORPUS);
	while ((entry = readdir(dir))) {
		char path[512];
		FILE *file;
		size_t len;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), FUZZ_CORPUS "/%s", entry->d_name);
		file = fopen(path, "rb");
		assert_non_null(file);
		len = fread(planted, 1, sizeof(planted), file);
		fclose(file);
		memcpy(room + TEXT_MAX - len, planted, len);
		LLVMFuzzerTestOneInput(room + TEXT_MAX - len, len);
		n++;
	}
	closedir(dir);
	assert_true(n >= 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_literals),    cmocka_unit_test(test_comments),
		cmocka_unit_test(test_placement),   cmocka_unit_test(test_operations),
		cmocka_unit_test(test_mutations),   cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_fuzz_corpus),
	};

	room = (uint8_t *)(uintptr_t)guard_copy(planted, TEXT_MAX).ptr;
	return cmocka_run_group_tests_name("sql_cuts", tests, NULL, NULL);
}
