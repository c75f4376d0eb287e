/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One parsed command -> its name, and its class: what may be said of it in any output.
 *
 *	*3 SET user:1000 hello	   SET		"SET user:*"	"SET user:* ?"
 *	*3 config set maxmemory 0  CONFIG|SET	"CONFIG|SET"	"CONFIG SET ? ?"
 *	*3 EVAL <body> 0	   EVAL		"EVAL 1b936e3f"	"EVAL 1b936e3f ?"
 *
 * Nothing that a client sent comes out but: names from our table (or of a known module), a masked
 * key, the hash of a script, the name of a function. A name that we do not know is "UNKNOWN", since
 * a client's reply looks like a request whose name is the first value, and since a renamed command
 * is a secret of the server's owner.
 */
#include <sha1.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "redis_internal.h"

#define TEXT_ARGS     8  /* arguments that the text shows; the rest are "..." */
#define HASH_SHOWN    8  /* hex digits of a script's SHA-1 */
#define FUNCTION_MAX  48 /* longest name of a function that is shown */
#define MODULE_SUFFIX 24

/* Modules whose commands are named after the fact: prefix, and whether argument 1 is a key. */
static const struct {
	const char *prefix;
	bool has_key;
} modules[] = {
	{"JSON.", true},  {"FT.", true},  {"TS.", true},     {"BF.", true},      {"CF.", true},
	{"CL.", true},    {"CMS.", true}, {"TOPK.", true},   {"TDIGEST.", true}, {"AI.", false},
	{"GRAPH.", true}, {"RG.", false}, {"KEYDB.", false},
};

/* Their commands whose first argument is no key. */
static const char *const keyless[] = {
	"FT.CONFIG",    "FT.CURSOR",  "FT.DICTADD", "FT.DICTDEL", "FT.DICTDUMP",  "FT._LIST",
	"GRAPH.CONFIG", "JSON.DEBUG", "TS.MGET",    "TS.MRANGE",  "TS.MREVRANGE", "TS.QUERYINDEX",
};

static size_t arg_upper(const struct resp_reader *reader, const struct resp_arg *arg, char *out,
			size_t size, bool *whole)
{
	size_t n = resp_arg_copy(reader, arg, (uint8_t *)out, size, whole);

	for (size_t i = 0; i < n; i++)
		if (out[i] >= 'a' && out[i] <= 'z')
			out[i] -= 'a' - 'A';
	return n;
}

/* [A-Z_][A-Z0-9._-]*, upper-cased before */
static bool is_name(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool letter = (name[i] >= 'A' && name[i] <= 'Z') || name[i] == '_';
		bool later = (name[i] >= '0' && name[i] <= '9') || name[i] == '.' || name[i] == '-';

		if (!letter && !(i && later))
			return false;
	}
	return len > 0;
}

static bool read_module_name(const char *text, size_t len, struct redis_name *name)
{
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		size_t prefix = strlen(modules[i].prefix);

		if (len <= prefix || len > prefix + MODULE_SUFFIX ||
		    memcmp(text, modules[i].prefix, prefix))
			continue;
		memcpy(name->operation, text, len);
		name->operation[len] = '\0';
		name->key = modules[i].has_key;
		for (size_t k = 0; k < sizeof(keyless) / sizeof(keyless[0]); k++)
			if (!strcmp(name->operation, keyless[k]))
				name->key = 0;
		return true;
	}
	return false;
}

/* The one command that ends in `text` and is one letter longer; NULL if none or several are. */
static const struct redis_command *find_by_tail(const char *text, size_t len)
{
	const struct redis_command *found = NULL;

	for (size_t i = 0; i < n_redis_commands; i++) {
		const struct redis_command *command = &redis_commands[i];

		if (command->len != len + 1 || memchr(command->name, '|', command->len) ||
		    memcmp(command->name + 1, text, len))
			continue;
		if (found)
			return NULL;
		found = command;
	}
	return found;
}

/* "CONFIG" and "get" -> "CONFIG|GET", if there is such a subcommand. */
static const struct redis_command *find_subcommand(const struct resp_reader *reader,
						   const struct resp_command *command,
						   const struct redis_command *container)
{
	char text[QUERY_OPERATION_BYTES];
	size_t len = container->len, n;
	bool whole;

	if (command->n_kept < 2)
		return NULL;
	memcpy(text, container->name, len);
	text[len++] = '|';
	n = arg_upper(reader, &command->args[1], text + len, sizeof(text) - len, &whole);
	return whole && n ? redis_command_find(text, len + n) : NULL;
}

enum redis_name_status redis_name_read(const struct resp_reader *reader,
				       const struct resp_command *command, struct redis_name *name)
{
	const struct redis_command *known, *sub;
	char text[REDIS_NAME_MAX];
	bool whole;
	size_t len;

	if (!command->n_kept)
		return REDIS_NAME_MISSING;
	if (command->args[0].length > REDIS_NAME_MAX)
		return REDIS_NAME_BAD;
	if (command->is_inline && command->lost_first &&
	    command->args[0].offset != command->start + 1)
		return REDIS_NAME_BAD; /* a blank follows: the whole name is lost, not its first
					  letter */
	len = arg_upper(reader, &command->args[0], text, sizeof(text), &whole);
	if (!is_name(text, len) && (len || whole))
		return REDIS_NAME_BAD;
	if (!whole)
		return REDIS_NAME_MISSING;

	*name = (struct redis_name){.operation = "UNKNOWN", .words = 1};
	if (command->is_inline && command->lost_first)
		known = find_by_tail(text, len);
	else
		known = redis_command_find(text, len);
	if (!known)
		return read_module_name(text, len, name) ? REDIS_NAME_KNOWN : REDIS_NAME_FOREIGN;
	sub = known->is_container ? find_subcommand(reader, command, known) : NULL;
	if (sub) {
		known = sub;
		name->words = 2;
	}
	memcpy(name->operation, known->name, known->len + 1u);
	name->key = known->key;
	return REDIS_NAME_KNOWN;
}

