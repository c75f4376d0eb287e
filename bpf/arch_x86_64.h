/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Everything in bpf/ that knows the machine: registers and system call numbers of x86-64. */
#ifndef WIREPROF_ARCH_X86_64_H
#define WIREPROF_ARCH_X86_64_H

#include "types.h"

/* The kernel's own struct pt_regs (the one of <asm/ptrace.h> has other names and no relocations). */
struct pt_regs___kernel {
	unsigned long r10, bp, dx, si, di, orig_ax, ip, sp;
} __attribute__((preserve_access_index));

/* What the unwinder starts from, and what it carries from frame to frame. */
struct frame_regs {
	u64 pc, sp, bp;
};

/* A system call on its way: number (-1: none, an interrupt or exception) and arguments. */
struct syscall_regs {
	s64 nr;
	u64 arg0, arg1, arg2;
};

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
