/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the agent's options come from, and which of them holds. Each source is taken whole, the least first: the file,
 * the environment, the command line; what a later one says replaces what an earlier one said. So a wrong value is
 * found in every source, also where another source overrides it. See agent_options.h.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent_config.h"
#include "agent_option_table.h"

#define PREFIX         "WIREPROF_"
#define VARIABLE_BYTES 64
#define FIRST_LONG     256 /* what getopt_long() returns for the first long name */

/* --- one option --- */

static size_t place_of(const struct agent_option *option)
{
	return option - agent_option_table;
}

static void reset_group(struct option_taker *t, enum option_group group)
{
	struct agent_options *o = t->out;

	switch (group) {
	case GROUP_TARGET:
		o->target = (struct target_options){0};
		break;
	case GROUP_PARTS:
		o->parts = STACKS_ALL;
		break;
	case GROUP_VERBOSITY:
		o->verbosity = MESSAGE_NORMAL;
		break;
	case GROUP_SECRET:
		o->basic_auth_file = o->bearer_file = NULL;
		break;
	case GROUP_LABELS:
		o->n_labels = 0;
		break;
	case GROUP_HOSTS:
		o->n_allow_hosts = 0;
		break;
	case GROUP_NONE:
	case N_OPTION_GROUPS:
		break;
	}
	t->group[group].choice = NULL;
}

/* What an earlier source said is gone; what this one said must be the same option. */
static int enter_group(struct option_taker *t, const struct agent_option *option)
{
	const struct agent_option *choice = t->group[option->group].choice;

	if (t->group[option->group].source != t->source) {
		reset_group(t, option->group);
	} else if (choice && choice != option) {
		char other[VARIABLE_BYTES];

		snprintf(other, sizeof(other), "%s", agent_option_word(t, choice));
		message_error("give either %s or %s, not both", other, agent_option_word(t, option));
		return -EINVAL;
	}
	t->group[option->group].source = t->source;
	t->group[option->group].choice = option;
	return 0;
}

static int parse_bool(const struct option_taker *t, const struct agent_option *option, const char *text,
		      bool *out)
{
	static const char *const words[] = {"no", "yes", "false", "true", "0", "1"};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (!strcmp(text, words[i])) {
			*out = i % 2;
			return 0;
		}
	}
	message_error("%s takes yes or no, not \"%s\"", agent_option_word(t, option), agent_option_quote(text));
	return -EINVAL;
}

static int take_bool(struct option_taker *t, const struct agent_option *option, const char *text)
{
	bool yes = true;
	int err = text ? parse_bool(t, option, text, &yes) : 0;

	if (err)
		return err;
	if (yes || option->group == GROUP_NONE) {
		err = option->group ? enter_group(t, option) : 0;
		return err ? err : option->set(t, option, yes ? NULL : "no");
	}
	/* "all = no" chooses no other target: it takes back this one. */
	if (t->group[option->group].choice == option)
		reset_group(t, option->group);
	return 0;
}

static int take(struct option_taker *t, const struct agent_option *option, const char *text)
{
	int err = 0;

	if (!option->value) {
		err = take_bool(t, option, text);
	} else {
		if (option->group)
			err = enter_group(t, option);
		if (!err)
			err = option->set(t, option, text);
	}
	t->given[place_of(option)] = t->source;
	return err;
}

/* --- the file --- */

static int unknown_key(const char *key)
{
	if (!strcmp(key, "basic-auth") || !strcmp(key, "bearer"))
		message_error("a secret does not stand here: put it into a file, and give that as %s-file",
			      key);
	else
		message_error("unknown key \"%s\"; see wireprof agent --help", agent_option_quote(key));
	return -EINVAL;
}

static int take_line(void *context, const char *key, const char *value, unsigned int line)
{
	const struct agent_option *option = agent_option_find(key);
	struct option_taker *t = context;
	size_t place;

	if (!option || option->command_line_only)
		return unknown_key(key);
	if (!strcmp(key, "config")) {
		message_error("a configuration file cannot name another");
		return -EINVAL;
	}
	place = place_of(option);
	if (t->given[place] == t->source && !option->repeatable) {
		message_error("%s was given already, in line %u", key, t->line[place]);
		return -EINVAL;
	}
	t->line[place] = line;
	return take(t, option, value);
}

/* --- the environment: what is empty is as if it were not there --- */

