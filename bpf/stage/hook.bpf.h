/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The whole flow of one hit: who, capture, classify, act, emit.
 */
#ifndef TPY_HOOK_BPF_H
#define TPY_HOOK_BPF_H

#include "stage/act.bpf.h"
#include "stage/capture.bpf.h"
#include "stage/classify.bpf.h"
#include "stage/emit.bpf.h"
#include "stage/join.bpf.h"
#include "stage/who.bpf.h"

#define SIGKILL 9
#define RECORDS_MAX (SELECTORS_MAX / HOOK_MATCHES_MAX)

/* The hook's row of hook_configs in the active generation; 0 if no policy wants it. */
static __always_inline __u32 find_config(__u32 hook, __u32 *generation)
{
	__u32 zero = 0, row, *found;

	found = bpf_map_lookup_elem(&active, &zero);
	if (!found)
		return 0;
	*generation = *found;
	row = (*generation & 1) * HOOKS_MAX + hook;
	found = bpf_map_lookup_elem(&hook_index, &row);
	return found ? *found : 0;
}

/* The hit of this CPU. Without one a wanted hit is lost. */
static __always_inline struct hit *hit_or_loss(void)
{
	struct hit *hit = hit_get();

	if (!hit)
		count_loss(LOSS_NO_SCRATCH, EVENT_HOOK, bpf_get_current_pid_tgid() >> 32);
	return hit;
}

/* There is no hit to judge by: nothing is denied, but who says so is killed. */
static __always_inline long verdict_without_hit(__u32 row)
{
	const struct hook_config *config = bpf_map_lookup_elem(&hook_configs, &row);

	if (config && config->flags & HOOK_KILLS)
		bpf_send_signal(SIGKILL);
	return 0;
}

/* The entry of the process table of who runs; the record names it. */
static __always_inline void find_process(struct hit *hit)
{
	struct process_entry *entry;
	__u64 task = bpf_get_current_pid_tgid();
	__u32 tgid = task >> 32;

	hit->event.tid = task;
	hit->event.process.tgid = tgid;
	entry = bpf_map_lookup_elem(&processes, &tgid);
	if (!entry) {
		hit->event.process.start_boottime_ns = 0;
		hit->event.flags |= HOOK_PROCESS_UNKNOWN;
		__builtin_memset(&hit->class, 0, sizeof(hit->class));
		return;
	}
	hit->event.process.start_boottime_ns = entry->start_boottime_ns;
	hit->class = entry->classes[hit->generation & 1];
}

static __always_inline void count_hit(__u32 hook)
{
	__u64 *count = bpf_map_lookup_elem(&hook_hits, &hook);

	if (count)
		++*count; /* of this CPU; a count that is lost to preemption is no event */
}

/* Every selector is content until a dimension says otherwise. */
static __always_inline void match_all(struct hit *hit, const struct hook_config *config)
{
	__u32 selectors = config->selectors;
	int i;

	for (i = 0; i < VECTOR_WORDS; i++) {
		if (selectors >= 64) {
			hit->matched.words[i] = ~0ULL;
			selectors -= 64;
		} else {
			hit->matched.words[i] = (1ULL << selectors) - 1;
			selectors = 0;
		}
	}
}

/* Tell up to HOOK_MATCHES_MAX policies in one record. Returns whether more may follow. */
__noinline int tell(void)
{
	struct hit *hit = hit_get();
	long error;
	__u64 size;
	int more;

	if (!hit)
		return 0;
	hit->enforced = 0;
	more = act_for_matches();
	if (!hit->told)
		return more;
	hit->event.matches = hit->told;
	begin_record(&hit->event.header, hit->enforced ? LANE_VERDICT : LANE_POLICY, EVENT_HOOK,
		     bpf_ktime_get_boot_ns());
	size = CLAMP_SIZE(hit->used + hit->told * sizeof(struct hook_match),
			  ARGUMENTS_BYTES_MAX + ARGUMENT_TEXT_MAX);
	size += sizeof(hit->event);
	/* Verifier: a ring has to be known where it is used */
	if (hit->enforced)
		error = post_record(&verdicts, &hit->event.header, size, hit->event.process.tgid);
	else
		error = post_record(&policy_events, &hit->event.header, size,
				    hit->event.process.tgid);
	if (error)
		count_lost_matches();
	hit->event.flags |= HOOK_CONTINUED;
	return more;
}

/* Act for all policies that matched, and tell. */
static __always_inline void act_for_all(struct hit *hit, __u32 phase)
{
	int i;

	hit->phase = phase;
	hit->signals = 0;
	hit->position = 0;
	for (i = 0; i < RECORDS_MAX; i++)
		if (!tell())
			break;
}

/*
 * A hit of "hook", whose raw arguments the caller has put into the hit.
 */
static __always_inline void hook_run(struct hit *hit, __u32 hook, __u32 row, __u32 generation)
{
	const struct hook_config *config = bpf_map_lookup_elem(&hook_configs, &row);

	if (!config)
		return;
	count_hit(hook);
	hit->config = row;
	hit->generation = generation;
	hit->used = 0;
	hit->event.hook = hook;
	hit->event.generation = generation;
	hit->event.flags = 0;
	hit->event.entry_ns = 0;
	hit->event.arguments = 0;
	hit->verdict = 0;
	__builtin_memset(hit->at, 0, sizeof(hit->at));
	match_all(hit, config);
	if (config->flags & HOOK_WANTS_CLASS)
		find_process(hit);
	capture_arguments(hit, config, ARGUMENT_FILTERED, ARGUMENT_AT_RETURN);
	if (!classify(0, config->dimensions - config->return_dimensions))
		return;
	if (!(config->flags & HOOK_WANTS_CLASS))
		find_process(hit);
	name_owner(hit, config);
	capture_arguments(hit, config, 0, ARGUMENT_FILTERED | ARGUMENT_AT_RETURN);
	act_for_all(hit, PHASE_ENTRY);
	if (!(config->flags & HOOK_WANTS_RETURN) ||
	    !keep_vector(hit, config->words, config->return_vector))
		return;
	hit->event.flags &= ~HOOK_CONTINUED;
	if (wait_for_return(hit, hook))
		count_loss(LOSS_TABLE_FULL, EVENT_HOOK, hit->event.process.tgid);
}

/* The function of "hook" returned "result" in this thread. */
static __always_inline void return_of_hook(__u32 hook, __u64 result)
{
	struct wait_key key = { .tid = bpf_get_current_pid_tgid(), .hook = hook };
	const struct hook_config *config;
	struct hit *hit = hit_get();

	if (!hit || take_waiting(hit, &key))
		return;
	config = bpf_map_lookup_elem(&hook_configs, &hit->config);
	if (!config || config->generation > hit->generation)
		return;
	hit->result = result;
	hit->event.flags |= HOOK_RETURNED;
	capture_arguments(hit, config, ARGUMENT_AT_RETURN, 0);
	if (!classify(config->dimensions - config->return_dimensions, config->dimensions))
		return;
	act_for_all(hit, PHASE_RETURN);
}

#endif
