// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One hook of the Linux security modules: observed and decided. Each hook has objects of its own.
 *
 *   decide_lsm, decide_fmod   for policies on the hook itself
 *   guard_lsm, guard_fmod     for policies on system calls that pass the hook: what the kernel has
 *                             taken from the process is judged here, not what the process passed
 *
 * The programs of a pair are for BPF LSM, and for the function security_* where the kernel does not
 * run BPF LSM.
 *
 * The kernel does not guard LSM programs against themselves: on a CPU where a preempted task is in
 * one, another task may enter it. Where it lets us we forbid preemption; else the hit has an owner,
 * and who finds it taken counts a loss.
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

#define PF_IO_WORKER 0x00000010 /* include/linux/sched.h */

/* Set before load. */
const volatile __u32 hook_number = 0;
const volatile __u32 can_forbid_preemption = 0;

extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;

/* This CPU's hit with the arguments of the hook; 0: somebody else's, or none. */
static __always_inline struct hit *take_hit(__u64 *ctx, __u32 mechanism)
{
	__u64 task = bpf_get_current_pid_tgid();
	struct hit *hit = hit_or_loss();

	if (!hit)
		return 0;
	if (hit->owner && hit->owner != task) {
		count_loss(LOSS_NOT_RUN, EVENT_HOOK, task >> 32);
		return 0;
	}
	hit->owner = task;
	hit->mechanism = mechanism;
	read_parameters(ctx, hit->raw);
	return hit;
}

/* ---- policies on the hook ---- */

static __always_inline long decide(__u64 *ctx, __u32 mechanism)
{
	__u32 generation = 0, row = find_config(hook_number, &generation);
	struct hit *hit = row ? take_hit(ctx, mechanism) : 0;
	long verdict;

	if (!hit)
		return row ? verdict_without_hit(row) : 0;
	hook_run(hit, hook_number, row, generation);
	verdict = hit->verdict;
	hit->owner = 0;
	return verdict;
}

/* ---- policies on system calls ---- */

/* The arguments of the system call into the hit. Verifier: the registers fill half of the stack. */
__noinline int capture_syscall(void)
{
	struct hit *hit = hit_get();
	struct pt_regs regs;

	if (!hit)
		return 0;
	hit->lacks_syscall = bpf_probe_read_kernel(&regs, sizeof(regs), user_registers()) != 0;
	if (!hit->lacks_syscall)
		read_syscall_arguments(&regs, is_compat_syscall(), &hit->raw[REGISTERS]);
	return 0;
}

/* The hit's arguments for the policies of "hook". Returns its verdict. */
__noinline int run_guard(__u32 hook)
{
	__u32 generation = 0, row = find_config(hook, &generation);
	struct hit *hit = hit_get();

	if (!hit || !row)
		return 0;
	hook_run(hit, hook, row, generation);
	return hit->verdict;
}

static __always_inline __u32 find_guard(__u32 call)
{
	struct guard_key key = { .guard = hook_number, .call = call };
	__u32 *found = bpf_map_lookup_elem(&guards, &key);

	return found ? *found : 0;
}

/*
 * Whether this may be an operation of io_uring: in a worker, or in a task that has a ring, where it
 * can also run on the way out of any other system call.
 */
static __always_inline bool may_be_io_uring(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (BPF_CORE_READ(task, flags) & PF_IO_WORKER)
		return true;
	return bpf_core_field_exists(task->io_uring) && BPF_CORE_READ(task, io_uring);
}

static __always_inline long guard(__u64 *ctx, __u32 mechanism)
{
	__u32 own = find_guard(current_syscall() | (is_compat_syscall() ? GUARD_COMPAT : 0));
	bool others = may_be_io_uring() && find_guard(GUARD_IO_URING);
	__u32 generation = 0, i;
	struct hit *hit;
	long verdict = 0;

	if (!own && !others)
		return 0;
	hit = take_hit(ctx, mechanism);
	if (!hit)
		return verdict_without_hit(find_config(own, &generation));
	if (own) {
		capture_syscall();
		verdict = run_guard(own);
	}
	hit->lacks_syscall = 1;
	for (i = 0; others && i < GUARD_IO_URING_MAX; i++) {
		__u32 hook = find_guard(GUARD_IO_URING + i);
		long found;

		if (!hook)
			break;
		if (hook == own)
			continue;
		found = run_guard(hook);
		verdict = verdict ? verdict : found;
	}
	hit->owner = 0;
	return verdict;
}

/* ---- programs ---- */

/* Verifier: BPF LSM wants to see that it is 0 or an error */
#define DECIDE(how)                                                                                \
	do {                                                                                       \
		long verdict;                                                                      \
                                                                                                   \
		if (can_forbid_preemption)                                                         \
			bpf_preempt_disable();                                                     \
		verdict = how;                                                                     \
		if (can_forbid_preemption)                                                         \
			bpf_preempt_enable();                                                      \
		return as_verdict(verdict);                                                        \
	} while (0)

SEC("?lsm/file_open") /* another one is set before load */
long decide_lsm(__u64 *ctx)
{
	DECIDE(decide(ctx, MECHANISM_LSM));
}

SEC("?fmod_ret/security_file_open")
long decide_fmod(__u64 *ctx)
{
	DECIDE(decide(ctx, MECHANISM_FMOD_RET));
}

SEC("?lsm/file_open")
long guard_lsm(__u64 *ctx)
{
	DECIDE(guard(ctx, MECHANISM_LSM));
}

SEC("?fmod_ret/security_file_open")
long guard_fmod(__u64 *ctx)
{
	DECIDE(guard(ctx, MECHANISM_FMOD_RET));
}
