/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether the current task is who caused what runs here: not in an interrupt.
 */
#ifndef TPY_CONTEXT_BPF_H
#define TPY_CONTEXT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* include/linux/preempt.h */
#define SOFTIRQ_SERVED 0x00000100
#define HARDIRQ_ONE 0x00010000
#define HARDIRQ_ALL 0x000f0000
#define NMI_ALL 0x00f00000

#if defined(__TARGET_ARCH_x86)

/*
 * Set before load: where each CPU counts what preempts its tasks, from /proc/kallsyms. 0: not
 * known. (As a typed symbol it could not be loaded on kernels that do not tell its address.)
 */
const volatile __u64 preempt_counts = 0; /* of the first CPU, without its offset */
const volatile __u64 cpu_offsets = 0;	 /* an array of __u64 */

static __always_inline __u32 preempt_count(void)
{
	__u64 offset = 0, at = cpu_offsets + sizeof(offset) * bpf_get_smp_processor_id();
	__u32 count = 0;

	if (preempt_counts && !bpf_probe_read_kernel(&offset, sizeof(offset), (void *)at))
		bpf_probe_read_kernel(&count, sizeof(count), (void *)(preempt_counts + offset));
	return count;
}

#else

static __always_inline __u32 preempt_count(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, thread_info.preempt.count);
}

#endif

/*
 * A kprobe by breakpoint counts itself as an NMI inside of a hard interrupt (irqentry_nmi_enter),
 * so an NMI alone is none.
 */
static __always_inline bool in_interrupt(void)
{
	__u32 count = preempt_count();
	__u32 hard = count & HARDIRQ_ALL;

	if (count & NMI_ALL && hard)
		hard -= HARDIRQ_ONE;
	return hard || (count & SOFTIRQ_SERVED);
}

#endif
