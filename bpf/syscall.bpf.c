// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * All hooked system calls by one program on each of two typed tracepoints, which kernels without
 * kprobes and trampolines have too.
 *
 *   sys_enter   the system call's hook, if it has one: captured and classified
 *   sys_exit    the return value of the hits that wait for it
 *   sys_exit    what NotifyEnforcer wanted of this call, and was not needed, is forgotten
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"
#include "tables.bpf.h"
#include "lib/registers.bpf.h"
#include "stage/hook.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The number of the hook of a system call; 0: none. */
static __always_inline __u32 find_hook(__u32 number, bool *compat)
{
	struct syscall_hooks *found = bpf_map_lookup_elem(&syscalls, &number);

	if (!found || !(found->native | found->compat))
		return 0;
	*compat = is_compat_syscall();
	return *compat ? found->compat : found->native;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(enter_syscall, struct pt_regs *regs, long number)
{
	bool compat = false;
	__u32 hook = find_hook(number, &compat), generation = 0, row;
	struct hit *hit;

	if (!hook)
		return 0;
	row = find_config(hook, &generation);
	if (!row)
		return 0;
	hit = hit_or_loss();
	if (!hit)
		return 0;
	read_syscall_arguments(regs, compat, hit->raw);
	hook_run(hit, hook, row, generation);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(exit_syscall, struct pt_regs *regs, long result)
{
	bool compat = false;
	__u32 hook = find_hook(syscall_number(regs), &compat);

	if (hook)
		return_of_hook(hook, result);
	return 0;
}

SEC("?tp_btf/sys_exit")
int forget_verdict(void *ctx)
{
	__u32 thread = bpf_get_current_pid_tgid();

	if (bpf_map_lookup_elem(&verdict_notes, &thread))
		bpf_map_delete_elem(&verdict_notes, &thread);
	return 0;
}