static void variable_of(const struct agent_option *option, char out[static VARIABLE_BYTES])
{
	snprintf(out, VARIABLE_BYTES, PREFIX "%s", option->name);
	for (char *p = out + strlen(PREFIX); *p; p++)
		*p = *p == '-' ? '_' : *p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p;
}

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* Several labels or hosts: separated by commas. (Process ids are so anyway.) */
static int take_list(struct option_taker *t, const struct agent_option *option, const char *text)
{
	char *copy = agent_options_keep(t->out, text), *next = copy, *item;
	int err = copy ? 0 : -ENOMEM;

	while (!err && (item = strsep(&next, ",")))
		err = take(t, option, item);
	return err;
}

static int take_environment(struct option_taker *t)
{
	char name[VARIABLE_BYTES];
	int err = 0;

	t->source = FROM_ENVIRONMENT;
	for (size_t i = 0; i < agent_option_count && !err; i++) {
		const struct agent_option *option = &agent_option_table[i];
		const char *value;

		variable_of(option, name);
		value = option->command_line_only ? NULL : variable(name);
		if (!value)
			continue;
		message_where(name);
		err = option->repeatable && option->group != GROUP_TARGET ? take_list(t, option, value)
									  : take(t, option, value);
		message_where(NULL);
	}
	return err;
}

static bool is_known_variable(const char *name, size_t bytes)
{
	static const char *const others[] = {"WIREPROF_HOOK", "WIREPROF_DUTY", "WIREPROF_BASIC_AUTH", "WIREPROF_BEARER"};
	char known[VARIABLE_BYTES];

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (strlen(others[i]) == bytes && !memcmp(others[i], name, bytes))
			return true;
	for (size_t i = 0; i < agent_option_count; i++) {
		variable_of(&agent_option_table[i], known);
		if (!agent_option_table[i].command_line_only && strlen(known) == bytes &&
		    !memcmp(known, name, bytes))
			return true;
	}
	return false;
}

/* A typing error would else go unseen. The values are nobody's business: there may be a secret in one. */
static void warn_of_unknown_variables(void)
{
	char name[VARIABLE_BYTES];

	for (char **p = environ; p && *p; p++) {
		size_t bytes = strcspn(*p, "=");

		if (strncmp(*p, PREFIX, strlen(PREFIX)) || is_known_variable(*p, bytes))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(bytes < sizeof(name) ? bytes : sizeof(name) - 1),
			 *p);
		message_warn("there is no option for %s in the environment; see wireprof agent --help",
			     agent_option_quote(name));
	}
}

/* --- the command line --- */

/* For getopt_long(): returns the letters. */
static const char *prepare_getopt(struct option longs[static AGENT_OPTION_MAX + 1],
				  char letters[static 2 * AGENT_OPTION_MAX + 3])
{
	char *p = letters;

	*p++ = '+'; /* the first word that is no option ends them */
	*p++ = ':'; /* a missing value is told from an unknown option */
	for (size_t i = 0; i < agent_option_count; i++) {
		const struct agent_option *option = &agent_option_table[i];

		longs[i] = (struct option){
			.name = option->name,
			.has_arg = option->value ? required_argument : optional_argument,
			.val = FIRST_LONG + (int)i,
		};
		if (option->letter) {
			*p++ = option->letter;
			if (option->value)
				*p++ = ':';
		}
	}
	longs[agent_option_count] = (struct option){0};
	*p = '\0';
	return letters;
}

static const struct agent_option *option_of(int c)
{
	if (c >= FIRST_LONG)
		return &agent_option_table[c - FIRST_LONG];
	for (size_t i = 0; i < agent_option_count; i++)
		if (agent_option_table[i].letter == c)
			return &agent_option_table[i];
	return NULL;
}

/* getopt_long() takes the start of a name for the name: "--bearer TOKEN" would be --bearer-file, the token a path. */
static bool is_whole(const char *word, const struct agent_option *option)
{
	size_t bytes = strlen(option->name);

	return !strncmp(word, "--", 2) && !strncmp(word + 2, option->name, bytes) &&
	       (!word[2 + bytes] || word[2 + bytes] == '=');
}

static int refuse_word(const char *word, int letter)
{
	const char short_form[] = {'-', (char)letter, '\0'};
	size_t bytes = strcspn(word, "=");

	if ((bytes == 12 && !memcmp(word, "--basic-auth", 12)) ||
	    (bytes == 8 && !memcmp(word, "--bearer", 8))) {
		message_error(
			"a secret does not stand on the command line, where every user can see it: put it into "
			"a file, and give that with %.*s-file",
			(int)bytes, word);
		return -EINVAL;
	}
	/* Of letters in one word, "-xq", getopt() knows the letter, and has not left the word. */
	message_error("unknown option \"%s\"; see wireprof agent --help",
		      agent_option_quote(strncmp(word, "--", 2) && letter ? short_form : word));
	return -EINVAL;
}

