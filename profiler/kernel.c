/* SPDX-License-Identifier: Apache-2.0 */
/* See kernel.h: loading, probing and attaching. The maps' contents are in kernel_maps.c, the sampler's clocks in kernel_clocks.c. */
#include <bpf/btf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "capability.h"
#include "kernel_internal.h"
#include "message.h"

static int libbpf_message(enum libbpf_print_level level, const char *format, va_list args)
{
	if (message_verbosity < MESSAGE_VERBOSE || level == LIBBPF_DEBUG)
		return 0;
	return vfprintf(stderr, format, args);
}

const char *receive_hook_name(enum receive_hook hook)
{
	switch (hook) {
	case HOOK_TRACEPOINT:
		return "tp_btf/sock_recv_length";
	case HOOK_SYS_EXIT:
		return "raw_tp/sys_exit";
	case HOOK_NONE:
		break;
	}
	return "none";
}

enum receive_hook kernel_hook(const struct kernel *k)
{
	return k->hook;
}

/* Says why loading or attaching failed and what to do about it. */
static void explain(const char *doing, int error)
{
	char missing[128];

	missing_capabilities(missing, sizeof(missing));
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		message_error("%s: this kernel has no BTF (/sys/kernel/btf/vmlinux): wireprof needs one built "
			      "with CONFIG_DEBUG_INFO_BTF",
			      doing);
	else if ((error == -EPERM || error == -EACCES) && *missing)
		message_error("%s: no permission, missing %s: run as root or grant these", doing, missing);
	else
		message_error("%s: %s (run with --verbose for the kernel's words)", doing,
			      strerror(-error));
}

/* It is a power of two. The ring is mapped twice, and counts as this process's memory. */
uint32_t kernel_ring_bytes(unsigned int frequency_hz, int cpus)
{
	uint64_t wanted = (uint64_t)(frequency_hz > RING_LOW_HZ ? 2 * RING_BYTES_CPU : RING_BYTES_CPU) * (cpus > 0 ? cpus : 1);
	uint32_t bytes = RING_BYTES_MIN;

	while (bytes < wanted && bytes < RING_BYTES_MAX)
		bytes *= 2;
	return bytes;
}

static int load_with(struct kernel *k, enum receive_hook hook)
{
	uint32_t ring_bytes = kernel_ring_bytes(k->frequency_hz, libbpf_num_possible_cpus());
	int err;

	k->skel = wireprof_bpf__open();
	if (!k->skel)
		return -errno;
	bpf_program__set_autoload(k->skel->progs.receive_tracepoint, hook == HOOK_TRACEPOINT);
	bpf_program__set_autoload(k->skel->progs.send_tracepoint, hook == HOOK_TRACEPOINT);
	bpf_program__set_autoload(k->skel->progs.receive_sys_exit, hook == HOOK_SYS_EXIT);
	bpf_map__set_max_entries(k->skel->maps.ring, ring_bytes);
	bpf_map__set_max_entries(k->skel->maps.clocks, libbpf_num_possible_cpus());
	k->skel->rodata->ring_wake_bytes = ring_bytes / 4;
	err = wireprof_bpf__load(k->skel);
	if (err) {
		wireprof_bpf__destroy(k->skel);
		k->skel = NULL;
		return err;
	}
	k->hook = hook;
	return 0;
}

/* Attaches the receive hook once, to see whether the kernel lets us: some refuse only then. */
static int attach_hook(struct kernel *k)
{
	struct bpf_program *prog = NULL;

	if (k->hook == HOOK_TRACEPOINT)
		prog = k->skel->progs.receive_tracepoint;
	else if (k->hook == HOOK_SYS_EXIT)
		prog = k->skel->progs.receive_sys_exit;
	if (!prog)
		return 0;
	k->hook_link = bpf_program__attach(prog);
	return k->hook_link ? 0 : -errno;
}

/* The fallback hook sees what is sent, too. */
static void attach_replies(struct kernel *k)
{
	if (!k->hook_link || !k->replies_wanted || k->reply_link || k->hook != HOOK_TRACEPOINT)
		return;
	k->reply_link = bpf_program__attach(k->skel->progs.send_tracepoint);
	if (k->reply_link)
		return;
	message_warn("statements prepared and cursors opened from now on stay unknown: attaching to tp_btf/sock_send_length: %s",
		     strerror(errno));
	k->replies_wanted = false;
}

int kernel_attach_hook(struct kernel *k)
{
	int err = 0;

	if (k->hook_link)
		return 0;
	k->skel->bss->hook_epoch++;
	err = attach_hook(k);
	if (err)
		return err;
	attach_replies(k);
	k->skel->bss->hook_is_off = false;
	return 0;
}

