/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flame graph page: that the profile is spliced in as data that no name can break out of, and that
 * the compact form says what the profile said. What the page does with it is tested in a browser
 * (tests/live/test_page.py).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sample_profile.h"
#include "write_to_memory.h"

#define DATA_OPEN "<script type=\"application/json\" id=\"data\">"

/* The JSON of a page, cut out where a browser would: at the first "</script". */
static char *page_json(const struct sample_profile *s, char **page)
{
	size_t len;
	char *start, *end;

	*page = write_to_memory(flamegraph_write, &s->p, &len);
	assert_int_equal(strlen(*page), len);
	start = strstr(*page, DATA_OPEN);
	assert_non_null(start);
	start += strlen(DATA_OPEN);
	end = strcasestr(start, "</script");
	assert_non_null(end);
	*end = 0;
	return start;
}

static struct sample_profile *profile_of_names(const char *const *names, uint32_t n)
{
	struct sample_profile *s = sample_profile_empty(100);
	uint32_t path[16];

	sample_mapping(s, "/bin/a", 0x400000);
	sample_labelset(s);
	for (uint32_t i = 0; i < n; i++)
		path[i] = sample_location(s, 0, PROFILE_USER, NULL, names[i]);
	sample_add(s, sample_stack(s, path, n), 0, 1500000);
	return s;
}

static void hostile_names_stay_data(void **state)
{
	static const char *const names[] = {HOSTILE_SCRIPT,   HOSTILE_IMAGE,     HOSTILE_COMMENT,
					    HOSTILE_QUOTES,   HOSTILE_LINES,     HOSTILE_BYTES,
					    "@PROFILE_JSON@", "\xf0\x9f\x90\x98"};
	struct sample_profile *s = profile_of_names(names, 8);
	char *page, *json = page_json(s, &page);

	(void)state;
	assert_int_equal(json[strlen(json) - 1], '}'); /* the cut was at the end of the data */
	assert_null(strchr(json, '<'));
	assert_null(strstr(json, "\xe2\x80\xa8"));
	assert_non_null(
		strstr(json, "\"\\u003c/script\\u003e\\u003cscript\\u003ewindow.pwned=1\\u003c/"
			     "script\\u003e\""));
	assert_non_null(strstr(json, "\"a\\u0022b'c\\u005cd\\u0026amp;${window.pwned=3}\""));
	assert_non_null(strstr(json, "\"semi;colon\\u000anew\\u0009line\\u0001\\u007f\\u2028|\""));
	/* ff; c0 af; ed a0 80 (a surrogate); f4 90 80 80 (beyond Unicode); e2 82 (cut short): one for each byte */
	assert_non_null(strstr(json, "\"bad\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd"
				     "\\ufffd\\ufffd\\ufffd\\ufffd\""));
	assert_non_null(strstr(json, "\"@PROFILE_JSON@\""));
	assert_non_null(strstr(json, "\"\xf0\x9f\x90\x98\""));
	for (const char *c = json; *c; c++)
		assert_true((unsigned char)*c >= 0x20 || *c == '\n');
	free(page);
	sample_profile_free(s);
}

static void command_and_comments_stay_data(void **state)
{
	static const char *const names[] = {"f"}, *const comments[] = {"</script>"};
	struct sample_profile *s = profile_of_names(names, 1);
	char *page, *json;

	(void)state;
	s->p.command = "</SCRIPT\n><b>";
	s->p.comments = comments;
	s->p.n_comments = 1;
	json = page_json(s, &page);
	assert_non_null(
		strstr(json, "\"command\":\"\\u003c/SCRIPT\\u000a\\u003e\\u003cb\\u003e\""));
	assert_int_equal(json[strlen(json) - 1], '}');
	free(page);
	sample_profile_free(s);
}

