// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One hook of the Linux security modules, observed. Each hook has an object of its own, with its
 * number in it.
 *
 * The kernel does not guard LSM programs against themselves: on a CPU where a preempted task is in
 * one, another task may enter it. The hit has an owner therefore: who finds it taken counts a loss.
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
const volatile __u32 parameters = 0; /* of the hook: the kernel refuses to read more */

SEC("?lsm/file_open") /* another one is set before load */
int observe_lsm(__u64 *ctx)
{
	__u32 generation = 0, row = find_config(hook_number, &generation);
	struct hit *hit = row ? hit_or_loss() : 0;
	__u64 task = bpf_get_current_pid_tgid();

	if (!hit)
		return 0;
	if (hit->owner && hit->owner != task) {
		count_loss(LOSS_NOT_RUN, EVENT_HOOK, task >> 32);
		return 0;
	}
	hit->owner = task;
	/* Verifier: each is a load of its own, which goes away if there is no such parameter */
	if (parameters > 0)
		hit->raw[0] = ctx[0];
	if (parameters > 1)
		hit->raw[1] = ctx[1];
	if (parameters > 2)
		hit->raw[2] = ctx[2];
	if (parameters > 3)
		hit->raw[3] = ctx[3];
	if (parameters > 4)
		hit->raw[4] = ctx[4];
	if (parameters > 5)
		hit->raw[5] = ctx[5];
	hook_run(hit, hook_number, row, generation);
	hit->owner = 0;
	return 0;
}
