// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One hook on a kernel function or on the entry function of a system call. Each hook has an object of
 * its own, with its number in it.
 *
 *   enter_fentry, exit_fentry   by trampoline: cheaper, and skipped only inside of itself
 *   enter_kprobe, exit_kprobe   by breakpoint or ftrace
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "maps.bpf.h"
#include "tables.bpf.h"
#include "stage/hook.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set before load. */
const volatile __u32 hook_number = 0;

SEC("?fentry/security_file_open") /* another one is set before load */
int enter_fentry(void *ctx)
{
	__u32 generation = 0, row = find_config(hook_number, &generation);
	struct hit *hit = row ? hit_or_loss() : 0;
	int i;

	if (!hit)
		return 0;
	/* Verifier: the helper leaves what the function does not have as it is */
	for (i = 0; i < REGISTERS; i++)
		if (bpf_get_func_arg(ctx, i, &hit->raw[i]))
			hit->raw[i] = 0;
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
	return 0;
}

SEC("?kretprobe")
int exit_kprobe(struct pt_regs *ctx)
{
	return_of_hook(hook_number, PT_REGS_RC(ctx));
	return 0;
}