void kernel_detach_hook(struct kernel *k)
{
	if (k->skel)
		k->skel->bss->hook_is_off = true;
	bpf_link__destroy(k->hook_link);
	k->hook_link = NULL;
	bpf_link__destroy(k->reply_link);
	k->reply_link = NULL;
}

void kernel_watch_replies(struct kernel *k)
{
	k->replies_wanted = k->skel->bss->watches_replies = true;
	attach_replies(k);
}

void kernel_look_for_mysql(struct kernel *k)
{
	k->skel->bss->look_for_mysql = true;
}

void kernel_look_for_mongo(struct kernel *k)
{
	k->skel->bss->look_for_mongo = true;
}

static int load_best(struct kernel *k, bool requests)
{
	const char *forced = getenv("WIREPROF_HOOK");
	enum receive_hook first = forced && !strcmp(forced, "sys_exit") ? HOOK_SYS_EXIT : HOOK_TRACEPOINT;
	int err = -EINVAL;

	if (!requests)
		return load_with(k, HOOK_NONE);
	for (enum receive_hook hook = first; hook <= HOOK_SYS_EXIT; hook++) {
		err = load_with(k, hook);
		if (err) {
			message_verbose("hook %s does not load here: %s", receive_hook_name(hook),
					strerror(-err));
			continue;
		}
		err = attach_hook(k);
		bpf_link__destroy(k->hook_link);
		k->hook_link = NULL;
		if (!err)
			return 0;
		message_verbose("hook %s does not attach here: %s", receive_hook_name(hook),
				strerror(-err));
		wireprof_bpf__destroy(k->skel);
		k->skel = NULL;
	}
	return err;
}

static int ring_event(void *context, void *data, size_t size)
{
	struct kernel *k = context;

	if (size >= sizeof(struct event_header))
		k->event_fn(k->event_context, data, size);
	return 0;
}

int kernel_open(const struct kernel_options *options, struct kernel **out)
{
	struct kernel *k = calloc(1, sizeof(*k));
	int err;

	if (!k)
		return -ENOMEM;
	k->frequency_hz = options->frequency_hz;
	libbpf_set_print(libbpf_message);
	err = load_best(k, options->requests);
	if (err) {
		explain("loading the BPF programs", err);
		goto fail;
	}
	k->ring = ring_buffer__new(bpf_map__fd(k->skel->maps.ring), ring_event, k, NULL);
	if (!k->ring) {
		err = -errno;
		explain("opening the ring buffer", err);
		goto fail;
	}
	err = publisher_start(bpf_map__fd(k->skel->maps.tables), &k->publisher);
	if (err) {
		message_error("cannot start a thread: %s", strerror(-err));
		goto fail;
	}
	*out = k;
	return 0;
fail:
	kernel_free(k);
	return err;
}

int kernel_attach(struct kernel *k)
{
	struct bpf_program *const follow[] = {k->skel->progs.process_fork,
					      k->skel->progs.process_exec,
					      k->skel->progs.process_exit};
	int err;

	if (kernel_max_sample_rate() < k->frequency_hz) {
		message_error("this kernel allows at most %u samples per second "
			      "(kernel.perf_event_max_sample_rate): raise it with sysctl, or lower -F",
			      kernel_max_sample_rate());
		return -EINVAL;
	}
	err = kernel_attach_hook(k);
	if (err) {
		explain("attaching the receive hook", err);
		return err;
	}
	for (size_t i = 0; i < sizeof(follow) / sizeof(*follow); i++) {
		k->follow[i] = bpf_program__attach(follow[i]);
		if (!k->follow[i]) {
			err = -errno;
			explain("attaching to process events", err);
			return err;
		}
	}
	kernel_set_period(k, 1000000000u / k->frequency_hz);
	err = attach_clocks(k);
	if (err)
		explain("attaching the sampler to the CPUs", err);
	return err;
}

void kernel_detach(struct kernel *k)
{
	detach_clocks(k);
	kernel_detach_hook(k);
	for (size_t i = 0; i < sizeof(k->follow) / sizeof(*k->follow); i++) {
		bpf_link__destroy(k->follow[i]);
		k->follow[i] = NULL;
	}
}

void kernel_free(struct kernel *k)
{
	if (!k)
		return;
	kernel_detach(k);
	ring_buffer__free(k->ring);
	publisher_stop(k->publisher);
	free(k->dropped);
	free(k->go_live);
	free_clocks(k);
	wireprof_bpf__destroy(k->skel);
	free(k);
}

int kernel_drain(struct kernel *k, kernel_event_fn fn, void *context)
{
	k->event_fn = fn;
	k->event_context = context;
	return ring_buffer__consume(k->ring);
}

int kernel_poll_fd(const struct kernel *k)
{
	return ring_buffer__epoll_fd(k->ring);
}
