/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The arguments of a system call, by a pointer to the registers of the process: what the kernel's
 * own functions of system calls have as their parameter.
 */
#ifndef TPY_CAPTURE_CALL_BPF_H
#define TPY_CAPTURE_CALL_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "hit.bpf.h"
#include "lib/registers.bpf.h"

/*
 * From the pointer in the first raw argument of this CPU's hit; not 0: it cannot be read.
 * Verifier: the registers fill half of the stack.
 */
__noinline int capture_call(void)
{
	struct hit *hit = hit_get();
	struct pt_regs regs;

	if (!hit || bpf_probe_read_kernel(&regs, sizeof(regs), (void *)hit->raw[0]))
		return -1;
	read_syscall_arguments(&regs, is_compat_syscall(), hit->raw);
	return 0;
}

#endif
