/* SPDX-License-Identifier: Apache-2.0 */
/* See container_path.h. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "container_path.h"

#define ID_DIGITS	64
#define TASK_ID_DIGITS	32 /* of an id with a number behind it */

struct component {
	const char *text;
	size_t length;
};

static bool is_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool ends_with(const struct component *c, const char *end)
{
	size_t n = strlen(end);

	return c->length >= n && !memcmp(c->text + c->length - n, end, n);
}

static bool starts_with(const struct component *c, const char *start)
{
	size_t n = strlen(start);

	return c->length >= n && !memcmp(c->text, start, n);
}

/* How many bytes of an id's form are at the end: 64 digits, or 32 digits and "-123". 0: none. More digits may be before. */
static size_t id_at_end(const char *text, size_t length)
{
	size_t number = 0, digits = 0;

	while (digits < length && is_digit(text[length - 1 - digits]))
		digits++;
	if (digits >= ID_DIGITS)
		return ID_DIGITS;
	while (number < length && isdigit((unsigned char)text[length - 1 - number]))
		number++;
	if (!number || number + 1 + TASK_ID_DIGITS > length || text[length - 1 - number] != '-')
		return 0;
	for (digits = 0; digits + number + 1 < length && is_digit(text[length - 2 - number - digits]);)
		digits++;
	return digits == TASK_ID_DIGITS ? TASK_ID_DIGITS + 1 + number : 0;
}

bool container_id_whole(const char *text)
{
	size_t n = strlen(text);

	return n && n < CONTAINER_ID_BYTES && id_at_end(text, n) == n;
}

bool container_id_digits(const char *text)
{
	size_t n = strspn(text, "0123456789abcdef");

	if (n == TASK_ID_DIGITS && text[n] == '-')
		n += 1 + strspn(text + n + 1, "0123456789");
	return n && !text[n] && n <= ID_DIGITS;
}

static bool take(struct container_in_path *out, const char *text, size_t length, bool is_id)
{
	if (!length || length >= sizeof(out->id))
		return false;
	memcpy(out->id, text, length);
	out->id[length] = '\0';
	out->is_id = is_id;
	return true;
}

static bool take_id(struct container_in_path *out, const struct component *c)
{
	size_t length = ends_with(c, ".scope") ? c->length - strlen(".scope") : c->length, n = id_at_end(c->text, length);
	struct component before = {c->text, length - n};

	if (!n || (before.length && isalnum((unsigned char)before.text[before.length - 1])))
		return false;
	if (ends_with(&before, "conmon-"))
		return false;
	return take(out, c->text + before.length, n, true);
}

static int digit_value(char c)
{
	return !is_digit(c) ? -1 : c <= '9' ? c - '0' : c - 'a' + 10;
}

/* The character that "\x2d" stands for, or 0: systemd writes other than letters, digits, ':', '_' and '.' of a name so. */
static char escaped(const char *text)
{
	int high, low;

	if (text[0] != '\\' || text[1] != 'x')
		return 0;
	high = digit_value(text[2]);
	low = high < 0 ? -1 : digit_value(text[3]);
	return (char)(low < 0 ? 0 : high << 4 | low);
}

static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		char c = escaped(from);

		*to = c ? c : *from;
		from += c ? 4 : 1;
	}
	*to = '\0';
}

static bool take_between(struct container_in_path *out, const struct component *c, const char *start, const char *end)
{
	size_t around = strlen(start) + strlen(end);

	return c->length > around && starts_with(c, start) && ends_with(c, end) &&
	       take(out, c->text + strlen(start), c->length - around, false);
}

/* systemd-machined also has virtual machines, that are no containers: "machine-qemu\x2d1\x2dname.scope". */
static bool take_machine(struct container_in_path *out, const struct component *c)
{
	if (!take_between(out, c, "machine-", ".scope") && !take_between(out, c, "systemd-nspawn@", ".service"))
		return false;
	unescape(out->id);
	return strncmp(out->id, "qemu-", 5) != 0;
}

static bool take_lxc(struct container_in_path *out, const struct component *c, const struct component *before, bool at_top)
{
	if (take_between(out, c, "lxc.payload.", ""))
		return true;
	if (!at_top || (!(before->length == 3 && starts_with(before, "lxc")) &&
			!(before->length == 11 && starts_with(before, "lxc.payload"))))
		return false;
	return take(out, c->text, c->length, false);
}

static bool next_component(const char **at, struct component *c)
{
	*at += strspn(*at, "/");
	*c = (struct component){*at, strcspn(*at, "/")};
	*at += c->length;
	return c->length;
}

static bool find(const char *path, struct container_in_path *out, bool innermost)
{
	struct component c, before = {"", 0};
	bool found = false;

	*out = (struct container_in_path){0};
	for (const char *at = path; (innermost || !found) && next_component(&at, &c); before = c) {
		struct container_in_path one = {.path_length = at - path};

		if (!take_id(&one, &c) && !take_lxc(&one, &c, &before, before.text == path + 1) && !take_machine(&one, &c))
			continue;
		/* The same container again, in cgroups of its own making, stays the one that is found. */
		if (found && !strcmp(one.id, out->id))
			continue;
		one.nested = found;
		*out = one;
		found = true;
	}
	return found;
}

bool container_in_path(const char *path, struct container_in_path *out)
{
	return find(path, out, false);
}

bool container_in_path_innermost(const char *path, struct container_in_path *out)
{
	return find(path, out, true);
}
