/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jit_code [private] {NAME SECONDS}...: a JIT. Makes code in memory, tells /tmp/perf-PID.map about it, and burns CPU
 * in it; the code of the next name takes the same memory. Prints "NAME SECONDS" of CPU used after each.
 * A NAME of "-" is not told; "late:NAME" is told when the program ends. private: /tmp is a file system of its own.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>
#include "burn.h"

#ifdef __x86_64__
/* push %rbp; mov %rsp,%rbp; mov %edi,%ecx; 1: dec %ecx; jnz 1b; pop %rbp; ret */
static const unsigned char loop[] = {0x55, 0x48, 0x89, 0xe5, 0x89, 0xf9, 0xff, 0xc9, 0x75, 0xfc, 0x5d, 0xc3};
#else
#error "add the same for this machine"
#endif

static void tell(void *code, const char *name)
{
	char path[64];
	FILE *map;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	map = fopen(path, "a");
	if (!map)
		exit(1);
	fprintf(map, "%lx %zx %s\n", (unsigned long)code, sizeof(loop), name);
	fclose(map);
}

ALONE static double burn_in(void (*code)(int), double seconds)
{
	double start = cpu_s(), end = start + seconds;

	while (cpu_s() < end)
		code(100000);
	return cpu_s() - start;
}

int main(int argc, char **argv)
{
	void *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i = 1;

	if (code == MAP_FAILED)
		return 1;
	if (argc > 1 && !strcmp(argv[1], "private")) {
		if (mount("none", "/tmp", "tmpfs", 0, NULL))
			return 1;
		i++;
	}
	tell_busy();
	for (int name = i; name + 1 < argc; name += 2) {
		memset(code, 0xcc, sizeof(loop));
		memcpy(code, loop, sizeof(loop));
		if (strcmp(argv[name], "-") && strncmp(argv[name], "late:", 5))
			tell(code, argv[name]);
		printf("%s %.6f\n", argv[name], burn_in((void (*)(int))code, atof(argv[name + 1])));
		fflush(stdout);
	}
	for (int name = i; name + 1 < argc; name += 2)
		if (!strncmp(argv[name], "late:", 5))
			tell(code, argv[name] + 5);
	return 0;
}
