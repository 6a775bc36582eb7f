/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the matching selectors want: of each policy the first one counts. Each is counted and, if it
 * is to be told, becomes a hook_match behind the arguments of the record.
 */
#ifndef TPY_ACT_BPF_H
#define TPY_ACT_BPF_H

#include "hit.bpf.h"
#include "stage/act_enforce.bpf.h"
#include "stage/act_limit.bpf.h"
#include "stage/act_sock.bpf.h"
#include "tables.bpf.h"

/* Position of the lowest bit that is set; x is not 0. By de Bruijn's sequence: BPF has no ctz. */
static __always_inline __u32 lowest_bit(__u64 x)
{
	static const __u8 position[64] = {
		0,  1,	48, 2,	57, 49, 28, 3,	61, 58, 50, 42, 38, 29, 17, 4,
		62, 55, 59, 36, 53, 51, 43, 22, 45, 39, 33, 30, 24, 18, 12, 5,
		63, 47, 56, 27, 60, 41, 37, 16, 54, 35, 52, 21, 44, 32, 23, 11,
		46, 26, 40, 15, 34, 20, 31, 10, 25, 14, 19, 9,	13, 8,	7,  6,
	};

	return position[((x & -x) * 0x03f79d71b4cb0a89ULL) >> 58 & 63];
}

/* Act for selector "bit"; a match to tell is added. Returns the bit after its policy's last. */
__noinline int act_for(__u32 bit)
{
	struct hit *hit = hit_get();
	const struct hook_config *config;
	struct selector_counters *counter;
	struct hook_match *match;
	struct selector *selector;
	__u32 row, at;

	if (!hit)
		return SELECTORS_MAX;
	config = bpf_map_lookup_elem(&hook_configs, &hit->config);
	if (!config)
		return SELECTORS_MAX;
	row = config->first_selector + bit;
	selector = bpf_map_lookup_elem(&selectors, &row);
	if (!selector)
		return SELECTORS_MAX;
	counter = bpf_map_lookup_elem(&counters, &selector->counter);
	if (!counter)
		return SELECTORS_MAX;
	if (!selector->actions || selector->tells_return != hit->phase)
		return selector->policy_end;
	counter->matched++;
	if (selector->monitored)
		counter->monitored++;
	hit->failure = 0;
	hit->done = selector->actions & ~selector->monitored;
	if (hit->done & ACTIONS_ENFORCING && enforce(row))
		return selector->policy_end;
	if (selector->actions & (ACTION_TRACK_SOCK | ACTION_UNTRACK_SOCK))
		track_sock(hit, config, selector);
	if (selector->actions & ACTION_NO_POST)
		return selector->policy_end;
	if (selector->rate_ms && is_limited(hit, config, selector)) {
		counter->limited++;
		return selector->policy_end;
	}
	at = hit->used + hit->told * sizeof(*match);
	if (at > ARGUMENTS_BYTES_MAX + HOOK_MATCHES_MAX * sizeof(*match))
		return SELECTORS_MAX;
	match = (void *)&hit->bytes[at];
	match->policy = selector->policy;
	match->selector = selector->number;
	match->actions = selector->actions;
	match->done = hit->done;
	match->mechanism = hit->mechanism;
	match->error = hit->failure;
	hit->told_counters[MASK_INDEX(hit->told, HOOK_MATCHES_MAX)] = selector->counter;
	hit->told++;
	counter->posted++;
	return selector->policy_end;
}

/* The record of these matches found no room: each policy has lost an event. */
__noinline int count_lost_matches(void)
{
	struct hit *hit = hit_get();
	__u32 i;

	if (!hit)
		return 0;
	for (i = 0; i < HOOK_MATCHES_MAX; i++) {
		struct selector_counters *counter;

		if (i >= hit->told)
			break;
		counter = bpf_map_lookup_elem(&counters, &hit->told_counters[i]);
		if (counter) {
			counter->posted--;
			counter->lost++;
		}
	}
	return 0;
}

/* Act for up to HOOK_MATCHES_MAX policies from hit->position on. Returns whether more may follow. */
__noinline int act_for_matches(void)
{
	struct hit *hit = hit_get();
	__u32 position, i;

	if (!hit)
		return 0;
	position = hit->position;
	hit->told = 0;
	for (i = 0; i < HOOK_MATCHES_MAX + VECTOR_WORDS; i++) {
		__u32 word = position / 64;
		__u64 bits;

		if (word >= VECTOR_WORDS || hit->told >= HOOK_MATCHES_MAX)
			break;
		bits = hit->matched.words[word] & (~0ULL << (position & 63));
		if (bits)
			position = act_for(word * 64 + lowest_bit(bits));
		else
			position = (word + 1) * 64;
	}
	hit->position = position;
	return position < SELECTORS_MAX;
}

#endif
