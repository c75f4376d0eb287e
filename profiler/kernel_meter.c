/* SPDX-License-Identifier: Apache-2.0 */
/* See kernel_meter.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "kernel_internal.h"
#include "kernel_meter.h"
#include "message.h"
#include "sysctl.h"

static struct metered *metered(struct kernel_meter *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (!strcmp(m->programs[i].name, name))
			return &m->programs[i];
	if (m->n == METER_PROGRAMS)
		return NULL;
	snprintf(m->programs[m->n].name, sizeof(m->programs[m->n].name), "%s", name);
	return &m->programs[m->n++];
}

/* What was counted since the last look, `times` times. 0: it only is the new beginning. */
static void look(struct kernel_meter *m, unsigned int times)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, m->kernel->skel->obj) {
		struct bpf_prog_info info = {0};
		uint32_t size = sizeof(info);
		struct metered *p;

		if (bpf_program__fd(prog) < 0 || bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &size))
			continue;
		p = metered(m, bpf_program__name(prog));
		if (!p)
			continue;
		p->run_ns += times * (info.run_time_ns - p->seen_ns);
		p->runs += times * (info.run_cnt - p->seen_runs);
		p->seen_ns = info.run_time_ns;
		p->seen_runs = info.run_cnt;
	}
}

void kernel_meter_init(struct kernel_meter *m, const struct kernel *k)
{
	if (!m->kernel)
		m->stats_fd = -1;
	kernel_meter_fini(m);
	m->kernel = k;
	m->ticks = 0;
	m->refused = false;
	m->always = sysctl_number("kernel/bpf_stats_enabled", 0);
	for (size_t i = 0; i < m->n; i++)
		m->programs[i].seen_ns = m->programs[i].seen_runs = 0;
	look(m, 0);
}

void kernel_meter_fini(struct kernel_meter *m)
{
	if (m->kernel && m->stats_fd >= 0)
		close(m->stats_fd);
	m->stats_fd = -1;
}

void kernel_meter_tick(struct kernel_meter *m)
{
	unsigned int phase = m->ticks++ % METER_EVERY;

	if (m->always) {
		look(m, 1);
		return;
	}
	if (m->refused || phase > 1)
		return;
	if (!phase) {
		look(m, 0);
		m->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
		m->refused = m->stats_fd < 0;
		if (m->refused)
			message_verbose("what BPF programs cost is not known: BPF_ENABLE_STATS: %s", strerror(-m->stats_fd));
		return;
	}
	look(m, METER_EVERY);
	kernel_meter_fini(m);
}

bool kernel_meter_knows(const struct kernel_meter *m)
{
	return !m->refused && m->n;
}
