/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machine code that the program has written itself, so without CFI (x86-64):
 *
 *	calls		it makes a frame and calls back into C, which spins
 *	leaf		it makes a frame and calls, again and again, code that makes one, too
 *	pushed		it spins without a frame, but has saved registers, the frame pointer among them, and uses them
 *	frameless	it spins far below the address that it was called from: nobody can tell who called it
 */
#include <string.h>
#include <sys/mman.h>
#include "burn.h"

volatile long sink;

/* push %rbp; mov %rsp,%rbp; call *%rdi; pop %rbp; ret */
static const unsigned char calls[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
/* push %rbp; mov %rsp,%rbp; 1: call 2f; jmp 1b; 2: push %rbp; mov %rsp,%rbp; inc %rax; pop %rbp; ret */
static const unsigned char leaf[] = {0x55, 0x48, 0x89, 0xe5, 0xe8, 0x02, 0,    0,    0,	   0xeb,
				     0xf9, 0x55, 0x48, 0x89, 0xe5, 0x48, 0xff, 0xc0, 0x5d, 0xc3};
/* push %rbx; push %rbp; push %r14; xor %ebp,%ebp; 1: jmp 1b */
static const unsigned char pushed[] = {0x53, 0x55, 0x41, 0x56, 0x31, 0xed, 0xeb, 0xfe};
/* push %rbp; sub $0x4000,%rsp; xor %ebp,%ebp; 1: jmp 1b */
static const unsigned char frameless[] = {0x55, 0x48, 0x81, 0xec, 0, 0x40, 0, 0, 0x31, 0xed, 0xeb, 0xfe};

ALONE static long spin_in_c(void)
{
	for (;;)
		sink++;
	return sink;
}

ALONE static long run(const unsigned char *code, size_t size)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return 0;
	memcpy(at, code, size);
	tell_busy();
	return ((long (*)(long (*)(void)))at)(spin_in_c) + sink;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "calls";

	if (!strcmp(what, "leaf"))
		return run(leaf, sizeof(leaf)) == 1;
	if (!strcmp(what, "pushed"))
		return run(pushed, sizeof(pushed)) == 1;
	if (!strcmp(what, "frameless"))
		return run(frameless, sizeof(frameless)) == 1;
	return run(calls, sizeof(calls)) == 1;
}
