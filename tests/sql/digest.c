/* SPDX-License-Identifier: Apache-2.0 */
/* Statements on stdin, one a line -> operation, summary, text, collection, separated by tabs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "protocols/sql.h"

int main(void)
{
	static struct query_class class;
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&line, &size, stdin)) > 0) {
		struct slice text = {(const uint8_t *)line, (size_t)len};

		if (line[len - 1] == '\n')
			text.len--;
		if (sql_classify(text, true, &class))
			printf("%s\t%s\t%s\t%s\n", class.operation, class.summary, class.text,
			       class.collection);
		else
			puts("\t\t\t");
		fflush(stdout);
	}
	free(line);
	return 0;
}
