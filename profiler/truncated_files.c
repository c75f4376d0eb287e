/* SPDX-License-Identifier: Apache-2.0 */
/* See truncated_files.h. */
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#include "truncated_files.h"

static uintptr_t page_bytes;

/* Puts an anonymous page where the file has none any more. Only system calls: safe in a handler. */
static void replace_page(int signal_number, siginfo_t *info, void *context)
{
	void *page = (void *)((uintptr_t)info->si_addr & ~(page_bytes - 1));

	(void)context;
	if (info->si_code == BUS_ADRERR &&
	    mmap(page, page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page)
		return;
	signal(signal_number, SIG_DFL); /* something else: die of it on return */
}

void survive_truncated_files(void)
{
	struct sigaction action = {.sa_sigaction = replace_page, .sa_flags = SA_SIGINFO};

	page_bytes = sysconf(_SC_PAGESIZE);
	sigaction(SIGBUS, &action, NULL);
}
