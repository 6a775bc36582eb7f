// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One hook on a kernel function or on the entry function of a system call. Each hook has an object of
 * its own, with its number in it.
 *
 *   enter_fentry, exit_fentry   by trampoline: cheaper, and skipped only inside of itself
 *   enter_kprobe, exit_kprobe   by breakpoint or ftrace
 *   override_fmod               by trampoline, and may return an error instead of the function
 *   override_call               the same of a system call, whose arguments are in its pt_regs
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"
#include "tables.bpf.h"
#include "lib/parameters.bpf.h"
#include "lib/registers.bpf.h"
#include "lib/verdict.bpf.h"
#include "stage/hook.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set before load. */
const volatile __u32 hook_number = 0;
const volatile __u32 can_override = 0; /* enter_kprobe may use bpf_override_return */

SEC("?fentry/security_file_open") /* another one is set before load */
int enter_fentry(__u64 *ctx)
{
	__u32 generation = 0, row = find_config(hook_number, &generation);
	struct hit *hit = row ? hit_or_loss() : 0;

	if (!hit)
		return 0;
	read_parameters(ctx, hit->raw);
	hook_run(hit, hook_number, row, generation);
	return 0;
}

SEC("?fexit/security_file_open")
int exit_fentry(void *ctx)
{
	__u64 result = 0;

	bpf_get_func_ret(ctx, &result);
	return_of_hook(hook_number, result);
	return 0;
}

SEC("?kprobe")
int enter_kprobe(struct pt_regs *ctx)
{
	__u32 generation = 0, row = find_config(hook_number, &generation);
	struct hit *hit = row ? hit_or_loss() : 0;

	if (!hit)
		return 0;
	hit->mechanism = can_override ? MECHANISM_OVERRIDE_RETURN : MECHANISM_NONE;
	hit->raw[0] = PT_REGS_PARM1(ctx);
	hit->raw[1] = PT_REGS_PARM2(ctx);
	hit->raw[2] = PT_REGS_PARM3(ctx);
	hit->raw[3] = PT_REGS_PARM4(ctx);
	hit->raw[4] = PT_REGS_PARM5(ctx);
#if defined(__TARGET_ARCH_x86)
	hit->raw[5] = ctx->r9;
#else
	hit->raw[5] = ctx->regs[5];
#endif
	hook_run(hit, hook_number, row, generation);
	if (can_override && hit->verdict)
		bpf_override_return(ctx, as_verdict(hit->verdict));
	return 0;
}

SEC("?kretprobe")
int exit_kprobe(struct pt_regs *ctx)
{
	return_of_hook(hook_number, PT_REGS_RC(ctx));
	return 0;
}

SEC("?fmod_ret/security_file_open")
long override_fmod(__u64 *ctx)
{
	__u32 generation = 0, row = find_config(hook_number, &generation);
	struct hit *hit = row ? hit_or_loss() : 0;

	if (!hit)
		return 0;
	hit->mechanism = MECHANISM_FMOD_RET;
	read_parameters(ctx, hit->raw);
	hook_run(hit, hook_number, row, generation);
	return as_verdict(hit->verdict);
}

/* Verifier: the registers fill half of the stack. */
__noinline int capture_call(void)
{
	struct hit *hit = hit_get();
	struct pt_regs regs;

	if (!hit || bpf_probe_read_kernel(&regs, sizeof(regs), (void *)hit->raw[0]))
		return -1;
	read_syscall_arguments(&regs, is_compat_syscall(), hit->raw);
	return 0;
}

/* The kernel's wrappers of system calls have one parameter: the registers of the process. */
SEC("?fmod_ret/security_file_open")
long override_call(__u64 *ctx)
{
	__u32 generation = 0, row = find_config(hook_number, &generation);
	struct hit *hit = row ? hit_or_loss() : 0;

	if (!hit)
		return 0;
	hit->raw[0] = ctx[0];
	if (capture_call())
		return 0;
	hit->mechanism = MECHANISM_FMOD_RET;
	hook_run(hit, hook_number, row, generation);
	return as_verdict(hit->verdict);
}
