/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Everything in bpf/ that knows the machine: registers, the frame that the kernel builds for a signal, the first
 * and last instructions of functions, system call numbers of x86-64. Another machine is another file like this one.
 */
#ifndef WIREPROF_ARCH_X86_64_H
#define WIREPROF_ARCH_X86_64_H

#include "types.h"
#include <bpf/bpf_core_read.h>

/* The kernel's own struct pt_regs (the one of <asm/ptrace.h> has other names and no relocations). */
struct pt_regs___kernel {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, sp;
} RELOCATED;

/* What the unwinder carries from frame to frame; registers have their DWARF numbers (System V ABI, figure 3.36). */
#define ARCH_REGS 16
#define ARCH_FP	  6 /* rbp */
#define ARCH_SP	  7 /* rsp */
struct frame_regs {
	u64 pc;
	u64 reg[ARCH_REGS]; /* all of them hold in an interrupted frame, the two above in every frame */
};

/* RSP, RBP and PLT rows: where the return address is, from the CFA. */
#define ARCH_RETURN_ADDRESS (-8)

/* A system call on its way: number (-1: none, an interrupt or exception) and arguments. */
struct syscall_regs {
	s64 nr;
	u64 arg0, arg1, arg2;
};

/* The registers with which the task left user mode: by an interrupt, too, they lie on top of its kernel stack. */
static __always_inline void arch_user_regs(const struct pt_regs___kernel *user, struct frame_regs *regs)
{
	regs->pc = user->ip;
	regs->reg[0] = user->ax;
	regs->reg[1] = user->dx;
	regs->reg[2] = user->cx;
	regs->reg[3] = user->bx;
	regs->reg[4] = user->si;
	regs->reg[5] = user->di;
	regs->reg[ARCH_FP] = user->bp;
	regs->reg[ARCH_SP] = user->sp;
	regs->reg[8] = user->r8;
	regs->reg[9] = user->r9;
	regs->reg[10] = user->r10;
	regs->reg[11] = user->r11;
	regs->reg[12] = user->r12;
	regs->reg[13] = user->r13;
	regs->reg[14] = user->r14;
	regs->reg[15] = user->r15;
}

/* Where the thread's own variables lie: the base of fs. */
static __always_inline u64 arch_thread_pointer(struct task_struct *task)
{
	return BPF_CORE_READ(task, thread.fsbase);
}

/* Of the registers that a perf_event program is given: whether they are user code's. */
#define ARCH_IN_USER_MODE(regs) (((regs)->cs & 3) == 3)

/*
 * A signal frame's struct sigcontext, in words from where it begins in struct ucontext (uapi/asm/sigcontext.h,
 * uapi/asm-generic/ucontext.h): r8 to r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip.
 */
#define ARCH_SIGCONTEXT	      40
#define ARCH_SIGCONTEXT_WORDS 17

static __always_inline void arch_signal_regs(const u64 *words, struct frame_regs *regs)
{
	for (int i = 0; i < 8; i++)
		regs->reg[8 + i] = words[i];
	regs->reg[5] = words[8];
	regs->reg[4] = words[9];
	regs->reg[ARCH_FP] = words[10];
	regs->reg[3] = words[11];
	regs->reg[1] = words[12];
	regs->reg[0] = words[13];
	regs->reg[2] = words[14];
	regs->reg[ARCH_SP] = words[15];
	regs->pc = words[16];
}

/* Eight bytes of code at pc, as a little-endian word: mov $15,%rax (or %eax) and syscall, what a handler returns to. */
static __always_inline bool arch_is_sigreturn(u64 code)
{
	return code == 0x0f0000000fc0c748 || (code & 0xffffffffffffff) == 0x050f0000000fb8;
}

/*
 * In code that has no CFI: whether the instruction at pc shows that the frame pointer is still, or again, the
 * caller's. If so, the return address is at sp + *offset.
 */
static __always_inline bool arch_no_frame_yet(u64 code, u64 *offset)
{
	*offset = 0;
	if ((code & 0xffffffff) == 0xfa1e0ff3) /* endbr64 */
		code >>= 32;
	if ((code & 0xff) == 0x55 || (code & 0xff) == 0xc3 || (code & 0xff) == 0xc2) /* push %rbp; ret; ret $n */
		return true;
	*offset = 8;
	return (code & 0xffffff) == 0xe58948 || (code & 0xffffff) == 0xec8b48; /* mov %rsp,%rbp, both encodings */
}

/* Whether a call ends at an address: its last eight bytes of code, the last one in the highest byte. */
static __always_inline bool arch_is_call(u64 code)
{
	if ((code >> 24 & 0xff) == 0xe8) /* call rel32 */
		return true;
	/* call *operand is ff /2, and the operand's form says how long it is */
	if ((code >> 48 & 0xff) == 0xff) /* 2 bytes: *%reg, *(%reg) */
		return (code >> 56 & 0xf8) == 0xd0 || (code >> 56 & 0xf8) == 0x10;
	if ((code >> 40 & 0xff) == 0xff) /* 3: *disp8(%reg), *(%reg,%reg) */
		return (code >> 48 & 0xf8) == 0x50 || (code >> 48 & 0xff) == 0x14;
	if ((code >> 32 & 0xffff) == 0x54ff) /* 4: *disp8(%reg,%reg) */
		return true;
	if ((code >> 16 & 0xff) == 0xff) /* 6: *disp32(%rip), *disp32(%reg) */
		return (code >> 24 & 0xff) == 0x15 || (code >> 24 & 0xf8) == 0x90;
	return (code >> 8 & 0xffff) == 0x94ff || (code >> 8 & 0xffff) == 0x14ff; /* 7: *disp32(%reg,%reg), *disp32(,%reg) */
}

/* Assembler that has macros for it (x86inc.asm) saves rbx, then rbp, then others: words below the return address. */
#define ARCH_SAVED_FP 2

/* A lazy PLT entry pushes one word in front of the instruction at `threshold` (see cfi_x86_64.h). */
static __always_inline u64 arch_plt_bytes(u64 pc, u32 threshold)
{
	return 8 + ((pc & 15) >= threshold ? 8 : 0);
}

#define SYS_READ	    0
#define SYS_WRITE	    1
#define SYS_POLL	    7
#define SYS_READV	    19
#define SYS_WRITEV	    20
#define SYS_SELECT	    23
#define SYS_NANOSLEEP	    35
#define SYS_SENDFILE	    40
#define SYS_ACCEPT	    43
#define SYS_SENDTO	    44
#define SYS_RECVFROM	    45
#define SYS_SENDMSG	    46
#define SYS_RECVMSG	    47
#define SYS_FUTEX	    202
#define SYS_CLOCK_NANOSLEEP 230
#define SYS_EPOLL_WAIT	    232
#define SYS_PSELECT6	    270
#define SYS_PPOLL	    271
#define SYS_EPOLL_PWAIT	    281
#define SYS_ACCEPT4	    288
#define SYS_SENDMMSG	    307
#define SYS_IO_URING_ENTER  426
#define SYS_EPOLL_PWAIT2    441

#endif
