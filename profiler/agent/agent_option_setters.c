/* SPDX-License-Identifier: Apache-2.0 */
/* See agent_option_setters.h. A wrong value says so at the start, not when it is first used. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "../../out/writer.h"
#include "agent_option_setters.h"
#include "http.h"
#include "push_http.h"

#define MAX_TENANT_BYTES      150
#define MAX_URL_BYTES         2048
#define MAX_HOST_BYTES        253
#define MAX_DIGITS            9
#define OVERHEAD_LEAST	      0.1 /* percent */

#define field_of(t, option, type) ((type *)((char *)(t)->out + (option)->field))

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits only, and few: no sign, no blank, no overflow. */
static bool read_number(const char *text, size_t bytes, unsigned int *out)
{
	unsigned int value = 0;

	if (!bytes || bytes > MAX_DIGITS)
		return false;
	for (size_t i = 0; i < bytes; i++) {
		if (!is_digit(text[i]))
			return false;
		value = value * 10 + (text[i] - '0');
	}
	*out = value;
	return true;
}

static int keep(struct option_taker *t, const char *text, const char **out)
{
	*out = agent_options_keep(t->out, text);
	return *out ? 0 : -ENOMEM;
}

static int number_of(struct option_taker *t, const struct agent_option *option, const char *text,
		     unsigned int *out)
{
	if (read_number(text, strlen(text), out) && *out >= option->least && *out <= option->most)
		return 0;
	message_error("%s takes a whole number from %u to %u, not \"%s\"", agent_option_word(t, option),
		      option->least, option->most, agent_option_quote(text));
	return -EINVAL;
}

int set_number(struct option_taker *t, const struct agent_option *option, const char *text)
{
	return number_of(t, option, text, field_of(t, option, unsigned int));
}

int set_mib(struct option_taker *t, const struct agent_option *option, const char *text)
{
	unsigned int mib;
	int err = number_of(t, option, text, &mib);

	if (!err)
		*field_of(t, option, uint64_t) = (uint64_t)mib << 20;
	return err;
}

/* --- the target --- */

int set_pids(struct option_taker *t, const struct agent_option *option, const char *text)
{
	(void)option;
	return target_option_pids(&t->out->target, text);
}

int set_target_name(struct option_taker *t, const struct agent_option *option, const char *text)
{
	const char *name;
	int err;

	if (strlen(text) >= PATH_MAX) {
		message_error("%s takes at most %d bytes", agent_option_word(t, option), PATH_MAX - 1);
		return -EINVAL;
	}
	err = keep(t, text, &name);
	return err ? err : target_option_name(&t->out->target, option->least, name);
}

int set_all(struct option_taker *t, const struct agent_option *option, const char *text)
{
	(void)option;
	(void)text;
	return target_option_all(&t->out->target);
}

/* --- one of a few --- */

int set_flag(struct option_taker *t, const struct agent_option *option, const char *text)
{
	*field_of(t, option, bool) = text ? !option->least : option->least;
	return 0;
}

int set_parts(struct option_taker *t, const struct agent_option *option, const char *text)
{
	(void)text;
	t->out->parts = option->least;
	return 0;
}

int set_verbosity(struct option_taker *t, const struct agent_option *option, const char *text)
{
	(void)text;
	t->out->verbosity = option->least;
	return 0;
}

int set_keys(struct option_taker *t, const struct agent_option *option, const char *text)
{
	if (!strcmp(text, "prefix"))
		t->out->redis_keys = REDIS_KEYS_PREFIX;
	else if (!strcmp(text, "none"))
		t->out->redis_keys = REDIS_KEYS_NONE;
	else {
		message_error("%s takes prefix or none, not \"%s\"", agent_option_word(t, option),
			      agent_option_quote(text));
		return -EINVAL;
	}
	return 0;
}

int set_overhead(struct option_taker *t, const struct agent_option *option, const char *text)
{
	char *end;
	double percent = strtod(text, &end);

	if (!is_digit(*text) || *end || !(percent >= OVERHEAD_LEAST && percent <= 100)) {
		message_error("%s takes a number from %g to 100, not \"%s\"", agent_option_word(t, option), OVERHEAD_LEAST,
			      agent_option_quote(text));
		return -EINVAL;
	}
	t->out->max_overhead = percent;
	return 0;
}

/* --- text --- */

int set_path(struct option_taker *t, const struct agent_option *option, const char *text)
{
	if (!*text || strlen(text) >= PATH_MAX) {
		message_error("%s takes a path of 1 to %d bytes", agent_option_word(t, option), PATH_MAX - 1);
		return -EINVAL;
	}
	return keep(t, text, field_of(t, option, const char *));
}

/* What goes out in every profile: the server refuses all of it for one bad byte. */
static int check_label_value(const char *what, const char *text)
{
	size_t n = strlen(text);

	if (n && n <= PYROSCOPE_VALUE_BYTES && utf8_valid(text))
		return 0;
	message_error("%s wants a value of 1 to %u bytes in UTF-8%s", what, PYROSCOPE_VALUE_BYTES,
		      n && n <= PYROSCOPE_VALUE_BYTES ? ", and this is not UTF-8" : "");
	return -EINVAL;
}

int set_service(struct option_taker *t, const struct agent_option *option, const char *text)
{
	int err = check_label_value(agent_option_word(t, option), text);

	return err ? err : keep(t, text, &t->out->service);
}

