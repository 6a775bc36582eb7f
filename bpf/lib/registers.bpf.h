/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * System calls and their arguments in the registers of a process, per architecture.
 */
#ifndef TPY_REGISTERS_BPF_H
#define TPY_REGISTERS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#if defined(__TARGET_ARCH_x86)

#define TS_COMPAT 0x2 /* arch/x86/include/asm/thread_info.h: in a 32-bit system call */

static __always_inline bool is_compat_syscall(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
}

static __always_inline __u32 syscall_number(struct pt_regs *regs)
{
	return regs->orig_ax;
}

/* 32-bit system calls have 32-bit arguments: the upper halves can be anything. */
static __always_inline void read_syscall_arguments(struct pt_regs *regs, bool compat, __u64 *out)
{
	if (compat) {
		out[0] = (__u32)regs->bx;
		out[1] = (__u32)regs->cx;
		out[2] = (__u32)regs->dx;
		out[3] = (__u32)regs->si;
		out[4] = (__u32)regs->di;
		out[5] = (__u32)regs->bp;
		return;
	}
	out[0] = regs->di;
	out[1] = regs->si;
	out[2] = regs->dx;
	out[3] = regs->r10;
	out[4] = regs->r8;
	out[5] = regs->r9;
}

#elif defined(__TARGET_ARCH_arm64)

#define TIF_32BIT 22 /* arch/arm64/include/asm/thread_info.h */

static __always_inline bool is_compat_syscall(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, thread_info.flags) >> TIF_32BIT & 1;
}

static __always_inline __u32 syscall_number(struct pt_regs *regs)
{
	return regs->syscallno;
}

static __always_inline void read_syscall_arguments(struct pt_regs *regs, bool compat, __u64 *out)
{
	int i;

	out[0] = regs->orig_x0;
	for (i = 1; i < 6; i++)
		out[i] = regs->regs[i];
	if (compat)
		for (i = 0; i < 6; i++)
			out[i] = (__u32)out[i];
}

#else
#error "unknown architecture"
#endif

#define KERNEL_STACK_BYTES 16384 /* THREAD_SIZE */

const volatile __u32 has_task_registers = 0; /* the helper of Linux 5.15 */

/*
 * Where the registers are with which the current task entered the kernel: nobody can change them
 * while its system call runs (a tracer's changes come before it).
 */
static __always_inline struct pt_regs *user_registers(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (has_task_registers)
		return (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	return (void *)BPF_CORE_READ(task, stack) + KERNEL_STACK_BYTES - sizeof(struct pt_regs);
}

/* The number of the system call that the current task is or was in; -1: none. */
static __always_inline __u32 current_syscall(void)
{
	struct pt_regs *regs = user_registers();

#if defined(__TARGET_ARCH_x86)
	return BPF_CORE_READ(regs, orig_ax);
#else
	return BPF_CORE_READ(regs, syscallno);
#endif
}

#endif