typedef int (*option_fn)(struct option_taker *t, const struct agent_option *option, const char *text);

static int walk(int argc, char **argv, struct option_taker *t, option_fn found)
{
	struct option longs[AGENT_OPTION_MAX + 1];
	char letters[2 * AGENT_OPTION_MAX + 3];
	int c, err, at = 1;

	prepare_getopt(longs, letters);
	optind = 0;
	opterr = 0;
	for (; (c = getopt_long(argc, argv, letters, longs, NULL)) != -1; at = optind) {
		const struct agent_option *option = option_of(c);
		const char *word = argv[at];

		if (c == ':') {
			message_error("option \"%s\" wants a value; see wireprof agent --help",
				      agent_option_quote(word));
			return -EINVAL;
		}
		if (!option || (c >= FIRST_LONG && !is_whole(word, option)))
			return refuse_word(word, c >= FIRST_LONG ? 0 : optopt);
		err = found(t, option, optarg);
		if (err)
			return err;
	}
	if (optind < argc) {
		message_error(
			"unexpected \"%s\": the agent starts no command, it watches what runs; see wireprof agent --help",
			agent_option_quote(argv[optind]));
		return -EINVAL;
	}
	return 0;
}

/* The first walk: what has to be known before the file is read. */
static int look_ahead(struct option_taker *t, const struct agent_option *option, const char *text)
{
	if (!strcmp(option->name, "help"))
		return 1;
	return strcmp(option->name, "config") ? 0 : option->set(t, option, text);
}

/* --- all of them --- */

static int take_all(int argc, char **argv, struct option_taker *t)
{
	const char *config = variable("WIREPROF_CONFIG");
	int err;

	t->source = FROM_COMMAND_LINE;
	err = walk(argc, argv, t, look_ahead);
	if (err)
		return err;
	if (t->out->config)
		config = t->out->config;
	t->source = FROM_FILE;
	err = config ? agent_config_read(config, take_line, t) : 0;
	if (!err)
		err = take_environment(t);
	t->source = FROM_COMMAND_LINE;
	return err ? err : walk(argc, argv, t, take);
}

static int check(const struct agent_options *o)
{
	if (!o->target.kind) {
		message_error("what to profile? Give -p PID, --comm NAME, -c CONTAINER, --cgroup PATH, or -a");
		return -EINVAL;
	}
	if (!o->pyroscope && !o->out_dir && !o->listen) {
		message_error("where to? Give --pyroscope URL, --out-dir DIR, or --listen ADDRESS");
		return -EINVAL;
	}
	return 0;
}

static bool is_given(const struct option_taker *t, const char *name)
{
	return t->given[place_of(agent_option_find(name))] != FROM_NOWHERE;
}

/* No error: a file for many machines may well have the token's path where one of them does not push. */
static void warn_of_idle_options(const struct option_taker *t)
{
	const char *url = t->out->pyroscope;

	for (size_t i = 0; i < agent_option_count; i++) {
		const struct agent_option *option = &agent_option_table[i];

		if (option->needs && t->given[i] != FROM_NOWHERE && !is_given(t, option->needs))
			message_warn("%s has no effect without %s", option->name, option->needs);
	}
	if (t->out->ca_file && url && strncasecmp(url, "https:", 6))
		message_warn("ca-file has no effect with an http URL");
}

int agent_options_parse(int argc, char **argv, struct agent_options *out)
{
	struct option_taker t = {.out = out};
	int err;

	err = agent_options_default(out);
	if (!err)
		err = take_all(argc, argv, &t);
	if (!err)
		err = check(out);
	if (err) {
		agent_options_fini(out);
		return err > 0 ? err : -EINVAL;
	}
	message_verbosity = out->verbosity;
	warn_of_unknown_variables();
	warn_of_idle_options(&t);
	return 0;
}

/* --- what is done with them later --- */

static bool same_pids(const struct target_options *a, const struct target_options *b)
{
	bool found = a->n_pids == b->n_pids;

	for (size_t i = 0; i < a->n_pids && found; i++) {
		found = false;
		for (size_t j = 0; j < b->n_pids && !found; j++)
			found = a->pids[i] == b->pids[j];
	}
	return found;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool agent_options_same_kernel(const struct agent_options *a, const struct agent_options *b)
{
	return a->target.kind == b->target.kind && same_text(a->target.name, b->target.name) &&
	       same_pids(&a->target, &b->target) && a->frequency_hz == b->frequency_hz &&
	       a->requests == b->requests && a->max_overhead == b->max_overhead && a->redis_keys == b->redis_keys && a->query_text == b->query_text;
}