/* It becomes a header: a line end in it would be another header. */
int set_tenant(struct option_taker *t, const struct agent_option *option, const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if (text[i] <= ' ' || text[i] > '~')
			n = 0;
	if (!n || n > MAX_TENANT_BYTES) {
		message_error("%s takes 1 to %d visible ASCII characters, not \"%s\"",
			      agent_option_word(t, option), MAX_TENANT_BYTES, agent_option_quote(text));
		return -EINVAL;
	}
	return keep(t, text, &t->out->tenant);
}

/* --- the server's address --- */

int set_url(struct option_taker *t, const struct agent_option *option, const char *text)
{
	const char *word = agent_option_word(t, option);

	switch (strlen(text) > MAX_URL_BYTES ? PUSH_URL_NONE : push_url_check(text)) {
	case PUSH_URL_FINE:
		return keep(t, text, field_of(t, option, const char *));
	case PUSH_URL_SECRET:
		message_error("%s takes no user and password in the URL, where others could see them: put "
			      "user:password into a file, and give that with --basic-auth-file",
			      word);
		break;
	case PUSH_URL_MORE:
		message_error("%s takes the server's URL, without anything from the ? or # on", word);
		break;
	case PUSH_URL_SCHEME:
	case PUSH_URL_NONE:
		/* What stands before an @ may be a password, also where the rest is no URL. */
		message_error("%s takes a URL such as http://localhost:4040 or https://..., not \"%s\"", word,
			      strchr(text, '@') ? "(not shown)" : agent_option_quote(text));
		break;
	}
	return -EINVAL;
}

/* --- where to listen; whether there is such an address is asked when it begins --- */

static bool is_host_character(char c)
{
	return is_letter(c) || is_digit(c) || c == '.' || c == '-' || c == '_';
}

static bool is_host(const char *text, size_t bytes)
{
	if (!bytes || bytes > MAX_HOST_BYTES)
		return false;
	for (size_t i = 0; i < bytes; i++)
		if (!is_host_character(text[i]))
			return false;
	return true;
}

int set_listen(struct option_taker *t, const struct agent_option *option, const char *text)
{
	if (http_address_problem(text)) {
		message_error("%s takes PORT, HOST:PORT or [V6]:PORT, not \"%s\"", agent_option_word(t, option),
			      agent_option_quote(text));
		return -EINVAL;
	}
	return keep(t, text, &t->out->listen);
}

/* --- lists --- */

int add_host(struct option_taker *t, const struct agent_option *option, const char *text)
{
	struct agent_options *o = t->out;
	int err;

	if (!is_host(text, strlen(text))) {
		message_error("%s takes a host name without a port, not \"%s\"", agent_option_word(t, option),
			      agent_option_quote(text));
		return -EINVAL;
	}
	if (o->n_allow_hosts == AGENT_MAX_HOSTS) {
		message_error("%s can be given at most %d times", agent_option_word(t, option),
			      AGENT_MAX_HOSTS);
		return -EINVAL;
	}
	err = keep(t, text, &o->allow_hosts[o->n_allow_hosts]);
	if (!err)
		o->n_allow_hosts++;
	return err;
}

/* The labels of samples, and those that the server makes itself. */
static bool is_ours(const char *name)
{
	static const char *const ours[] = {"service_name", "phase",  "attribution", "comm",
					   "container",    "thread", "pid",         "tid"};

	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		if (!strcmp(name, ours[i]))
			return true;
	return !strncmp(name, "db_", 3) || !strncmp(name, "__", 2);
}

static int check_label_name(const struct option_taker *t, const char *word, const char *name)
{
	const struct agent_options *o = t->out;

	if (!pyroscope_name_valid(name)) {
		message_error("%s: \"%s\" is no name of a label: letters, digits and _, no digit first", word,
			      agent_option_quote(name));
		return -EINVAL;
	}
	if (is_ours(name)) {
		message_error("%s: the label \"%s\" is wireprof's own%s; choose another name", word,
			      agent_option_quote(name), strcmp(name, "service_name") ? "" : ", see service");
		return -EINVAL;
	}
	for (size_t i = 0; i < o->n_labels; i++) {
		if (!strcmp(o->labels[i].name, name)) {
			message_error("%s: the label \"%s\" was given already", word, agent_option_quote(name));
			return -EINVAL;
		}
	}
	return 0;
}

int add_label(struct option_taker *t, const struct agent_option *option, const char *text)
{
	struct agent_options *o = t->out;
	const char *word = agent_option_word(t, option);
	char *name = agent_options_keep(o, text), *equals;
	int err;

	if (!name)
		return -ENOMEM;
	equals = strchr(name, '=');
	if (!equals) {
		message_error("%s takes NAME=VALUE, not \"%s\"", word, agent_option_quote(text));
		return -EINVAL;
	}
	*equals = '\0';
	err = check_label_name(t, word, name);
	if (!err)
		err = check_label_value(word, equals + 1);
	if (err)
		return err;
	if (o->n_labels == AGENT_MAX_LABELS) {
		message_error("%s can be given at most %d times", word, AGENT_MAX_LABELS);
		return -EINVAL;
	}
	o->labels[o->n_labels++] = (struct pyroscope_label){.name = name, .value = equals + 1};
	return 0;
}
