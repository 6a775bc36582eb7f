// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The classifier as BPF_PROG_TEST_RUN asks for: hits that user space made up come in, the selectors
 * that match go out. The stages are those that hooks run; only the capture is left out.
 *
 * Processes are classified here too, by their paths: forks and execs that never happened.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "stage/binary.bpf.h"
#include "stage/hook.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define HITS_MAX 128 /* of one run */
#define TOLD_MAX 512 /* matches of one hit */

struct input {
	__u32 config; /* row of "hook_configs" */
	__u32 used;
	__u32 at[HOOK_ARGUMENTS_MAX];	     /* of what is captured at entry */
	__u32 at_return[HOOK_ARGUMENTS_MAX]; /* of all */
	struct process_class class;
	__u64 capabilities[CAPABILITY_SET_COUNT]; /* at the last exec */
	struct namespaces namespaces;
	__u8 bytes[ARGUMENTS_BYTES_MAX];
};

struct told {
	__u16 policy;
	__u16 selector;
};

struct output {
	struct vector matched;
	__u64 told_count;
	struct told told[TOLD_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HITS_MAX);
	__type(key, __u32);
	__type(value, struct input);
} inputs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HITS_MAX);
	__type(key, __u32);
	__type(value, struct output);
} outputs SEC(".maps");

/* The path that "exec" is about, at the end of it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, PATH_MAX_BYTES);
} paths SEC(".maps");

/* Append the matches that are behind the record of the hit. */
__noinline int tell_output(__u32 number)
{
	struct output *output = bpf_map_lookup_elem(&outputs, &number);
	struct hit *hit = hit_get();
	__u32 i;

	if (!hit || !output)
		return 0;
	for (i = 0; i < HOOK_MATCHES_MAX; i++) {
		__u64 at = hit->used + i * sizeof(struct hook_match);
		__u64 to = output->told_count;
		struct hook_match *match;

		KEEP(at);
		KEEP(to);
		if (i >= hit->told || at > ARGUMENTS_BYTES_MAX + ARGUMENT_TEXT_MAX ||
		    to >= TOLD_MAX)
			break;
		match = (void *)&hit->bytes[at];
		output->told[to].policy = match->policy;
		output->told[to].selector = match->selector;
		output->told_count = to + 1;
	}
	return 0;
}

/* The process that runs this is the one of the input. */
static __always_inline void enter_process(const struct input *input)
{
	struct process_entry entry = { .namespaces = input->namespaces };
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	__builtin_memcpy(entry.capabilities, input->capabilities, sizeof(entry.capabilities));
	bpf_map_update_elem(&processes, &tgid, &entry, BPF_ANY);
}

/* As act_for_all() does it. */
static __always_inline void act_and_tell(struct hit *hit, __u32 number, __u32 phase)
{
	int i;

	hit->phase = phase;
	hit->position = 0;
	for (i = 0; i < RECORDS_MAX; i++) {
		int more = act_for_matches();

		tell_output(number);
		if (!more)
			break;
	}
}

/* As hook_run() and return_of_hook() do it. */
__noinline int classify_input(__u32 number)
{
	struct output *output = bpf_map_lookup_elem(&outputs, &number);
	struct input *input = bpf_map_lookup_elem(&inputs, &number);
	const struct hook_config *config;
	struct hit *hit = hit_get();
	__u32 entry;
	int i;

	if (!hit || !input || !output)
		return 0;
	hit->config = input->config;
	config = bpf_map_lookup_elem(&hook_configs, &hit->config);
	if (!config)
		return 0;
	enter_process(input);
	hit->used = input->used;
	hit->class = input->class;
	__builtin_memcpy(hit->at, input->at, sizeof(hit->at));
	bpf_probe_read_kernel(hit->bytes, CLAMP_SIZE(hit->used, ARGUMENTS_BYTES_MAX), input->bytes);
	output->told_count = 0;
	match_all(hit, config);
	entry = config->dimensions - config->return_dimensions;
	classify(0, entry);
	output->matched = hit->matched;
	act_and_tell(hit, number, PHASE_ENTRY);
	if (!(config->flags & HOOK_WANTS_RETURN))
		return 1;
	keep_vector(hit, config->words, config->return_vector);
	for (i = 0; i < VECTOR_WORDS; i++) /* those that are done with */
		output->matched.words[i] &= ~hit->matched.words[i];
	__builtin_memcpy(hit->at, input->at_return, sizeof(hit->at));
	classify(entry, config->dimensions);
	for (i = 0; i < VECTOR_WORDS; i++)
		output->matched.words[i] |= hit->matched.words[i];
	act_and_tell(hit, number, PHASE_RETURN);
	return 1;
}

/* Classify the first "arguments[0]" inputs. Returns how many there were. */
SEC("raw_tp")
int classify_all(const __u64 *arguments)
{
	__u64 count = arguments[0];
	__u32 i, done = 0;

	for (i = 0; i < HITS_MAX; i++) {
		if (i >= count)
			break;
		done += classify_input(i);
	}
	return done;
}

/* Process arguments[1] forks process arguments[0], arguments[2] in its own namespace. */
SEC("raw_tp")
int fork(const __u64 *arguments)
{
	struct process_entry entry = {};
	__u32 tgid = arguments[0];

	inherit_classes(&entry, tgid, arguments[2], arguments[1]);
	return bpf_map_update_elem(&processes, &tgid, &entry, BPF_ANY);
}

/* Process arguments[0] executes the last arguments[1] bytes in "paths": see enter_image(). */
SEC("raw_tp")
int exec(const __u64 *arguments)
{
	struct path_walk *walk = path_walk_get();
	__u32 tgid = arguments[0], zero = 0;
	char *path = bpf_map_lookup_elem(&paths, &zero);
	struct process_entry *entry = bpf_map_lookup_elem(&processes, &tgid);

	if (!walk || !path || !entry)
		return -1;
	walk->start = PATH_MAX_BYTES - arguments[1];
	bpf_probe_read_kernel(walk->text, PATH_MAX_BYTES, path);
	if (entry->flags & PROCESS_EXECED)
		replace_parent_classes(entry);
	entry->flags |= PROCESS_EXECED;
	classify_binary(tgid);
	return 0;
}
