/* SPDX-License-Identifier: Apache-2.0 */
/* `wireprof doctor`: what works on this machine, what does not, and what to do about it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "../symbolizer/kallsyms.h"
#include "commands.h"
#include "doctor_system.h"
#include "kernel.h"
#include "message.h"
#include "mmap_watch.h"

static int problems;

void doctor_report(enum finding finding, const char *what, const char *state, const char *advice)
{
	static const char *const words[] = {[FINDING_OK] = "ok", [FINDING_NOTE] = "note", [FINDING_FAIL] = "FAIL"};

	printf("%-4s  %-28s %s\n", words[finding], what, state);
	if (finding != FINDING_OK && advice)
		printf("      %-28s -> %s\n", "", advice);
	if (finding == FINDING_FAIL)
		problems++;
}

static void report(bool good, const char *what, const char *state, const char *advice)
{
	doctor_report(good ? FINDING_OK : FINDING_FAIL, what, state, advice);
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

	report(!err, "BPF programs load", err ? strerror(-err) : "yes",
	       err == -EPERM && doctor_seccomp() ? doctor_seccomp() : "see the message above");
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
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		fputs("usage: wireprof doctor [options]\n"
		      "\n"
		      "Says what works on this machine, what does not, and what to do about it.\n"
		      "\n"
		      "      --verbose         also the kernel's words\n", stdout);
		return EXIT_DONE;
	}
	if (argc > 1 && !strcmp(argv[1], "--verbose")) {
		message_verbosity = MESSAGE_VERBOSE;
	} else if (argc > 1) {
		message_error("unexpected \"%s\"; see wireprof doctor --help", argv[1]);
		return EXIT_USAGE;
	}
	doctor_check_kernel();
	doctor_check_capabilities();
	doctor_check_surroundings();
	check_symbols();
	check_programs();
	if (problems)
		printf("%d problem%s found\n", problems, problems > 1 ? "s" : "");
	else
		puts("wireprof can record here");
	return problems ? EXIT_FAILED : EXIT_DONE;
}
