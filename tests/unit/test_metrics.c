/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus' text format: exact lines, escapes, what is left out. tests/live/test_metrics.py parses all of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "out/writer.h"
#include "sample_profile.h"
#include "tests/http/sample_metrics.h"

static char *text_of(const struct metrics *m)
{
	char *text;
	size_t bytes;

	assert_int_equal(metrics_text(m, &text, &bytes), 0);
	assert_int_equal(strlen(text), bytes);
	assert_true(utf8_valid(text));
	return text;
}

/* As a whole line, once. */
static void assert_line(const char *text, const char *line)
{
	char wanted[1024];
	const char *at;

	snprintf(wanted, sizeof(wanted), "\n%s\n", line);
	at = strstr(text, wanted);
	if (!at)
		fail_msg("no line: %s", line);
	assert_null(strstr(at + 1, wanted));
}

static void exact_lines(void **state)
{
	static const char *const lines[] = {
		"wireprof_build_info{version=\"0.1\",hook=\"tp_btf/sock_recv_length\"} 1",
		"wireprof_start_time_seconds 1763800000.123456789",
		"# TYPE wireprof_own_cpu_seconds_total counter",
		"wireprof_own_cpu_seconds_total 42.000000000",
		"wireprof_samples_total 1000",
		"wireprof_samples_lost_total{reason=\"ring_full\"} 1001",
		"wireprof_samples_lost_total{reason=\"no_room\"} 3",
		"wireprof_samples_lost_total{reason=\"malformed\"} 4",
		"wireprof_processes_missed_total{reason=\"ring_full\"} 1002",
		"wireprof_stacks_truncated_total{reason=\"too_deep\"} 2003",
		"wireprof_bpf_seconds_total{program=\"sample\"} 1.500000000",
		"wireprof_bpf_runs_total{program=\"receive\"} 2",
		"wireprof_push_total{result=\"rejected\"} 12",
		"wireprof_cpu_seconds_total{attribution=\"exact\"} 10.000000001",
		"# TYPE wireprof_query_cpu_seconds_total counter",
		"wireprof_query_cpu_seconds_total{db_system_name=\"redis\",db_operation_name=\"GET\",db_query_summary=\"GET user:*\","
		"service_name=\"shop\",container=\"cache-1\",comm=\"redis-server\"} 1.234567890",
		"wireprof_query_cpu_seconds_total{db_system_name=\"mysql\",db_operation_name=\"SELECT\",db_query_summary="
		"\"SELECT \\\"quoted\\\\\\\" line\\nbreak {a=\\\"b\\\"} 1\",comm=\"mysqld\"} 18446744073.709551615",
		"wireprof_query_cpu_seconds_total 0.000000005",
		"wireprof_overhead_ratio{part=\"hook\"} 0.006000000",
		"wireprof_overhead_budget_ratio 0.010000000",
		"wireprof_hook_attached_ratio 0.250000000",
	};
	struct metrics m;
	char *text;

	(void)state;
	sample_metrics(&m);
	text = text_of(&m);
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_line(text, lines[i]);
	assert_int_equal(text[strlen(text) - 1], '\n');
	free(text);
}

/* What is not known is not there: no family without a value, and no 0 for it. */
static void the_unknown_is_left_out(void **state)
{
	static const char *const absent[] = {"push", "overhead", "queue_", "out_dir", "unwind", "bpf", "map_", "http", "query_cpu", "cpu_",
					     "disk", "auth", "windows_dropped", "samples_lost", "stacks", "requests"};
	struct metrics m = {.version = "1"};
	char *text = text_of(&m), type[64];

	(void)state;
	for (size_t i = 0; i < sizeof(absent) / sizeof(*absent); i++) {
		snprintf(type, sizeof(type), "# TYPE wireprof_%s", absent[i]);
		assert_null(strstr(text, type));
		snprintf(type, sizeof(type), "\nwireprof_%s", absent[i]);
		assert_null(strstr(text, type));
	}
	assert_non_null(strstr(text, "wireprof_build_info{version=\"1\"} 1\n"));
	free(text);
}

