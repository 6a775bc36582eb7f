/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * rateLimit: the same hit, by its arguments, is told once in an interval. "The same" has equal
 * first LIMIT_BYTES of each argument, in the same thread, process or everywhere.
 */
#ifndef TPY_LIMIT_BPF_H
#define TPY_LIMIT_BPF_H

#include "hit.bpf.h"
#include "tables.bpf.h"

#define LIMIT_BYTES 40
#define NS_PER_MS 1000000ULL

/* Two independent 64-bit hashes (multiply and rotate) of the beginnings of all arguments. */
__noinline int hash_argument(__u32 slot)
{
	struct hit *hit = hit_get();
	__u64 first, second, at;
	int i;

	if (!hit)
		return 0;
	first = hit->hash[0];
	second = hit->hash[1];
	at = hit->at[MASK_INDEX(slot, HOOK_ARGUMENTS_MAX)];
	if (IS_OUTSIDE(at, 8, ARGUMENTS_BYTES_MAX))
		return 0;
	for (i = 0; i < LIMIT_BYTES / 8; i++) {
		__s32 length = *(__s32 *)&hit->bytes[at - 4];
		__u64 word = *(__u64 *)&hit->bytes[at + 8 * i];

		if (8 * i >= length)
			break;
		if (length - 8 * i < 8)
			word &= (1ULL << 8 * (length - 8 * i & 7)) - 1;
		first = (first ^ word) * 0x9e3779b97f4a7c15ULL;
		first = first << 31 | first >> 33;
		second = (second ^ word) * 0xc2b2ae3d27d4eb4fULL;
		second = second << 29 | second >> 35;
	}
	hit->hash[0] = first ^ slot;
	hit->hash[1] = second + slot;
	return 0;
}

static __always_inline bool is_limited(struct hit *hit, const struct hook_config *config,
				       const struct selector *selector)
{
	struct limit_key key = { .counter = selector->counter };
	__u64 task = bpf_get_current_pid_tgid(), now = bpf_ktime_get_boot_ns(), *last;
	__u32 slot;

	hit->hash[0] = hit->hash[1] = 0;
	for (slot = 0; slot < HOOK_ARGUMENTS_MAX; slot++)
		if (selector->arguments >> slot & 1)
			hash_argument(slot);
	key.arguments[0] = hit->hash[0];
	key.arguments[1] = hit->hash[1];
	if (selector->rate_scope == RATE_THREAD)
		key.scope = task;
	else if (selector->rate_scope == RATE_PROCESS)
		key.scope = task >> 32;
	last = bpf_map_lookup_elem(&limits, &key);
	if (last && now - *last < selector->rate_ms * NS_PER_MS)
		return true;
	bpf_map_update_elem(&limits, &key, &now, BPF_ANY);
	return false;
}

#endif