/* Worked out by hand from the comment of flamegraph.c. */
static void the_compact_form(void **state)
{
	struct sample_profile *s = sample_profile_empty(100);
	uint32_t main_location, other_address, leaf, path[2];
	char *page, *json;

	(void)state;
	sample_mapping(s, "/bin/a", 0x400000);
	main_location = sample_location(s, 0, PROFILE_USER, NULL, "main");
	other_address = sample_location(s, 0, PROFILE_USER, NULL, "main");
	leaf = sample_location(s, 0, PROFILE_USER, "inlined", "leaf");
	sample_labelset(s);
	sample_label(s, "phase", "reply");
	sample_number(s, "pid", 0, "id");
	path[0] = main_location;
	path[1] = leaf;
	sample_add(s, sample_stack(s, path, 2), 0, 1000000);
	path[0] = other_address;
	sample_add(s, sample_stack(s, path, 2), 0, 500000); /* the same stack to a reader */
	sample_add(s, sample_stack(s, path, 1), 0, 250000);
	json = page_json(s, &page);
	/* main; inlined (4: FRAME_INLINED); leaf. Flags 8: FRAME_CALLED. main, inlined, leaf share object 1. */
	assert_non_null(strstr(json, "\"frames\":[0,1,2,0,8,3,1,4,0,4,5,1,2,0,8]"));
	assert_non_null(strstr(json, "\"stacks\":[0,1,0,1,2,2,1]"));
	assert_non_null(strstr(json, "\"labelsets\":[[6,7,8,\"0\"]]"));
	assert_non_null(strstr(json, "\"samples\":[0,0,250000,1,0,1500000]"));
	assert_non_null(strstr(json, "\"strings\":[\n\"main\",\n\"/bin/a\",\n\"src/"
				     "server.c\",\n\"inlined\",\n\"src/inline.h\","
				     "\n\"leaf\",\n\"phase\",\n\"reply\",\n\"pid\"]"));
	free(page);
	sample_profile_free(s);
}

static void the_page_forbids_the_network(void **state)
{
	static const char *const names[] = {"f"}, *const refused[] = {
							  "http://",   "https://",       "@import",
							  "url(",      " src=",          "fetch(",
							  "innerHTML", "document.write", "eval("};
	struct sample_profile *s = profile_of_names(names, 1);
	size_t len;
	char *page = write_to_memory(flamegraph_write, &s->p, &len);

	(void)state;
	assert_non_null(strstr(
		page, "http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';"));
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_null(strstr(page, refused[i]));
	assert_null(strstr(page, "@PROFILE_JSON@"));
	assert_string_equal(page + len - 8, "</html>\n");
	free(page);
	sample_profile_free(s);
}

static void an_empty_profile_is_a_page(void **state)
{
	struct sample_profile *s = sample_profile_empty(10);
	char *page, *json = page_json(s, &page);

	(void)state;
	assert_non_null(
		strstr(json, "\"frames\":[],\n\"stacks\":[],\n\"labelsets\":[],\n\"samples\":[],"));
	free(page);
	s->p.command = NULL;
	json = page_json(s, &page);
	assert_non_null(strstr(json, "\"command\":\"\""));
	free(page);
	sample_profile_free(s);
}

static void short_writes_lose_nothing(void **state)
{
	struct sample_profile *s = sample_profile_new();
	size_t len, slow_len;
	char *page = write_to_memory(flamegraph_write, &s->p, &len);
	char *slow = write_to_slow_pipe(flamegraph_write, &s->p, &slow_len);

	(void)state;
	assert_int_equal(len, slow_len);
	assert_memory_equal(page, slow, len);
	free(page);
	free(slow);
	sample_profile_free(s);
}

static void errors_are_reported(void **state)
{
	struct sample_profile *s = sample_profile_new();

	(void)state;
	assert_int_equal(write_full_disk(flamegraph_write, &s->p), -ENOSPC);
	assert_int_equal(write_read_only(flamegraph_write, &s->p), -EBADF);
	assert_int_equal(flamegraph_write(&s->p, -1), -EBADF);
	sample_profile_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_names_stay_data),
		cmocka_unit_test(command_and_comments_stay_data),
		cmocka_unit_test(the_compact_form),
		cmocka_unit_test(the_page_forbids_the_network),
		cmocka_unit_test(an_empty_profile_is_a_page),
		cmocka_unit_test(short_writes_lose_nothing),
		cmocka_unit_test(errors_are_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
