/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Actions that change what a process can do: signals, denials, notes to an enforcer. What could not
 * be done is told with its error.
 */
#ifndef TPY_ACT_ENFORCE_BPF_H
#define TPY_ACT_ENFORCE_BPF_H

#include "hit.bpf.h"
#include "tables.bpf.h"
#include "lib/context.bpf.h"
#include "lib/errno.bpf.h"

#define ACTIONS_ENFORCING                                                                          \
	(ACTION_SIGNAL | ACTION_OVERRIDE | ACTION_NOTIFY_ENFORCER | ACTION_CLEANUP_ENFORCER |      \
	 ACTION_ENFORCE)

/* Several policies may want the same signal: it is sent once. */
static __always_inline long send_signal(struct hit *hit, __u32 signal)
{
	__u64 bit = 1ULL << (signal - 1 & 63);
	long error;

	if (hit->signals & bit)
		return 0;
	if (in_interrupt()) /* the current process has nothing to do with it */
		return -ESRCH;
	error = bpf_send_signal(signal);
	if (!error)
		hit->signals |= bit;
	return error;
}

/* The first error is returned. */
static __always_inline long deny(struct hit *hit, __s32 error)
{
	if (hit->mechanism == MECHANISM_NONE)
		return -EOPNOTSUPP;
	if (!hit->verdict)
		hit->verdict = error;
	return 0;
}

static __always_inline long notify_enforcer(const struct selector *selector, __u32 thread)
{
	struct enforcer_verdict verdict = {
		.enforcer = selector->enforcer,
		.error = selector->error,
		.signal = selector->signal,
	};

	return bpf_map_update_elem(&verdict_notes, &thread, &verdict, BPF_ANY);
}

/*
 * Note that "action" was done, or why not. Verifier: in the hit, not in registers, whose known
 * values would make each combination of actions a path of its own.
 */
static __always_inline void note_result(struct hit *hit, __u32 action, long error)
{
	if (!error)
		hit->done |= action;
	else if (!hit->failure)
		hit->failure = error;
}

/* Do what the enforcer of this thread was told, once. */
static __always_inline void obey(struct hit *hit, __u32 thread)
{
	struct enforcer_verdict *found = bpf_map_lookup_elem(&verdict_notes, &thread);
	struct enforcer_verdict verdict;

	if (!found)
		return;
	verdict = *found;
	bpf_map_delete_elem(&verdict_notes, &thread);
	hit->done |= ACTION_ENFORCE;
	if (verdict.signal)
		note_result(hit, ACTION_SIGNAL, send_signal(hit, verdict.signal));
	if (verdict.error)
		note_result(hit, ACTION_OVERRIDE, deny(hit, verdict.error));
}

/* Whether this hit is not told one by one, as so many of its process and policy were. */
__noinline int is_repeat(__u32 row)
{
	struct selector *selector = bpf_map_lookup_elem(&selectors, &row);
	struct repeat_key key = {};
	__u64 now = bpf_ktime_get_boot_ns();
	struct hit *hit = hit_get();
	struct repeat *repeat;

	if (!hit || !selector)
		return 0;
	key.tgid = hit->event.process.tgid;
	key.policy = selector->policy;
	repeat = bpf_map_lookup_elem(&repeats, &key);
	if (!repeat) {
		struct repeat first = {
			.window_ns = now,
			.last_ns = now,
			.start_boottime_ns = hit->event.process.start_boottime_ns,
			.told = 1,
			.hook = hit->event.hook,
		};

		bpf_map_update_elem(&repeats, &key, &first, BPF_NOEXIST);
		return 0;
	}
	if (repeat->start_boottime_ns != hit->event.process.start_boottime_ns)
		return 0;
	repeat->last_ns = now;
	if (now - repeat->window_ns >= REPEATS_WINDOW_NS) {
		repeat->window_ns = now;
		repeat->told = 0;
	}
	if (repeat->told < REPEATS_TOLD) {
		__sync_fetch_and_add(&repeat->told, 1);
		return 0;
	}
	repeat->selector = selector->number;
	repeat->actions = selector->actions;
	repeat->done = hit->done;
	repeat->mechanism = hit->mechanism;
	repeat->error = hit->failure;
	__sync_fetch_and_add(&repeat->counted, 1);
	return 1;
}

/* What was done for a selector, in its counters. */
static __always_inline void count_done(struct selector_counters *counter, const struct hit *hit)
{
	if (hit->done & ACTION_SIGNAL)
		counter->signalled++;
	if (hit->done & ACTION_OVERRIDE)
		counter->overridden++;
	if (hit->done & ACTION_NOTIFY_ENFORCER)
		counter->notified++;
	if (hit->failure)
		counter->failed++;
}

/*
 * Carry out the selector in "row": hit->done says what was done, hit->failure the first error.
 * Returns whether it is not told one by one.
 */
__noinline int enforce(__u32 row)
{
	struct selector *selector = bpf_map_lookup_elem(&selectors, &row);
	__u32 thread = bpf_get_current_pid_tgid(), wanted;
	struct selector_counters *counter;
	struct hit *hit = hit_get();

	if (!hit || !selector)
		return 0;
	wanted = selector->actions & ~selector->monitored;
	hit->done = wanted & ~ACTIONS_ENFORCING;
	if (wanted & ACTION_ENFORCE)
		obey(hit, thread);
	if (wanted & ACTION_SIGNAL)
		note_result(hit, ACTION_SIGNAL, send_signal(hit, selector->signal));
	if (wanted & ACTION_OVERRIDE)
		note_result(hit, ACTION_OVERRIDE, deny(hit, selector->error));
	if (wanted & ACTION_NOTIFY_ENFORCER)
		note_result(hit, ACTION_NOTIFY_ENFORCER, notify_enforcer(selector, thread));
	if (wanted & ACTION_CLEANUP_ENFORCER) {
		bpf_map_delete_elem(&verdict_notes, &thread);
		hit->done |= ACTION_CLEANUP_ENFORCER;
	}
	if (hit->failure && selector->failure_signal && !send_signal(hit, selector->failure_signal))
		hit->done |= ACTION_SIGNAL;
	hit->enforced |= hit->done & ACTIONS_ENFORCING;
	counter = bpf_map_lookup_elem(&counters, &selector->counter);
	if (!counter)
		return 0;
	count_done(counter, hit);
	if (selector->actions & ACTION_NO_POST || selector->rate_ms || !is_repeat(row))
		return 0;
	counter->repeated++;
	return 1;
}

#endif
