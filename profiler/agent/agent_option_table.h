/* SPDX-License-Identifier: Apache-2.0 */
/* Within agent_option*.c: what the options are. agent_options.c knows where they come from. */
#ifndef WIREPROF_AGENT_OPTION_TABLE_H
#define WIREPROF_AGENT_OPTION_TABLE_H

#include "agent_options.h"

#define AGENT_OPTION_MAX 48

/* Which goes before which: what a later one of these says replaces what an earlier one said. */
enum option_source { FROM_NOWHERE, FROM_FILE, FROM_ENVIRONMENT, FROM_COMMAND_LINE };

/*
 * Options that are replaced together. Of an exclusive group one source can give one option; LABELS and HOSTS are
 * lists of one option.
 */
enum option_group {
	GROUP_NONE,
	GROUP_TARGET,
	GROUP_PARTS,
	GROUP_VERBOSITY,
	GROUP_SECRET,
	GROUP_LABELS,
	GROUP_HOSTS,
	N_OPTION_GROUPS
};

struct option_taker;

struct agent_option {
	const char *name;
	char letter;	   /* 0: none */
	const char *value; /* how the usage calls it; NULL: yes or no */
	const char *help;  /* \n: goes on in the next line */
	enum option_group group;
	bool repeatable;	  /* several lines of a file; of a list also commas in the environment */
	bool command_line_only;
	const char *heading;	  /* of the options from here on, in the usage */
	const char *needs;	  /* has no effect without that option */
	/* Takes a text, or of yes and no, where text is NULL, yes. Returns 0, or -EINVAL after a message. */
	int (*set)(struct option_taker *t, const struct agent_option *option, const char *text);
	size_t field;		  /* offset in struct agent_options */
	unsigned int least, most; /* of a number; else what the option stands for */
};

extern const struct agent_option agent_option_table[];
extern const size_t agent_option_count; /* at most AGENT_OPTION_MAX */

/* Options on their way in. */
struct option_taker {
	struct agent_options *out;
	enum option_source source;	   /* of what is being taken */
	enum option_source given[AGENT_OPTION_MAX];
	unsigned int line[AGENT_OPTION_MAX]; /* in the file */
	struct {
		enum option_source source;
		const struct agent_option *choice; /* the last that was taken */
	} group[N_OPTION_GROUPS];
};

/* Fills in what holds where nothing is said. Returns 0, or -ENOMEM after a message. */
int agent_options_default(struct agent_options *o);

/* Returns the option of that name, or NULL. */
const struct agent_option *agent_option_find(const char *name);

/* What the user calls it: "--window" on the command line, else "window". Valid until the next call but one. */
const char *agent_option_word(const struct option_taker *t, const struct agent_option *option);

/* Text of the user's, fit for a message: at most 60 bytes, no control characters. Valid until the next call. */
const char *agent_option_quote(const char *text);

/* Keeps a copy until agent_options_fini(). NULL after a message: no memory. */
char *agent_options_keep(struct agent_options *o, const char *text);

#endif
