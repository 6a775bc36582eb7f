// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One hook on a tracepoint. Each hook has an object of its own, with its number in it.
 *
 *   hit_tracepoint       a perf tracepoint: arguments are fields of its record
 *   hit_raw_tp   a raw tracepoint: arguments are its parameters
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
const volatile __u32 parameters = 0; /* of the raw tracepoint: the kernel refuses to read more */

SEC("?tracepoint")
int hit_tracepoint(void *ctx)
{
	__u32 generation = 0, row = find_config(hook_number, &generation);
	struct hit *hit = row ? hit_or_loss() : 0;

	if (!hit)
		return 0;
	hit->context = (__u64)ctx;
	hook_run(hit, hook_number, row, generation);
	return 0;
}

SEC("?raw_tp")
int hit_raw_tp(__u64 *ctx)
{
	__u32 generation = 0, row = find_config(hook_number, &generation);
	struct hit *hit = row ? hit_or_loss() : 0;

	if (!hit)
		return 0;
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
	return 0;
}
