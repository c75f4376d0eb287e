/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast statements are normalised: each set of statements is classified again and again, and
 *what one pass takes is the median of all passes.
 *
 *	sql [-n PASSES]		default: 400
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "protocols/sql.h"
#include "tests/sql_corpus.h"

#define PASSES_MAX     10000
#define STATEMENTS_MAX 1024
#define INSERT_ROWS    1000

static struct slice statements[STATEMENTS_MAX];
static size_t n_statements, n_bytes;
static unsigned int passes = 400;

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add(const char *text, size_t len)
{
	if (n_statements == STATEMENTS_MAX)
		return;
	statements[n_statements++] = (struct slice){(const uint8_t *)text, len};
	n_bytes += len;
}

/* The lines of a file stay in memory. */
static void add_file(const char *name)
{
	char *rest = sql_corpus_read(name, "sql"), *line;

	while ((line = sql_corpus_line(&rest)))
		add(line, strlen(line));
}

static void measure(const char *what)
{
	static double seconds[PASSES_MAX];
	static struct query_class class;
	double median;

	for (unsigned int pass = 0; pass < passes; pass++) {
		double start = now();

		for (size_t i = 0; i < n_statements; i++)
			sql_classify(statements[i], true, &class);
		seconds[pass] = now() - start;
	}
	qsort(seconds, passes, sizeof(seconds[0]), by_value);
	median = seconds[passes / 2];
	printf("%-28s %5zu statements, %5zu bytes each: %6.0f MB/s, %7.0f ns a statement\n", what,
	       n_statements, n_bytes / n_statements, (double)n_bytes / median / 1e6,
	       median / (double)n_statements * 1e9);
	n_statements = n_bytes = 0;
}

/* What mysqldump and bulk loads send. */
static void measure_insert(void)
{
	static char text[INSERT_ROWS * 128];
	size_t n = (size_t)sprintf(text, "INSERT INTO `sbtest1` VALUES ");

	for (int i = 0; i < INSERT_ROWS; i++)
		n += (size_t)sprintf(text + n, "%s(%d,%d,'%011d-%011d-%011d-%011d','%011d')",
				     i ? "," : "", i, i * 7919, i, i * 3, i * 5, i * 7, i * 11);
	add(text, n);
	measure("INSERT of 1000 rows");
}

int main(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "n:h")) != -1) {
		passes = option == 'n' ? (unsigned int)strtoul(optarg, NULL, 10) : 0;
		if (!passes || passes > PASSES_MAX) {
			fprintf(stderr, "usage: sql [-n PASSES]\n");
			return option == 'h' ? 0 : 2;
		}
	}
	add_file("bench");
	measure("sysbench, TPC-C, TPC-H");
	add_file("orm");
	measure("ORMs, WordPress");
	for (size_t i = 0; i < SQL_CORPUS_FILES; i++)
		add_file(sql_corpus_files[i]);
	measure("all of tests/corpus/sql");
	measure_insert();
	return 0;
}
