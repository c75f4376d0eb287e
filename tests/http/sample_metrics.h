/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot that has every family of the metrics, with names chosen to break a writer; the same on every run. */
#ifndef WIREPROF_TESTS_SAMPLE_METRICS_H
#define WIREPROF_TESTS_SAMPLE_METRICS_H

#include <stdint.h>
#include <string.h>
#include "out/metrics.h"
#include "profiler/agent/counter_metrics.h"

static inline void sample_metrics(struct metrics *m)
{
	static const struct metrics_program programs[] = {{"sample", 1500000000, 99}, {"receive", 1, 2}};
	static const struct metrics_map maps[] = {{"sockets", 12, 65536}};
	static const struct metrics_count dropped[] = {{"profile_build", 1}, {"queue", 0}};
	static const struct metrics_tables tables = {1, 2, 3, 4, 5, 6, 7};
	static const struct metrics_overhead overhead = {10000000, 6000000, 2500000, 1500000, 250000000};
	static const struct metrics_push push = {10, 11, 12, 13, 14, 15, 16, 17};
	static const struct metrics_out_dir out_dir = {20, 21, 22, 23, 24};
	static const struct metrics_http http = {30, 31, 32, 33, 34, 35, 36};
	static const struct metrics_count cpu[] = {{"none", 2000000000}, {"exact", 10000000001}, {"stack", 0}};
	static const struct metrics_class classes[] = {
		{{"redis", "GET", "GET user:*", "shop", "cache-1", "redis-server"}, 1234567890},
		{{"mysql", "SELECT", "SELECT \"quoted\\\" line\nbreak {a=\"b\"} 1", NULL, "", "mysqld"}, 18446744073709551615u},
		{{"mongodb", "find", "bad\xff\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80\xe2\x82", "\xe2\x80\xa8\r\t\x01", "", ""}, 1},
		{{"", "", "", "", "", ""}, 5},
	};
	static struct counter_metrics storage;
	static const struct user_losses losses = {3, 4};
	uint64_t counters[N_COUNTERS], stops[N_STOPS];

	memset(m, 0, sizeof(*m));
	for (uint64_t i = 0; i < N_COUNTERS; i++)
		counters[i] = 1000 + i;
	for (uint64_t i = 0; i < N_STOPS; i++)
		stops[i] = 2000 + i;
	counter_metrics_fill(counters, stops, &losses, &storage, m);
	m->version = "0.1";
	m->hook = "tp_btf/sock_recv_length";
	m->start_time_ns = 1763800000123456789u;
	m->own_cpu_ns = 42000000000;
	m->resident_bytes = 20 << 20;
	m->open_descriptors = 55;
	m->targets = 3;
	m->frequency_hz = 99;
	m->overhead = &overhead;
	m->programs = programs;
	m->n_programs = 2;
	m->maps = maps;
	m->n_maps = 1;
	m->windows = 77;
	m->windows_dropped = dropped;
	m->n_windows_dropped = 2;
	m->tables = &tables;
	m->push = &push;
	m->out_dir = &out_dir;
	m->http = &http;
	m->cpu_ns = cpu;
	m->n_cpu_ns = 3;
	m->classes = classes;
	m->n_classes = 4;
	m->classes_evicted = 9;
}

#endif
