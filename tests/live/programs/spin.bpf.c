/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* -DNAME=program -DTARGET=pid: takes some 20 us of each system call of one process. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tracepoint/sys_enter")
int NAME(void *context)
{
	volatile int n;

	if (bpf_get_current_pid_tgid() >> 32 == TARGET)
		for (int i = 0; i < 20000; i++)
			n = i;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