/* Every counter of the kernel side, and every end of a stack that is not its entry, is in the metrics once. */
static void no_counter_is_forgotten(void **state)
{
	struct metrics m;
	char *text, number[32];

	(void)state;
	sample_metrics(&m);
	text = text_of(&m);
	for (int i = 0; i < N_COUNTERS; i++) {
		enum counter_family family;
		const char *reason = counter_reason((enum counter)i, &family);

		if (family == COUNTER_OF_COST) /* which whoever fills in the programs takes */
			continue;
		snprintf(number, sizeof(number), " %d\n", 1000 + i);
		if (!strstr(text, number) || strstr(strstr(text, number) + 1, number))
			fail_msg("counter %d", i);
		assert_int_equal(!*reason, family == COUNTER_OF_SAMPLES || family == COUNTER_OF_PREPARED ||
						   family == COUNTER_OF_GUESSED_FRAMES ||
						   family == COUNTER_OF_GUESSED_SAMPLES);
		assert_int_equal(strspn(reason, "abcdefghijklmnopqrstuvwxyz_"), strlen(reason));
	}
	for (int i = 0; i < N_STOPS; i++) {
		snprintf(number, sizeof(number), " %d\n", 2000 + i);
		assert_int_equal(!!strstr(text, number), i > STOP_ZERO);
		assert_int_equal(!!stop_reason((enum stop)i), i > STOP_ZERO);
	}
	free(text);
}

static void errors_are_reported(void **state)
{
	struct metrics m;
	struct stream s;

	(void)state;
	sample_metrics(&m);
	stream_init(&s, -1);
	stream_fail(&s, -ENOSPC);
	assert_int_equal(metrics_write(&m, &s), -ENOSPC);
}

/* --- the stream into memory --- */

static void memory_streams(void **state)
{
	static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 16383, 16384, 16385, 100000, 1000003};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct stream_block block;
		struct stream s;
		size_t bytes = 42;
		char *data = NULL;

		stream_init_memory(&s, &block);
		for (size_t at = 0; at < sizes[i]; at += 7)
			stream_write(&s, "abcdefg", sizes[i] - at < 7 ? sizes[i] - at : 7);
		assert_int_equal(stream_take(&s, &data, &bytes), 0);
		assert_int_equal(bytes, sizes[i]);
		assert_int_equal(strlen(data), bytes);
		for (size_t at = 0; at < bytes; at++)
			assert_int_equal(data[at], "abcdefg"[at % 7]);
		free(data);
	}
}

static void a_stream_that_failed_gives_nothing(void **state)
{
	struct stream_block block;
	struct stream s;
	size_t bytes;
	char *data;

	(void)state;
	stream_init_memory(&s, &block);
	for (int i = 0; i < 100000; i++)
		stream_puts(&s, "text");
	stream_fail(&s, -EIO);
	assert_int_equal(stream_take(&s, &data, &bytes), -EIO);
}

static int fail_to_write(const struct profile *p, struct stream *stream)
{
	(void)p;
	stream_puts(stream, "x");
	return -EPROTO;
}

static void profiles_into_memory(void **state)
{
	struct sample_profile *s = sample_profile_new();
	size_t bytes;
	char *data;

	(void)state;
	assert_int_equal(profile_to_memory(flamegraph_put, &s->p, &data, &bytes), 0);
	assert_int_equal(strlen(data), bytes);
	assert_memory_equal(data, "<!DOCTYPE html>", 15);
	assert_memory_equal(data + bytes - 8, "</html>\n", 8);
	free(data);
	assert_int_equal(profile_to_memory(fail_to_write, &s->p, &data, &bytes), -EPROTO);
	sample_profile_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_lines),
		cmocka_unit_test(the_unknown_is_left_out),
		cmocka_unit_test(no_counter_is_forgotten),
		cmocka_unit_test(errors_are_reported),
		cmocka_unit_test(memory_streams),
		cmocka_unit_test(a_stream_that_failed_gives_nothing),
		cmocka_unit_test(profiles_into_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
