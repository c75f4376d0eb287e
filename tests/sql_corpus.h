/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of tests/corpus/sql: statements, and what is expected of them. See
 * tests/live/test_sql_digest.py. */
#ifndef WIREPROF_TESTS_SQL_CORPUS_H
#define WIREPROF_TESTS_SQL_CORPUS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SQL_CORPUS "tests/corpus/sql"

static const char *const sql_corpus_files[] = {"bench", "ddl", "dml", "orm", "other"};
#define SQL_CORPUS_FILES (sizeof(sql_corpus_files) / sizeof(sql_corpus_files[0]))

/* All of a file, with a NUL behind it; exits where there is none. To be freed. */
static inline char *sql_corpus_read(const char *name, const char *ending)
{
	char path[256], *text;
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), SQL_CORPUS "/%s.%s", name, ending);
	file = fopen(path, "rb");
	text = malloc(1 << 20);
	if (!file || !text) {
		fprintf(stderr, "no %s: run from the top of the tree\n", path);
		exit(1);
	}
	n = fread(text, 1, (1 << 20) - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

/* The next line, without its end, which becomes NUL; NULL behind the last. */
static inline char *sql_corpus_line(char **rest)
{
	char *line = *rest, *end = strchr(line, '\n');

	if (!end)
		return NULL;
	*end = '\0';
	*rest = end + 1;
	return line;
}

#endif
