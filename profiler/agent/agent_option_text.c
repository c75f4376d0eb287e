/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's options as text: what the options keep, what messages quote, the usage. See agent_option_table.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../out/writer.h"
#include "agent_option_table.h"

#define WORD_BYTES   64
#define QUOTED_BYTES 60
#define HELP_COLUMN  32

char *agent_options_keep(struct agent_options *o, const char *text)
{
	char **more = reallocarray(o->strings, o->n_strings + 1, sizeof(*more)), *copy;

	if (more)
		o->strings = more;
	copy = more ? strdup(text) : NULL;
	if (!copy) {
		message_error("out of memory");
		return NULL;
	}
	o->strings[o->n_strings++] = copy;
	return copy;
}

void agent_options_fini(struct agent_options *o)
{
	for (size_t i = 0; i < o->n_strings; i++)
		free(o->strings[i]);
	free(o->strings);
	*o = (struct agent_options){0};
}

const char *agent_option_word(const struct option_taker *t, const struct agent_option *option)
{
	static _Thread_local char words[2][WORD_BYTES];
	static _Thread_local unsigned int turn;
	char *word = words[++turn % 2];

	snprintf(word, WORD_BYTES, "%s%s", t->source == FROM_COMMAND_LINE ? "--" : "", option->name);
	return word;
}

const char *agent_option_quote(const char *text)
{
	static _Thread_local char quoted[QUOTED_BYTES + sizeof("...")];
	size_t used = 0, n;

	for (; *text; text += n) {
		uint32_t c;

		n = utf8_decode(text, &c);
		if (used + n > QUOTED_BYTES) {
			memcpy(quoted + used, "...", 3);
			used += 3;
			break;
		}
		if (c < ' ' || (c >= 0x7f && c < 0xa0) || (c == UTF8_REPLACEMENT && n == 1)) {
			quoted[used++] = '?';
		} else {
			memcpy(quoted + used, text, n);
			used += n;
		}
	}
	quoted[used] = '\0';
	return quoted;
}

/* "  -p, --pid PID[,PID...]", then the help beside it, or below where it is long. */
static void print_option(FILE *to, const struct agent_option *option)
{
	char left[2 * WORD_BYTES];
	const char *line = option->help;
	int used;

	used = snprintf(left, sizeof(left), "  %c%c%c --%s%s%s", option->letter ? '-' : ' ',
			option->letter ? option->letter : ' ', option->letter ? ',' : ' ', option->name,
			option->value ? " " : "", option->value ? option->value : "");
	if (used < HELP_COLUMN - 1)
		fprintf(to, "%-*s", HELP_COLUMN, left);
	else
		fprintf(to, "%s\n%*s", left, HELP_COLUMN, "");
	for (const char *end; (end = strchr(line, '\n')); line = end + 1)
		fprintf(to, "%.*s\n%*s", (int)(end - line), line, HELP_COLUMN, "");
	fprintf(to, "%s\n", line);
}

void agent_options_usage(FILE *to)
{
	fputs("usage: wireprof agent TARGET [options]\n"
	      "\n"
	      "Profiles without end, in windows; each sample has its stack and the database request it served.\n",
	      to);
	for (size_t i = 0; i < agent_option_count; i++) {
		if (agent_option_table[i].heading)
			fprintf(to, "\n%s:\n", agent_option_table[i].heading);
		print_option(to, &agent_option_table[i]);
	}
	fputs("\n"
	      "An option is also a key of the configuration file (window = 10) and a variable of the environment\n"
	      "(WIREPROF_WINDOW=10). The command line goes before the environment, that before the file.\n"
	      "SIGHUP reads the file again. See wireprof-agent(8).\n",
	      to);
}
