/* SPDX-License-Identifier: Apache-2.0 */
/* `wireprof doctor`: what works on this machine, what does not, and what to do about it. */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "../symbolizer/kallsyms.h"
#include "capability.h"
#include "commands.h"
#include "kernel.h"
#include "message.h"
#include "mmap_watch.h"

static int problems;

static void report(bool good, const char *what, const char *state, const char *advice)
{
	printf("%-4s  %-28s %s\n", good ? "ok" : "FAIL", what, state);
	if (!good) {
		printf("      %-28s -> %s\n", "", advice);
		problems++;
	}
}

static void check_kernel(void)
{
	struct utsname u;

	uname(&u);
	report(!strcmp(u.machine, "x86_64"), "machine", u.machine, "only x86-64 is supported so far");
	report(true, "kernel", u.release, "");
	report(!access("/sys/kernel/btf/vmlinux", R_OK), "kernel types (BTF)",
	       "/sys/kernel/btf/vmlinux", "use a kernel built with CONFIG_DEBUG_INFO_BTF");
}

static void check_capabilities(void)
{
	char missing[128], state[160];

	missing_capabilities(missing, sizeof(missing));
	snprintf(state, sizeof(state), "%s%s", *missing ? "missing " : "all there", missing);
	report(!*missing, "capabilities", state, "run as root, or grant these");
}

static void check_symbols(void)
{
	struct kallsyms *k = NULL;
	int err = kallsyms_open("/proc/kallsyms", &k);

	report(!err, "kernel symbols", err ? strerror(-err) : "/proc/kallsyms",
	       "grant CAP_SYSLOG and set kernel.kptr_restrict below 2; stacks work without");
	kallsyms_free(k);
}

static void check_programs(void)
{
	struct kernel_options options = {.frequency_hz = 99, .requests = true};
	struct mmap_watch *watch = NULL;
	struct kernel *k = NULL;
	int err = kernel_open(&options, &k);

	report(!err, "BPF programs load", err ? strerror(-err) : "yes", "see the message above");
	if (!err) {
		report(kernel_hook(k) != HOOK_NONE, "receive hook", receive_hook_name(kernel_hook(k)),
		       "requests cannot be seen");
		if (kernel_hook(k) == HOOK_SYS_EXIT)
			printf("      %-28s %s\n", "",
			       "the fallback: every system call of the machine pays a little for it");
		err = kernel_attach(k);
		report(!err, "sampling", err ? strerror(-err) : "cpu-clock on every CPU",
		       "see the message above");
	}
	kernel_free(k);
	err = mmap_watch_open(&watch);
	report(!err, "new mappings are noticed", err ? strerror(-err) : "yes",
	       "libraries loaded while recording show up late");
	mmap_watch_free(watch);
}

int command_doctor(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--help")) {
		puts("usage: wireprof doctor\n\nSays what works on this machine, and what does not.");
		return EXIT_DONE;
	}
	if (argc > 1 && !strcmp(argv[1], "--verbose")) {
		message_verbosity = MESSAGE_VERBOSE;
	} else if (argc > 1) {
		message_error("unexpected \"%s\"; see wireprof doctor --help", argv[1]);
		return EXIT_USAGE;
	}
	check_kernel();
	check_capabilities();
	check_symbols();
	check_programs();
	if (problems)
		printf("%d problem%s found\n", problems, problems > 1 ? "s" : "");
	else
		puts("wireprof can record here");
	return problems ? EXIT_FAILED : EXIT_DONE;
}