/* Index of the key argument, or 0. */
static uint32_t find_key(const struct resp_reader *reader, const struct resp_command *command,
			 const struct redis_name *name)
{
	char word[8];
	bool whole;

	if (name->key >= 0)
		return (uint32_t)name->key < command->n_kept ? (uint32_t)name->key : 0;
	for (uint32_t i = 1; i + 1 < command->n_kept; i++)
		if (command->args[i].length == strlen("STREAMS") &&
		    arg_upper(reader, &command->args[i], word, sizeof(word), &whole) == 7 &&
		    !memcmp(word, "STREAMS", 7))
			return i + 1;
	return 0;
}

/* First digits of the SHA-1 of a script, which is what the server calls it by. */
static bool hash_script(const struct resp_reader *reader, const struct resp_arg *body, char *out)
{
	uint8_t digest[SHA1_DIGEST_LENGTH];
	uint64_t done = 0;
	SHA1_CTX sha;

	if (body->quoted)
		return false;
	SHA1Init(&sha);
	while (done < body->length) {
		struct slice chunk = resp_chunk(reader, body->offset + done, body->length - done);

		if (!chunk.len)
			return false;
		SHA1Update(&sha, chunk.ptr, chunk.len);
		done += chunk.len;
	}
	SHA1Final(digest, &sha);
	for (size_t i = 0; i < HASH_SHOWN / 2; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
	return true;
}

static bool copy_sha(const struct resp_reader *reader, const struct resp_arg *arg, char *out)
{
	char text[2 * SHA1_DIGEST_LENGTH];
	bool whole;

	if (arg->length != sizeof(text))
		return false;
	arg_upper(reader, arg, text, sizeof(text), &whole);
	if (!whole)
		return false;
	for (size_t i = 0; i < sizeof(text); i++)
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'A' && text[i] <= 'F')))
			return false;
	for (size_t i = 0; i < HASH_SHOWN; i++)
		out[i] = text[i] >= 'A' ? text[i] | 0x20 : text[i];
	out[HASH_SHOWN] = '\0';
	return true;
}

static bool copy_function(const struct resp_reader *reader, const struct resp_arg *arg, char *out)
{
	bool whole;
	size_t len = resp_arg_copy(reader, arg, (uint8_t *)out, FUNCTION_MAX, &whole);

	for (size_t i = 0; i < len; i++) {
		char c = out[i];

		if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
		      c == '_'))
			return false;
	}
	out[len] = '\0';
	return whole && len;
}

/* What tells one script from another: fills *out if the command runs one and we can tell. */
static bool find_script(const struct resp_reader *reader, const struct resp_command *command,
			const struct redis_name *name, char out[static REDIS_KEY_BYTES])
{
	const char *operation = name->operation;

	if (command->n_kept < 2)
		return false;
	if (!strcmp(operation, "EVAL") || !strcmp(operation, "EVAL_RO"))
		return hash_script(reader, &command->args[1], out);
	if (!strcmp(operation, "EVALSHA") || !strcmp(operation, "EVALSHA_RO"))
		return copy_sha(reader, &command->args[1], out);
	if (!strcmp(operation, "FCALL") || !strcmp(operation, "FCALL_RO"))
		return copy_function(reader, &command->args[1], out);
	return false;
}

static size_t append(char *out, size_t size, size_t n, const char *text)
{
	size_t len = strlen(text);

	if (n + len >= size)
		return n;
	memcpy(out + n, text, len + 1);
	return n + len;
}

/* "SET user:* ?": the operation in words, one argument shown, the others not. */
static void build_text(const struct resp_command *command, const struct redis_name *name,
		       uint32_t shown, const char *word, struct query_class *out)
{
	size_t n = append(out->text, sizeof(out->text), 0, name->operation);
	char *bar = strchr(out->text, '|');

	if (bar)
		*bar = ' ';
	for (uint32_t i = name->words; i < command->n_args; i++) {
		if (i - name->words == TEXT_ARGS) {
			append(out->text, sizeof(out->text), n, " ...");
			break;
		}
		n = append(out->text, sizeof(out->text), n, " ");
		n = append(out->text, sizeof(out->text), n, i == shown ? word : "?");
	}
}

void redis_class_build(const struct resp_reader *reader, const struct resp_command *command,
		       const struct redis_name *name, enum redis_keys keys, struct query_class *out)
{
	uint32_t shown = keys == REDIS_KEYS_PREFIX ? find_key(reader, command, name) : 0;
	uint8_t key[REDIS_KEY_BYTES];
	char word[REDIS_KEY_BYTES];
	bool whole;
	size_t n;

	if (shown) {
		const struct resp_arg *arg = &command->args[shown];
		size_t len = resp_arg_copy(reader, arg, key, sizeof(key), &whole);

		redis_key_mask((struct slice){key, len}, whole ? len : arg->length, word);
	} else if (find_script(reader, command, name, word)) {
		shown = 1;
	}

	out->collection[0] = '\0';
	append(out->operation, sizeof(out->operation), 0, name->operation);
	n = append(out->summary, sizeof(out->summary), 0, name->operation);
	if (shown) {
		n = append(out->summary, sizeof(out->summary), n, " ");
		append(out->summary, sizeof(out->summary), n, word);
	}
	build_text(command, name, shown, word, out);
}
